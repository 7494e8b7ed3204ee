// See stage_graphs.h.
#include "stage_graphs.h"

#include <algorithm>

#include "failure.h"

namespace rvos::tensorrt {

StageGraphs::Entry& StageGraphs::made(const StageKey& key, const MakeContext& make) {
  if (entries_.size() >= kept_) {
    // What goes may still be running.
    stream_.synchronize();
    while (entries_.size() >= kept_) entries_.pop_back();
  }
  std::unique_ptr<StageContext> context = make();
  entries_.emplace_front();
  entries_.front().key = key;
  entries_.front().context = std::move(context);
  return entries_.front();
}

void StageGraphs::run(const StageKey& key, const MakeContext& make) {
  const auto found =
      std::find_if(entries_.begin(), entries_.end(), [&](const Entry& entry) { return entry.key == key; });
  if (found == entries_.end()) {
    Entry& entry = made(key, make);
    try {
      entry.context->enqueue(stream_.get());
    } catch (...) {
      // It has not done once what it does once: next time a new one tries.
      entries_.pop_front();
      throw;
    }
    return;
  }
  entries_.splice(entries_.begin(), entries_, found);
  Entry& entry = entries_.front();
  if (entry.next == Next::Capture) {
    try {
      if (!entry.context->capturable(stream_.get())) {
        throw Failure(code::kDeviceFailed, "the engine allocates memory while it runs");
      }
      entry.graph = cuda::GraphExec::capture(stream_, [&] { entry.context->enqueue(stream_.get()); });
      entry.next = Next::Replay;
    } catch (const Failure& failure) {
      entry.next = Next::Plain;
      note_(std::string("the ") + (key.transformer ? "transformer" : "backbone") +
            " runs without a CUDA graph, which could not be captured: " + failure.what());
    }
  }
  if (entry.next == Next::Replay) {
    entry.graph.launch(stream_);
  } else {
    entry.context->enqueue(stream_.get());
  }
}

}  // namespace rvos::tensorrt
