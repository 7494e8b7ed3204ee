// See check.h.
#include "check.h"

#include <string>

#include "../failure.h"

namespace rvos::tensorrt::cuda {

namespace {

const char* codeOf(cudaError_t status) {
  switch (status) {
    case cudaErrorMemoryAllocation: return code::kOutOfMemory;
    case cudaErrorNoDevice:
    case cudaErrorInvalidDevice: return code::kNoDevice;
    case cudaErrorInsufficientDriver: return code::kDriverTooOld;
    default: return code::kDeviceFailed;
  }
}

}  // namespace

void check(cudaError_t status, const char* call) {
  if (status == cudaSuccess) return;
  cudaGetLastError();
  throw Failure(codeOf(status), std::string(call) + ": " + cudaGetErrorString(status) + " (" +
                                    cudaGetErrorName(status) + ")");
}

void settle(cudaError_t status) noexcept {
  if (status != cudaSuccess) cudaGetLastError();
}

void useDevice(int device) { check(cudaSetDevice(device), "cudaSetDevice"); }

}  // namespace rvos::tensorrt::cuda
