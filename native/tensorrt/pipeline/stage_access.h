// One stage of an open pipeline on tensors from outside, for `rvos stage` and tests: floats are float32 on the host
// whatever the engine takes. Allocates as it goes: nothing here is meant to be fast.
#pragma once

#include "engines/host_tensor.h"
#include "pipeline_slot.h"

namespace rvos::tensorrt {

/// `frames` [B,T,3,h,w], optional `frame_count` [B] → `level0..2` with exactly T frames. Throws BAD_ARGUMENT.
HostTensors runBackbone(PipelineSlot& slot, const HostTensors& inputs);

/// `level0..2` [B,T,…], `text_features`, `attention_mask`, optional `frame_count` (T) and `window_index` (0) →
/// `referred_score`, `query_index`, `mask_kernels`, `all_mask_kernels`, `mask_features` with exactly T frames.
HostTensors runTransformer(PipelineSlot& slot, const HostTensors& inputs);

}  // namespace rvos::tensorrt
