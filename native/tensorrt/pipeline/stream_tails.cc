// See stream_tails.h.
#include "stream_tails.h"

#include <algorithm>
#include <string>

#include "failure.h"
#include "memory/memory_plan.h"

namespace rvos::tensorrt {

StreamTails::StreamTails(const PipelineLimits& limits)
    : frameBytes_(frameElements(limits) * elementBytes(limits.element)),
      tailBytes_(tailBytes(limits)),
      memory_(limits.streams * tailBytes_),
      holdings_(limits.streams),
      buffers_(limits.streams) {}

std::vector<TailTurn> StreamTails::plan(const std::vector<WindowRequest>& windows, const SourceFormat& source) {
  const std::lock_guard<std::mutex> lock(planning_);
  std::vector<Holding> holdings = holdings_;
  uint64_t uses = uses_;
  std::vector<TailTurn> turns;
  for (const WindowRequest& window : windows) {
    auto found = std::find_if(holdings.begin(), holdings.end(), [&](const Holding& holding) {
      return holding.held && holding.stream == window.stream;
    });
    int from = 0;
    if (window.shared > 0) {
      const int64_t first = found == holdings.end() ? -1 : window.start - found->start;
      if (first < 0 || first + window.shared > found->count || found->source != source) {
        throw Failure(code::kBadArgument, "the " + std::to_string(window.shared) + " first frames from " +
                                              std::to_string(window.start) + " on of stream " +
                                              std::to_string(window.stream) +
                                              " are not on the GPU: give all frames of the window");
      }
      from = static_cast<int>(first);
    }
    if (found == holdings.end()) {
      found = std::min_element(holdings.begin(), holdings.end(), [](const Holding& a, const Holding& b) {
        return (a.held ? a.lastUse : 0) < (b.held ? b.lastUse : 0);
      });
    }
    found->stream = window.stream;
    found->held = true;
    found->start = window.start;
    found->count = window.count;
    found->source = source;
    found->lastUse = ++uses;
    turns.push_back({static_cast<size_t>(found - holdings.begin()), found->turns++, from});
  }
  holdings_ = std::move(holdings);
  uses_ = uses;
  return turns;
}

void StreamTails::forget(int64_t stream) {
  const std::lock_guard<std::mutex> lock(planning_);
  for (Holding& holding : holdings_) {
    if (holding.stream == stream) holding.held = false;
  }
}

void StreamTails::await(const TailTurn& turn) {
  std::unique_lock<std::mutex> lock(serving_);
  served_.wait(lock, [&] { return buffers_[turn.buffer].served == turn.turn; });
}

void StreamTails::begin(const TailTurn& turn, const cuda::Stream& stream, void* window, int shared) {
  await(turn);
  // From here to the end of the turn nobody else touches the buffer.
  Buffer& buffer = buffers_[turn.buffer];
  const bool valid = buffer.valid;
  buffer.valid = false;
  buffer.written.holdBack(stream.get());
  if (shared == 0) return;
  if (!valid) {
    throw Failure(code::kBadArgument, "the window that this one shares frames with was not run: give all its frames");
  }
  const size_t tail = turn.buffer * tailBytes_ + turn.from * frameBytes_;
  stream.copyOnDevice(window, memory_.at(tail), shared * frameBytes_);
}

void StreamTails::finish(const TailTurn& turn, const cuda::Stream& stream, void* window, int count) {
  Buffer& buffer = buffers_[turn.buffer];
  stream.copyOnDevice(memory_.at(turn.buffer * tailBytes_), window, count * frameBytes_);
  buffer.written.record(stream.get());
  buffer.valid = true;
}

void StreamTails::end(const TailTurn& turn) {
  {
    const std::lock_guard<std::mutex> lock(serving_);
    ++buffers_[turn.buffer].served;
  }
  served_.notify_all();
}

void StreamTails::skip(const TailTurn& turn) {
  await(turn);
  buffers_[turn.buffer].valid = false;
  end(turn);
}

}  // namespace rvos::tensorrt
