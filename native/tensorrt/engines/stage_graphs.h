// The shapes in which a slot has run its engines lately, each with an execution context of its own and, from its second
// run on, a CUDA graph: the first run lets the engine do once what it does once, the second is captured, all later
// ones replay it with a single call. A context is never given another shape, so no graph is invalidated by what runs
// after it; all of them share the slot's activation memory, as they never run at the same time. The shape used longest ago
// makes room for a new one.
#pragma once

#include <cstddef>
#include <functional>
#include <list>
#include <memory>
#include <string>
#include <tuple>

#include "device/graph.h"
#include "device/stream.h"
#include "pipeline/pipeline_limits.h"
#include "stage.h"

namespace rvos::tensorrt {

/// What distinguishes one way to run a stage from another.
struct StageKey {
  bool transformer = false;
  /// Frames per window: which backbone engine, or which profile.
  Form form = Form::Short;
  /// The transformer reads levels of kept frames.
  bool gathered = false;
  int windows = 0;
  int sentences = 0;
  int tokens = 0;

  bool operator==(const StageKey& other) const {
    const auto all = [](const StageKey& k) {
      return std::tie(k.transformer, k.form, k.gathered, k.windows, k.sentences, k.tokens);
    };
    return all(*this) == all(other);
  }
};

class StageGraphs {
 public:
  using MakeContext = std::function<std::unique_ptr<StageContext>()>;
  /// Told once for each shape that could not be captured and runs without a graph.
  using Note = std::function<void(const std::string&)>;

  /// `kept`: shapes at a time, at least 1.
  StageGraphs(const cuda::Stream& stream, size_t kept, Note note) : stream_(stream), kept_(kept), note_(std::move(note)) {}

  /// Queues the stage; `make` gives a context of this shape, everything bound, if there is none yet. Throws what `make`
  /// and the queueing throw.
  void run(const StageKey& key, const MakeContext& make);
  /// The stream must be idle.
  void clear() { entries_.clear(); }

 private:
  enum class Next { Capture, Replay, Plain };
  struct Entry {
    StageKey key;
    std::unique_ptr<StageContext> context;
    /// Destroyed before the context that it needs.
    cuda::GraphExec graph;
    Next next = Next::Capture;
  };

  Entry& made(const StageKey& key, const MakeContext& make);

  const cuda::Stream& stream_;
  size_t kept_;
  Note note_;
  /// Most recently used first.
  std::list<Entry> entries_;
};

}  // namespace rvos::tensorrt
