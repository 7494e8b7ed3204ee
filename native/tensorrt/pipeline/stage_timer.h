// GPU time by stage, from events between what is queued.
#pragma once

#include <cstddef>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "device/event.h"
#include "device/stream.h"

namespace rvos::tensorrt {

using StageTimes = std::map<std::string, double>;

class StageTimer {
 public:
  explicit StageTimer(const cuda::Stream& stream) : stream_(stream) {}

  void restart() { used_ = 0; }

  /// What `work` queues counts as `stage`.
  template <typename Work>
  void measure(const char* stage, Work&& work) {
    const size_t at = next(stage);
    spans_[at].start.record(stream_.get());
    work();
    spans_[at].end.record(stream_.get());
  }

  /// Milliseconds since `restart`. The stream must be idle.
  StageTimes times() const {
    StageTimes times;
    for (size_t i = 0; i < used_; ++i) times[spans_[i].stage] += spans_[i].end.millisecondsSince(spans_[i].start);
    return times;
  }

 private:
  struct Span {
    const char* stage;
    cuda::Event start{cuda::Event::Kind::Timing};
    cuda::Event end{cuda::Event::Kind::Timing};
  };

  /// Events are made when more spans are needed than ever before.
  size_t next(const char* stage) {
    if (used_ == spans_.size()) spans_.push_back(Span{stage});
    spans_[used_].stage = stage;
    return used_++;
  }

  const cuda::Stream& stream_;
  std::vector<Span> spans_;
  size_t used_ = 0;
};

}  // namespace rvos::tensorrt
