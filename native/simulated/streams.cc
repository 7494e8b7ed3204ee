// See streams.h.
#include "streams.h"

#include <cstring>

#include "device_memory.h"
#include "stream_state.h"

namespace {

using rvos::simulated::DeviceState;
using rvos::simulated::Step;

thread_local cudaError_t lastError = cudaSuccess;

void count(const char* kind) {
  DeviceState& all = rvos::simulated::device();
  const std::lock_guard<std::mutex> lock(all.mutex);
  if (std::strcmp(kind, "kernel") == 0) ++all.counters.kernels;
  if (std::strcmp(kind, "stage") == 0) ++all.counters.stages;
}

void deviceFails(cudaError_t status) {
  DeviceState& all = rvos::simulated::device();
  const std::lock_guard<std::mutex> lock(all.mutex);
  if (all.status == cudaSuccess) all.status = status;
}

}  // namespace

SimulatedStream::SimulatedStream() {
  DeviceState& all = rvos::simulated::device();
  {
    const std::lock_guard<std::mutex> lock(all.mutex);
    number_ = ++all.streams;
  }
  thread_ = std::thread([this] { work(); });
}

SimulatedStream::~SimulatedStream() {
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    closing_ = true;
  }
  changed_.notify_all();
  thread_.join();
}

void SimulatedStream::push(Step step) {
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    queue_.push_back(std::move(step));
  }
  changed_.notify_all();
}

void SimulatedStream::drain() {
  std::unique_lock<std::mutex> lock(mutex_);
  changed_.wait(lock, [&] { return queue_.empty() && !busy_; });
}

void SimulatedStream::dawdle() {
  const DeviceState& all = rvos::simulated::device();
  const unsigned delay = all.delay;
  if (delay == 0) return;
  if (seed_ != all.seed) {
    seed_ = all.seed;
    random_.seed(seed_ * 1000003 + number_);
  }
  // Most operations follow at once; some come late.
  if (random_() % 4 == 0) std::this_thread::sleep_for(std::chrono::microseconds(random_() % delay));
}

void SimulatedStream::work() {
  std::unique_lock<std::mutex> lock(mutex_);
  for (;;) {
    changed_.wait(lock, [&] { return closing_ || !queue_.empty(); });
    if (queue_.empty()) return;
    {
      const Step step = std::move(queue_.front());
      queue_.pop_front();
      busy_ = true;
      lock.unlock();
      dawdle();
      rvos::simulated::runStep(step);
    }
    lock.lock();
    busy_ = false;
    if (queue_.empty()) changed_.notify_all();
  }
}

namespace rvos::simulated {

DeviceState& device() {
  static DeviceState* const state = new DeviceState;
  return *state;
}

void runStep(const Step& step) {
  // Events are reached whatever happened: nobody waits for ever.
  const bool event = std::strcmp(step.kind, "record") == 0;
  if (!event && deviceStatus() != cudaSuccess) return;
  try {
    step.run();
    count(step.kind);
  } catch (const IllegalAddress&) {
    deviceFails(cudaErrorIllegalAddress);
  } catch (...) {
    deviceFails(cudaErrorLaunchFailure);
  }
}

cudaError_t failed(cudaError_t status) {
  if (status != cudaSuccess) lastError = status;
  return status;
}

cudaError_t deviceStatus() {
  const std::lock_guard<std::mutex> lock(device().mutex);
  return device().status;
}

cudaError_t enqueue(cudaStream_t stream, const char* kind, Operation operation) {
  if (stream == nullptr) return failed(cudaErrorInvalidResourceHandle);
  if (const cudaError_t status = deviceStatus(); status != cudaSuccess) return failed(status);
  if (stream->graph) {
    stream->graph->steps.push_back({kind, std::move(operation)});
  } else {
    stream->push({kind, std::move(operation)});
  }
  return cudaSuccess;
}

void delayOperations(uint64_t seed, unsigned microseconds) {
  device().seed = seed;
  device().delay = microseconds;
}

void failCaptures(unsigned count) { device().failingCaptures = count; }

void recover() {
  const std::lock_guard<std::mutex> lock(device().mutex);
  device().status = cudaSuccess;
}

StreamCounters streamCounters() {
  const std::lock_guard<std::mutex> lock(device().mutex);
  return device().counters;
}

void countCopy(cudaMemcpyKind kind, size_t bytes) {
  const std::lock_guard<std::mutex> lock(device().mutex);
  StreamCounters& counters = device().counters;
  if (kind == cudaMemcpyHostToDevice) {
    ++counters.hostToDevice;
    counters.hostToDeviceBytes += bytes;
  } else if (kind == cudaMemcpyDeviceToHost) {
    ++counters.deviceToHost;
  } else {
    ++counters.deviceToDevice;
  }
}

}  // namespace rvos::simulated

cudaError_t cudaGetLastError() { return std::exchange(lastError, cudaSuccess); }
cudaError_t cudaPeekAtLastError() { return lastError; }
