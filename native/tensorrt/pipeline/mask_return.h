// From the transformer's outputs to what the caller gets: object queries (linked where asked for), scores, and bit-packed
// masks at the original size, made by the mask-head kernel and brought back through page-locked memory.
#pragma once

#include <vector>

#include "../../core/mask_head_job.h"
#include "batch_inputs.h"
#include "memory/slot_memory.h"
#include "memory/source_memory.h"
#include "stage_timer.h"

namespace rvos::tensorrt {

class MaskReturn {
 public:
  MaskReturn(const SlotMemory& slot, const SourceMemory& source, StageTimer& timer)
      : slot_(slot), source_(source), timer_(timer) {}

  /// The transformer has been queued for this pass, in `form`. Writes the sentences' scores and masks, and their object
  /// queries at their places in `chosen`; the stream is idle afterwards.
  void run(const BatchRequest& batch, const Pass& pass, Form form, std::vector<int>& chosen);

 private:
  /// Overwrites the object queries of sentences that go on with earlier masks.
  void link(const BatchRequest& batch, const Pass& pass, int frames);
  void chosenMasks(const BatchRequest& batch, const Pass& pass, int frames);
  void allMasks(const BatchRequest& batch, const Pass& pass, int frames);
  /// For the sentences from `first` on, still without what the masks are made of.
  MaskHeadJob job(int first, int sentences, int frames) const;
  void download(const Region& pinned, const Region& device, size_t bytes) const;

  const SlotMemory& slot_;
  const SourceMemory& source_;
  StageTimer& timer_;
};

}  // namespace rvos::tensorrt
