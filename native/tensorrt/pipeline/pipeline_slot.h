// One place for a batch under way: everything it needs from upload to masks, used by one thread.
#pragma once

#include <vector>

#include "frame_upload.h"
#include "mask_return.h"
#include "network_stages.h"
#include "memory/slot_memory.h"
#include "memory/source_memory.h"
#include "stage_timer.h"
#include "stream_tails.h"

namespace rvos::tensorrt {

struct BatchResult {
  /// One a sentence.
  std::vector<int> objectQueries;
  StageTimes times;
};

class PipelineSlot {
 public:
  /// Throws OUT_OF_MEMORY, DEVICE_FAILED.
  PipelineSlot(const PipelineLimits& limits, const PipelineEngines& engines, const Normalisation& normalisation,
               StreamTails& tails, StageGraphs::Note note);
  /// Waits for what is queued.
  ~PipelineSlot();

  /// Runs a batch to its end. Its turns with the tails are over afterwards, whatever happens.
  BatchResult run(const BatchRequest& batch, const std::vector<TailTurn>& turns);

  const SlotMemory& memory() const { return memory_; }
  NetworkStages& network() { return network_; }

 private:
  BatchResult runNetwork(const BatchRequest& batch, const Pass& firstPass);

  SlotMemory memory_;
  SourceMemory source_;
  StreamTails& tails_;
  StageTimer timer_;
  NetworkStages network_;
  FrameUpload upload_;
  MaskReturn masks_;
};

}  // namespace rvos::tensorrt
