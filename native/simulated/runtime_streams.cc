// Streams, events and graphs under the names of the CUDA runtime.
#include <cuda_runtime.h>

#include "stream_state.h"
#include "streams.h"

namespace sim = rvos::simulated;
using sim::device;
using sim::failed;
using sim::Step;
using Clock = std::chrono::steady_clock;

namespace {

thread_local cudaStream_t captured = nullptr;

}  // namespace

bool rvos::simulated::capturing() {
  if (captured == nullptr) return false;
  captured->captureBroken = true;
  return true;
}

cudaError_t cudaStreamCreateWithFlags(cudaStream_t* stream, unsigned) {
  *stream = new SimulatedStream;
  return cudaSuccess;
}

cudaError_t cudaStreamDestroy(cudaStream_t stream) {
  delete stream;
  return cudaSuccess;
}

cudaError_t cudaStreamSynchronize(cudaStream_t stream) {
  if (stream->graph) {
    stream->captureBroken = true;
    return failed(cudaErrorStreamCaptureUnsupported);
  }
  stream->drain();
  return failed(sim::deviceStatus());
}

cudaError_t cudaStreamWaitEvent(cudaStream_t stream, cudaEvent_t event, unsigned) {
  if (stream->graph) {
    stream->captureBroken = true;
    return failed(cudaErrorStreamCaptureUnsupported);
  }
  const auto state = event->state;
  uint64_t version;
  {
    const std::lock_guard<std::mutex> lock(state->mutex);
    version = state->recorded;
  }
  stream->push({"wait", [state, version] { state->wait(version); }});
  return cudaSuccess;
}

cudaError_t cudaEventCreateWithFlags(cudaEvent_t* event, unsigned flags) {
  *event = new SimulatedEvent;
  (*event)->flags = flags;
  return cudaSuccess;
}

cudaError_t cudaEventDestroy(cudaEvent_t event) {
  delete event;
  return cudaSuccess;
}

cudaError_t cudaEventRecord(cudaEvent_t event, cudaStream_t stream) {
  if (stream->graph) {
    stream->captureBroken = true;
    return failed(cudaErrorStreamCaptureUnsupported);
  }
  const auto state = event->state;
  uint64_t version;
  {
    const std::lock_guard<std::mutex> lock(state->mutex);
    version = ++state->recorded;
  }
  const auto reach = [state, version] {
    const std::lock_guard<std::mutex> lock(state->mutex);
    state->completed = version;
    state->time = Clock::now();
    state->reached.notify_all();
  };
  stream->push({"record", reach});
  return failed(sim::deviceStatus());
}

cudaError_t cudaEventSynchronize(cudaEvent_t event) {
  const auto state = event->state;
  uint64_t version;
  {
    const std::lock_guard<std::mutex> lock(state->mutex);
    version = state->recorded;
  }
  state->wait(version);
  return failed(sim::deviceStatus());
}

cudaError_t cudaEventElapsedTime(float* milliseconds, cudaEvent_t start, cudaEvent_t end) {
  if (((start->flags | end->flags) & cudaEventDisableTiming) != 0) return failed(cudaErrorInvalidResourceHandle);
  const auto timeOf = [](cudaEvent_t event, Clock::time_point& time) {
    const std::lock_guard<std::mutex> lock(event->state->mutex);
    time = event->state->time;
    return event->state->recorded > 0 && event->state->completed == event->state->recorded;
  };
  Clock::time_point from;
  Clock::time_point to;
  if (!timeOf(start, from) || !timeOf(end, to)) return failed(cudaErrorNotReady);
  *milliseconds = std::chrono::duration<float, std::milli>(to - from).count();
  return cudaSuccess;
}

cudaError_t cudaStreamBeginCapture(cudaStream_t stream, cudaStreamCaptureMode) {
  if (stream->graph) return failed(cudaErrorStreamCaptureUnsupported);
  stream->graph = std::make_unique<SimulatedGraph>();
  stream->captureBroken = false;
  captured = stream;
  return cudaSuccess;
}

cudaError_t cudaStreamEndCapture(cudaStream_t stream, cudaGraph_t* graph) {
  *graph = nullptr;
  if (!stream->graph || captured != stream) return failed(cudaErrorInvalidValue);
  std::unique_ptr<SimulatedGraph> done = std::move(stream->graph);
  captured = nullptr;
  unsigned failing = device().failingCaptures;
  if (failing > 0) {
    device().failingCaptures = failing - 1;
    stream->captureBroken = true;
  }
  if (stream->captureBroken) return failed(cudaErrorStreamCaptureInvalidated);
  {
    const std::lock_guard<std::mutex> lock(device().mutex);
    ++device().counters.graphsCaptured;
  }
  *graph = done.release();
  return cudaSuccess;
}

cudaError_t cudaGraphInstantiateWithFlags(cudaGraphExec_t* exec, cudaGraph_t graph, unsigned long long) {
  *exec = new SimulatedGraphExec{std::make_shared<const std::vector<Step>>(graph->steps)};
  return cudaSuccess;
}

cudaError_t cudaGraphLaunch(cudaGraphExec_t exec, cudaStream_t stream) {
  if (stream->graph) return failed(cudaErrorStreamCaptureUnsupported);
  if (const cudaError_t status = sim::deviceStatus(); status != cudaSuccess) return failed(status);
  {
    const std::lock_guard<std::mutex> lock(device().mutex);
    ++device().counters.graphLaunches;
  }
  stream->push({"graph", [steps = exec->steps, stream] {
                  for (const Step& step : *steps) {
                    stream->dawdle();
                    sim::runStep(step);
                  }
                }});
  return cudaSuccess;
}

cudaError_t cudaGraphDestroy(cudaGraph_t graph) {
  delete graph;
  return cudaSuccess;
}

cudaError_t cudaGraphExecDestroy(cudaGraphExec_t exec) {
  delete exec;
  return cudaSuccess;
}
