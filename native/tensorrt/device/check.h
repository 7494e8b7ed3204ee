// Errors of the CUDA runtime as typed failures.
#pragma once

#include <cuda_runtime.h>

namespace rvos::tensorrt::cuda {

/// Throws a `Failure` that names the call: OUT_OF_MEMORY, NO_DEVICE, DRIVER_TOO_OLD, DEVICE_LOST (only a new
/// process can use the GPU again) or DEVICE_FAILED. The thread's last
/// error is cleared first, so that the next call starts afresh and the process stays usable.
void check(cudaError_t status, const char* call);

/// Whether the error stays: the context is gone, and every later call of this process answers with it.
bool isSticky(cudaError_t status) noexcept;

/// For destructors: a call that fails leaves no last error behind for somebody else to find.
void settle(cudaError_t status) noexcept;

/// Makes `device` current for the calling thread. Throws as `check`.
void useDevice(int device);

}  // namespace rvos::tensorrt::cuda
