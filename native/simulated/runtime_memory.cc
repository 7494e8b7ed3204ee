// Memory and the device itself under the names of the CUDA runtime.
#include <cuda_runtime.h>

#include <cstdlib>
#include <cstring>

#include "device_memory.h"
#include "streams.h"

namespace sim = rvos::simulated;
using sim::failed;

namespace {

sim::Span<uint8_t> resolve(const void* data, size_t bytes, bool onDevice) {
  return onDevice ? sim::resolveDevice(data, bytes) : sim::resolvePinned(data, bytes);
}

}  // namespace

cudaError_t cudaMalloc(void** data, size_t bytes) {
  if (sim::capturing()) return failed(cudaErrorStreamCaptureUnsupported);
  *data = sim::allocateDevice(bytes);
  return *data != nullptr ? cudaSuccess : failed(cudaErrorMemoryAllocation);
}

cudaError_t cudaFree(void* data) {
  return data == nullptr || sim::freeDevice(data) ? cudaSuccess : failed(cudaErrorInvalidValue);
}

cudaError_t cudaHostAlloc(void** data, size_t bytes, unsigned) {
  if (sim::capturing()) return failed(cudaErrorStreamCaptureUnsupported);
  *data = sim::allocatePinned(bytes);
  return *data != nullptr ? cudaSuccess : failed(cudaErrorMemoryAllocation);
}

cudaError_t cudaFreeHost(void* data) {
  return data == nullptr || sim::freePinned(data) ? cudaSuccess : failed(cudaErrorInvalidValue);
}

cudaError_t cudaMemcpyAsync(void* to, const void* from, size_t bytes, cudaMemcpyKind kind, cudaStream_t stream) {
  const bool fromDevice = kind == cudaMemcpyDeviceToHost || kind == cudaMemcpyDeviceToDevice;
  const bool toDevice = kind == cudaMemcpyHostToDevice || kind == cudaMemcpyDeviceToDevice;
  if (!fromDevice && !toDevice) return failed(cudaErrorInvalidValue);
  try {
    resolve(from, bytes, fromDevice);
    resolve(to, bytes, toDevice);
  } catch (const sim::IllegalAddress&) {
    return failed(cudaErrorInvalidValue);
  }
  return sim::enqueue(stream, "copy", [=] {
    const auto source = resolve(from, bytes, fromDevice);
    const auto target = resolve(to, bytes, toDevice);
    std::memcpy(target.data, source.data, bytes);
    sim::countCopy(kind, bytes);
  });
}

cudaError_t cudaMemsetAsync(void* data, int value, size_t bytes, cudaStream_t stream) {
  return sim::enqueue(stream, "fill", [=] { std::memset(sim::resolveDevice(data, bytes).data, value, bytes); });
}

// GPUs of a machine that has several, all alike and with the same memory; one of them may be broken: it does not even become
// current. By variables, since rvos asks for devices in a process of its own too.
namespace {

int numberOf(const char* variable, int otherwise) {
  const char* text = std::getenv(variable);
  return text == nullptr ? otherwise : std::atoi(text);
}

int deviceCount() { return numberOf("RVOS_SIMULATED_GPUS", 1); }
bool exists(int number) { return number >= 0 && number < deviceCount(); }
bool isBroken(int number) { return number == numberOf("RVOS_SIMULATED_BROKEN_GPU", -1); }
/// Cannot even say what it is.
bool isMute(int number) { return number == numberOf("RVOS_SIMULATED_MUTE_GPU", -1); }

thread_local int current = 0;

}  // namespace

cudaError_t cudaGetDeviceCount(int* count) {
  *count = deviceCount();
  return cudaSuccess;
}

cudaError_t cudaSetDevice(int number) {
  if (!exists(number)) return failed(cudaErrorInvalidDevice);
  if (isBroken(number) || isMute(number)) return failed(cudaErrorDevicesUnavailable);
  current = number;
  return cudaSuccess;
}

cudaError_t cudaGetDevice(int* number) {
  *number = current;
  return cudaSuccess;
}

cudaError_t cudaGetDeviceProperties(cudaDeviceProp* properties, int number) {
  if (!exists(number)) return failed(cudaErrorInvalidDevice);
  if (isMute(number)) return failed(cudaErrorDevicesUnavailable);
  *properties = {};
  std::strcpy(properties->name, "simulated device");
  properties->totalGlobalMem = sim::deviceCapacity();
  return cudaSuccess;
}

cudaError_t cudaDeviceGetAttribute(int* value, cudaDeviceAttr attribute, int number) {
  if (!exists(number)) return failed(cudaErrorInvalidDevice);
  switch (attribute) {
    case cudaDevAttrMultiProcessorCount: *value = 1; break;
    case cudaDevAttrComputeCapabilityMajor: *value = 9; break;
    case cudaDevAttrComputeCapabilityMinor: *value = 0; break;
  }
  return cudaSuccess;
}

cudaError_t cudaMemGetInfo(size_t* free, size_t* total) {
  *total = sim::deviceCapacity();
  const size_t used = sim::memoryCounters().deviceBytes;
  *free = used < *total ? *total - used : 0;
  return cudaSuccess;
}

cudaError_t cudaDriverGetVersion(int* version) {
  *version = 13000;
  return cudaSuccess;
}

cudaError_t cudaRuntimeGetVersion(int* version) {
  *version = 13000;
  return cudaSuccess;
}

cudaError_t cudaDeviceSynchronize() { return failed(sim::deviceStatus()); }

const char* cudaGetErrorName(cudaError_t error) {
  switch (error) {
    case cudaSuccess: return "cudaSuccess";
    case cudaErrorInvalidValue: return "cudaErrorInvalidValue";
    case cudaErrorMemoryAllocation: return "cudaErrorMemoryAllocation";
    case cudaErrorInsufficientDriver: return "cudaErrorInsufficientDriver";
    case cudaErrorNoDevice: return "cudaErrorNoDevice";
    case cudaErrorInvalidDevice: return "cudaErrorInvalidDevice";
    case cudaErrorInvalidResourceHandle: return "cudaErrorInvalidResourceHandle";
    case cudaErrorNotReady: return "cudaErrorNotReady";
    case cudaErrorIllegalAddress: return "cudaErrorIllegalAddress";
    case cudaErrorLaunchFailure: return "cudaErrorLaunchFailure";
    case cudaErrorStreamCaptureUnsupported: return "cudaErrorStreamCaptureUnsupported";
    case cudaErrorStreamCaptureInvalidated: return "cudaErrorStreamCaptureInvalidated";
    case cudaErrorDevicesUnavailable: return "cudaErrorDevicesUnavailable";
    default: return "unknown error";
  }
}

const char* cudaGetErrorString(cudaError_t error) {
  switch (error) {
    case cudaErrorMemoryAllocation: return "out of memory";
    case cudaErrorIllegalAddress: return "an illegal memory access was encountered";
    case cudaErrorLaunchFailure: return "unspecified launch failure";
    case cudaErrorInvalidDevice: return "invalid device ordinal";
    case cudaErrorDevicesUnavailable: return "CUDA-capable device(s) is/are busy or unavailable";
    default: return "the call failed";
  }
}
