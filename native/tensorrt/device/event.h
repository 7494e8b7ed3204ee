// A point in a stream's work.
#pragma once

#include <utility>

#include "check.h"

namespace rvos::tensorrt::cuda {

class Event {
 public:
  enum class Kind { Ordering, Timing };

  /// Waiting for it on the host sleeps rather than spins: the CPU is busy decoding meanwhile.
  explicit Event(Kind kind = Kind::Ordering) {
    const unsigned flags = cudaEventBlockingSync | (kind == Kind::Ordering ? cudaEventDisableTiming : 0);
    check(cudaEventCreateWithFlags(&event_, flags), "cudaEventCreateWithFlags");
  }
  Event(Event&& other) noexcept : event_(std::exchange(other.event_, nullptr)) {}
  Event& operator=(Event&& other) noexcept {
    std::swap(event_, other.event_);
    return *this;
  }
  ~Event() {
    if (event_ != nullptr) settle(cudaEventDestroy(event_));
  }

  void record(cudaStream_t stream) { check(cudaEventRecord(event_, stream), "cudaEventRecord"); }
  /// Work queued in `stream` from now on waits for what was recorded last; at once if nothing was.
  void holdBack(cudaStream_t stream) const { check(cudaStreamWaitEvent(stream, event_, 0), "cudaStreamWaitEvent"); }
  /// The calling thread waits for what was recorded last.
  void wait() const { check(cudaEventSynchronize(event_), "cudaEventSynchronize"); }
  /// Both have been reached and are of the Timing kind.
  float millisecondsSince(const Event& start) const {
    float milliseconds = 0;
    check(cudaEventElapsedTime(&milliseconds, start.event_, event_), "cudaEventElapsedTime");
    return milliseconds;
  }

 private:
  cudaEvent_t event_ = nullptr;
};

}  // namespace rvos::tensorrt::cuda
