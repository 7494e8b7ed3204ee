// Launches the mask-head kernel (mask_head.cu); the job is described in native/core/mask_head_job.h.
#pragma once

#include <cuda_runtime_api.h>

#include "../../core/mask_head_job.h"

namespace rvos {

/// Queues one launch for all sentences, object queries and frames of the job. The memory it points to must live until
/// the stream has passed it; the struct itself is copied. May be captured in a graph.
cudaError_t launchMaskHead(const MaskHeadJob& job, cudaStream_t stream);

}  // namespace rvos
