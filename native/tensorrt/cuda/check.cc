// See check.h.
#include "check.h"

#include <string>

#include "../failure.h"

namespace rvos::cuda {

namespace {

ErrorCode codeOf(cudaError_t status) {
  switch (status) {
    case cudaErrorMemoryAllocation: return ErrorCode::OutOfMemory;
    case cudaErrorNoDevice:
    case cudaErrorInvalidDevice: return ErrorCode::NoDevice;
    case cudaErrorInsufficientDriver: return ErrorCode::DriverTooOld;
    default: return ErrorCode::DeviceFailed;
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

}  // namespace rvos::cuda
