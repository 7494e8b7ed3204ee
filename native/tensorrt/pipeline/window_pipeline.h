// Batches of windows through the whole network, several under way at once. Each slot has a thread, a CUDA stream and memory
// of its own; a thread takes the next batch in the order of the calls, so that while one window computes, the next is
// decoded, copied and preprocessed and the one before is brought back. Knows nothing of JavaScript: results are handed to
// a callback on the slot's thread.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <exception>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "engines/host_tensor.h"
#include "memory/memory_plan.h"
#include "pipeline_engines.h"
#include "pipeline_slot.h"
#include "stream_tails.h"

namespace rvos::tensorrt {

enum class SingleStage { Backbone, Transformer };

class WindowPipeline {
 public:
  /// Either a result or, `error` set, what went wrong.
  using Done = std::function<void(BatchResult result, std::exception_ptr error)>;
  using StageDone = std::function<void(HostTensors outputs, std::exception_ptr error)>;

  /// Opens the engines and allocates everything. Scratch sizes of the limits are replaced by what the engines want.
  /// Throws OUT_OF_MEMORY, BAD_ENGINE, BAD_ARGUMENT, NO_DEVICE, DEVICE_FAILED. `note` may be called on any slot's thread.
  WindowPipeline(int device, PipelineLimits limits, const PipelineFiles& files, const Normalisation& normalisation,
                 StageLoader& loader, StageGraphs::Note note);
  ~WindowPipeline() { dispose(); }

  const PipelineLimits& limits() const { return limits_; }
  MemoryPlan plan() const;
  StageTimes lastTimes() const;

  /// Queues a batch. What it points to must live until `done` has been called, which happens exactly once, on any
  /// thread. Throws BAD_ARGUMENT, DISPOSED; `done` is then never called.
  uint64_t submit(BatchRequest batch, Done done);
  /// A batch that has not started fails with CANCELLED now, one under way when it ends. Others: nothing happens.
  void cancel(uint64_t id);
  void forget(int64_t stream);
  void runStage(SingleStage stage, HostTensors inputs, StageDone done);

  /// Drops what has not started (DISPOSED), waits for what is under way, frees everything. Any number of times, from any
  /// thread but the slots'; returns when it is done.
  void dispose();

 private:
  struct Job {
    uint64_t id = 0;
    bool started = false;
    bool cancelled = false;
    /// Settles the job's caller. Called once.
    std::function<void(std::exception_ptr)> fail;
    std::function<void(PipelineSlot&)> run;
    /// Ends the turns of a job that never runs.
    std::function<void()> skip;
  };

  uint64_t push(const std::shared_ptr<Job>& job);
  void work(size_t slot);
  void perform(Job& job, PipelineSlot& slot);

  const int device_;
  PipelineLimits limits_;
  PipelineEngines engines_;
  std::unique_ptr<StreamTails> tails_;
  std::vector<std::unique_ptr<PipelineSlot>> slots_;
  std::vector<std::thread> threads_;

  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<std::shared_ptr<Job>> queue_;
  /// Queued or under way.
  std::vector<std::shared_ptr<Job>> open_;
  uint64_t lastId_ = 0;
  bool closing_ = false;
  StageTimes lastTimes_;
  /// Planning turns and queueing the batch are one step.
  std::mutex submitting_;
  std::mutex disposing_;
};

}  // namespace rvos::tensorrt
