// The small inputs of a batch, gathered in page-locked memory and uploaded in one copy for each pass of the transformer.
#pragma once

#include <cstddef>

#include "memory/slot_memory.h"

namespace rvos::tensorrt {

/// Sentences that pass the transformer together.
struct Pass {
  size_t first = 0;
  int sentences = 0;
  /// Length of the tokens' axis.
  int tokens = 0;
};

Pass passFrom(const PipelineLimits& limits, const BatchRequest& batch, size_t first);

/// Queues the inputs of the first pass and of the batch itself. The slot's stream must be idle.
void uploadBatchInputs(const SlotMemory& slot, const BatchRequest& batch, const Pass& pass);
/// Queues the inputs of a further pass. The slot's stream must be idle.
void uploadPassInputs(const SlotMemory& slot, const BatchRequest& batch, const Pass& pass);

}  // namespace rvos::tensorrt
