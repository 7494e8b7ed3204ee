// Errors of the CUDA runtime as typed failures.
#pragma once

#include <cuda_runtime.h>

namespace rvos::tensorrt::cuda {

/// Throws a `Failure` that names the call: OUT_OF_MEMORY, NO_DEVICE, DRIVER_TOO_OLD or DEVICE_FAILED. The thread's last
/// error is cleared first, so that the next call starts afresh and the process stays usable.
void check(cudaError_t status, const char* call);

/// For destructors: a call that fails leaves no last error behind for somebody else to find.
void settle(cudaError_t status) noexcept;

/// Makes `device` current for the calling thread. Throws as `check`.
void useDevice(int device);

}  // namespace rvos::tensorrt::cuda
