// See window_pipeline.h.
#include "window_pipeline.h"

#include <algorithm>
#include <utility>

#include "failure.h"
#include "stage_access.h"

namespace rvos::tensorrt {

namespace {

std::exception_ptr failure(const char* code, const std::string& message) {
  return std::make_exception_ptr(Failure(code, message));
}

}  // namespace

WindowPipeline::WindowPipeline(int device, PipelineLimits limits, const PipelineFiles& files,
                               const Normalisation& normalisation, StageLoader& loader, StageGraphs::Note note)
    : device_(device), limits_(limits) {
  checkLimits(limits_);
  cuda::useDevice(device_);
  engines_ = openEngines(files, loader, limits_);
  tails_ = std::make_unique<StreamTails>(limits_);
  for (int i = 0; i < limits_.inFlight; ++i) {
    slots_.push_back(std::make_unique<PipelineSlot>(limits_, engines_, normalisation, *tails_, note));
  }
  try {
    for (size_t i = 0; i < slots_.size(); ++i) threads_.emplace_back([this, i] { work(i); });
  } catch (...) {
    dispose();
    throw;
  }
}

MemoryPlan WindowPipeline::plan() const { return planMemory(limits_, std::nullopt); }

StageTimes WindowPipeline::lastTimes() const {
  const std::lock_guard<std::mutex> lock(mutex_);
  return lastTimes_;
}

uint64_t WindowPipeline::submit(BatchRequest batch, Done done) {
  checkBatch(limits_, batch);
  // Turns with the tails must be planned in the order in which batches are queued.
  const std::lock_guard<std::mutex> lock(submitting_);
  {
    const std::lock_guard<std::mutex> state(mutex_);
    if (closing_) throw Failure(code::kDisposed, "the pipeline was disposed: open a new one");
  }
  auto job = std::make_shared<Job>();
  const auto request = std::make_shared<const BatchRequest>(std::move(batch));
  const std::vector<TailTurn> turns = tails_->plan(request->windows, request->source);
  job->fail = [done](std::exception_ptr error) { done({}, std::move(error)); };
  job->skip = [this, turns] {
    for (const TailTurn& turn : turns) tails_->skip(turn);
  };
  Job* self = job.get();
  job->run = [this, self, request, turns, done](PipelineSlot& slot) {
    BatchResult result = slot.run(*request, turns);
    bool cancelled;
    {
      const std::lock_guard<std::mutex> state(mutex_);
      lastTimes_ = result.times;
      cancelled = self->cancelled;
    }
    if (cancelled) throw Failure(code::kCancelled, "the batch was cancelled");
    done(std::move(result), nullptr);
  };
  return push(job);
}

void WindowPipeline::runStage(SingleStage stage, HostTensors inputs, StageDone done) {
  {
    const std::lock_guard<std::mutex> state(mutex_);
    if (closing_) throw Failure(code::kDisposed, "the pipeline was disposed: open a new one");
  }
  auto job = std::make_shared<Job>();
  job->fail = [done](std::exception_ptr error) { done({}, std::move(error)); };
  job->skip = [] {};
  const auto given = std::make_shared<const HostTensors>(std::move(inputs));
  job->run = [stage, given, done](PipelineSlot& slot) {
    HostTensors outputs =
        stage == SingleStage::Backbone ? runBackbone(slot, *given) : runTransformer(slot, *given);
    done(std::move(outputs), nullptr);
  };
  push(job);
}

uint64_t WindowPipeline::push(const std::shared_ptr<Job>& job) {
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    job->id = ++lastId_;
    queue_.push_back(job);
    open_.push_back(job);
  }
  changed_.notify_one();
  return job->id;
}

void WindowPipeline::cancel(uint64_t id) {
  std::shared_ptr<Job> dropped;
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    for (const std::shared_ptr<Job>& job : open_) {
      if (job->id != id || job->cancelled) continue;
      job->cancelled = true;
      if (!job->started) dropped = job;
    }
  }
  if (dropped) dropped->fail(failure(code::kCancelled, "the batch was cancelled"));
}

void WindowPipeline::forget(int64_t stream) {
  const std::lock_guard<std::mutex> lock(submitting_);
  if (tails_) tails_->forget(stream);
}

void WindowPipeline::work(size_t slot) {
  std::unique_lock<std::mutex> lock(mutex_);
  for (;;) {
    changed_.wait(lock, [&] { return closing_ || !queue_.empty(); });
    if (queue_.empty()) return;
    const std::shared_ptr<Job> job = std::move(queue_.front());
    queue_.pop_front();
    const bool dropped = job->cancelled;
    job->started = true;
    lock.unlock();
    // A dropped job's caller has been told; its place in the order of the tails is still its own.
    if (dropped) {
      job->skip();
    } else {
      perform(*job, *slots_[slot]);
    }
    lock.lock();
    open_.erase(std::find(open_.begin(), open_.end(), job));
  }
}

void WindowPipeline::perform(Job& job, PipelineSlot& slot) {
  try {
    cuda::useDevice(device_);
    job.run(slot);
  } catch (...) {
    job.fail(std::current_exception());
  }
}

void WindowPipeline::dispose() {
  const std::lock_guard<std::mutex> disposing(disposing_);
  std::vector<std::shared_ptr<Job>> dropped;
  {
    const std::lock_guard<std::mutex> submitting(submitting_);
    const std::lock_guard<std::mutex> lock(mutex_);
    closing_ = true;
    for (const std::shared_ptr<Job>& job : queue_) {
      if (!job->cancelled) dropped.push_back(job);
      job->cancelled = true;
    }
  }
  changed_.notify_all();
  for (const auto& job : dropped) job->fail(failure(code::kDisposed, "the pipeline was disposed"));
  for (std::thread& thread : threads_) thread.join();
  threads_.clear();
  if (slots_.empty() && !tails_) return;
  try {
    cuda::useDevice(device_);
  } catch (const Failure&) {
    // Freeing works for what is there, or there is nothing left to free.
  }
  slots_.clear();
  const std::lock_guard<std::mutex> submitting(submitting_);
  tails_.reset();
  engines_ = {};
}

}  // namespace rvos::tensorrt
