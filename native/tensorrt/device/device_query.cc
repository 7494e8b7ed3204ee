// See device_query.h.
#include "device_query.h"

#include <cuda_runtime.h>

#include "check.h"
#include "failure.h"

namespace rvos::tensorrt {

namespace {

void check(cudaError_t status, const std::string& what) {
  if (status == cudaSuccess) return;
  static_cast<void>(cudaGetLastError());
  const char* kind = status == cudaErrorMemoryAllocation ? code::kOutOfMemory : code::kDeviceFailed;
  throw Failure(kind, what + ": " + cudaGetErrorString(status));
}

int attribute(cudaDeviceAttr which, int device) {
  int value = 0;
  check(cudaDeviceGetAttribute(&value, which, device), "CUDA does not describe GPU " + std::to_string(device));
  return value;
}

Device describe(int index) {
  const std::string what = "CUDA does not describe GPU " + std::to_string(index);
  Device device;
  device.index = index;
  cudaDeviceProp properties{};
  check(cudaGetDeviceProperties(&properties, index), what);
  device.name = properties.name;
  device.totalBytes = static_cast<std::int64_t>(properties.totalGlobalMem);
  device.computeCapability =
      attribute(cudaDevAttrComputeCapabilityMajor, index) * 10 + attribute(cudaDevAttrComputeCapabilityMinor, index);
  device.multiprocessors = attribute(cudaDevAttrMultiProcessorCount, index);

  // Only the current device tells how much is free.
  int current = 0;
  check(cudaGetDevice(&current), what);
  std::size_t free = 0;
  std::size_t total = 0;
  cudaError_t status = cudaSetDevice(index);
  if (status == cudaSuccess) status = cudaMemGetInfo(&free, &total);
  if (status == cudaSuccess) device.freeBytes = static_cast<std::int64_t>(free);
  cuda::settle(status);
  // The one that was current may be the one that does not answer.
  cuda::settle(cudaSetDevice(current));
  return device;
}

}  // namespace

namespace {

struct Found {
  int count = 0;
  int driver = 0;
};

Found findDevices() {
  Found found;
  if (cudaDriverGetVersion(&found.driver) != cudaSuccess) {
    static_cast<void>(cudaGetLastError());
    found.driver = 0;
  }
  if (found.driver == 0) {
    throw Failure(code::kNoDevice,
                  "no NVIDIA driver is loaded (libcuda.so.1): install one, or give the container access to the GPU");
  }
  const cudaError_t status = cudaGetDeviceCount(&found.count);
  if (status != cudaSuccess) static_cast<void>(cudaGetLastError());
  if (status == cudaErrorInsufficientDriver) {
    throw Failure(code::kDriverTooOld, "the NVIDIA driver supports CUDA " + cudaVersionName(found.driver) +
                                           ", rvos was built with CUDA " + cudaVersionName(CUDART_VERSION) +
                                           ": update the driver");
  }
  if (status == cudaErrorNoDevice || (status == cudaSuccess && found.count == 0)) {
    throw Failure(code::kNoDevice, "the NVIDIA driver finds no GPU (is CUDA_VISIBLE_DEVICES set?)");
  }
  check(status, "CUDA does not start");
  return found;
}

}  // namespace

void requireDevice() { findDevices(); }

bool hasDevice() {
  try {
    findDevices();
    return true;
  } catch (const Failure&) {
    return false;
  }
}

DeviceQuery queryDevices() {
  const Found found = findDevices();
  DeviceQuery query;
  query.driverCudaVersion = cudaVersionName(found.driver);
  for (int index = 0; index < found.count; ++index) {
    try {
      query.devices.push_back(describe(index));
    } catch (const Failure& failure) {
      query.problems.push_back(failure.what());
    }
  }
  if (query.devices.empty()) throw Failure(code::kDeviceFailed, query.problems.front());
  return query;
}

}  // namespace rvos::tensorrt
