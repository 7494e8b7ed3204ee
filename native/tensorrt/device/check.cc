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
    default: return isSticky(status) ? code::kDeviceLost : code::kDeviceFailed;
  }
}

}  // namespace

void check(cudaError_t status, const char* call) {
  if (status == cudaSuccess) return;
  cudaGetLastError();
  throw Failure(codeOf(status), std::string(call) + ": " + cudaGetErrorString(status) + " (" +
                                    cudaGetErrorName(status) + ")" +
                                    (isSticky(status) ? ": this process has lost the GPU" : ""));
}

bool isSticky(cudaError_t status) noexcept {
  switch (status) {
    case cudaErrorECCUncorrectable:
    case cudaErrorIllegalAddress:
    case cudaErrorLaunchTimeout:
    case cudaErrorContextIsDestroyed:
    case cudaErrorAssert:
    case cudaErrorHardwareStackError:
    case cudaErrorIllegalInstruction:
    case cudaErrorMisalignedAddress:
    case cudaErrorInvalidAddressSpace:
    case cudaErrorInvalidPc:
    case cudaErrorLaunchFailure:
    case cudaErrorUnknown: return true;
    default: return false;
  }
}

void settle(cudaError_t status) noexcept {
  if (status != cudaSuccess) cudaGetLastError();
}

void useDevice(int device) { check(cudaSetDevice(device), "cudaSetDevice"); }

}  // namespace rvos::tensorrt::cuda
