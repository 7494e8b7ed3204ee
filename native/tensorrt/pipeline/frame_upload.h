// From the caller's frames to the backbone's input: host memory → page-locked staging → device → preprocess kernel, straight
// into the batch's `frames`. Frames are staged a few at a time in two pieces, so that the host fills one while the other
// is copied. What a window shares with the one before comes from the stream's tail instead.
#pragma once

#include <array>
#include <vector>

#include "device/event.h"
#include "memory/slot_memory.h"
#include "memory/source_memory.h"
#include "stage_timer.h"
#include "stream_tails.h"

namespace rvos::tensorrt {

class FrameUpload {
 public:
  FrameUpload(const SlotMemory& slot, const SourceMemory& source, StreamTails& tails, StageTimer& timer)
      : slot_(slot), source_(source), tails_(tails), timer_(timer) {}

  /// Queues all frames of a batch whose positions have been uploaded. Every turn is over afterwards, whatever happens.
  void run(const BatchRequest& batch, const std::vector<TailTurn>& turns);

 private:
  /// The new frames of one window; the first of them has place `first` in the table of positions.
  void stage(const BatchRequest& batch, const WindowRequest& window, size_t first);

  const SlotMemory& slot_;
  const SourceMemory& source_;
  StreamTails& tails_;
  StageTimer& timer_;
  /// The piece has been copied to the device.
  std::array<cuda::Event, kStagingPieces> copied_;
  int piece_ = 0;
};

}  // namespace rvos::tensorrt
