// Launches the preprocess kernel (preprocess.cu); the job is described in native/core/preprocess_job.h.
#pragma once

#include <cuda_runtime_api.h>

#include "../../core/preprocess_job.h"

namespace rvos {

/// Queues one launch for all frames of the job; nothing if it has none. The memory it points to must live until the
/// stream has passed it; the struct itself is copied. May be captured in a graph.
cudaError_t launchPreprocess(const PreprocessJob& job, cudaStream_t stream);

}  // namespace rvos
