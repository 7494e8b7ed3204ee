// The last window of each video, preprocessed, on the GPU: the next window copies the frames it shares from here instead
// of uploading and preprocessing them again.
//
// Two orders must agree. On the caller's thread windows are planned in the order of the calls: which buffer a stream has
// (the least recently used stream loses its own), and whether the frames it wants to share are there. On the slots'
// threads each use of a buffer waits until the use before it has been queued, then lets the GPU wait for its event.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <vector>

#include "memory/device_buffer.h"
#include "device/event.h"
#include "device/stream.h"
#include "pipeline_limits.h"

namespace rvos::tensorrt {

/// One window's turn with a tail buffer.
struct TailTurn {
  size_t buffer = 0;
  uint64_t turn = 0;
  /// Position in the tail of the first shared frame.
  int from = 0;
};

class StreamTails {
 public:
  explicit StreamTails(const PipelineLimits& limits);

  /// Turns for the windows of a batch, all or none. Throws BAD_ARGUMENT when a window shares frames that the window
  /// before it did not have, or that are not held (any more).
  std::vector<TailTurn> plan(const std::vector<WindowRequest>& windows, const SourceFormat& source);

  /// The stream's buffer may be had by others. Frames in it are lost.
  void forget(int64_t stream);

  /// Queues one window's share of the work in `stream`, when its turn has come: `window` is where its frames lie in the
  /// batch. First `shared` frames are copied there, then `makeFrames` queues the others, then all `count` become the
  /// tail. Throws what goes wrong; the turn is over in any case.
  template <typename MakeFrames>
  void use(const TailTurn& turn, const cuda::Stream& stream, void* window, int shared, int count,
           MakeFrames&& makeFrames) {
    const Ended ended{*this, turn};
    begin(turn, stream, window, shared);
    makeFrames();
    finish(turn, stream, window, count);
  }

  /// A window that never runs: its turn is over, and with it what it would have left.
  void skip(const TailTurn& turn);

 private:
  struct Holding {
    int64_t stream = 0;
    bool held = false;
    int64_t start = 0;
    int count = 0;
    SourceFormat source;
    uint64_t lastUse = 0;
    uint64_t turns = 0;
  };
  struct Buffer {
    cuda::Event written;
    /// Turns that are over.
    uint64_t served = 0;
    /// Holds what the last turn was to leave.
    bool valid = false;
  };
  /// Ends the turn whatever happens.
  struct Ended {
    StreamTails& tails;
    const TailTurn& turn;
    ~Ended() { tails.end(turn); }
  };

  void begin(const TailTurn& turn, const cuda::Stream& stream, void* window, int shared);
  void finish(const TailTurn& turn, const cuda::Stream& stream, void* window, int count);
  void end(const TailTurn& turn);
  void await(const TailTurn& turn);

  size_t frameBytes_;
  size_t tailBytes_;
  cuda::DeviceBuffer memory_;

  std::mutex planning_;
  std::vector<Holding> holdings_;
  uint64_t uses_ = 0;

  std::mutex serving_;
  std::condition_variable served_;
  std::vector<Buffer> buffers_;
};

}  // namespace rvos::tensorrt
