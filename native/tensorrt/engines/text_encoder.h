// Sentences to text features on the GPU. Runs seldom, so one call at a time, without graphs.
#pragma once

#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "memory/device_buffer.h"
#include "memory/pinned_buffer.h"
#include "device/stream.h"
#include "memory/memory_plan.h"
#include "stage.h"

namespace rvos::tensorrt {

struct TextEncoderLimits {
  int sentences = 0;
  int tokens = 0;
  int features = 0;
};

class TextEncoder {
 public:
  /// Throws BAD_ARGUMENT, BAD_ENGINE, OUT_OF_MEMORY, NO_DEVICE, DEVICE_FAILED.
  TextEncoder(int device, const TextEncoderLimits& limits, const std::string& engine, StageLoader& loader);
  ~TextEncoder();

  const TextEncoderLimits& limits() const { return limits_; }

  /// int64 [P,S] each → float32 [P,S,D]. Any thread; calls wait for each other. Throws BAD_ARGUMENT, DISPOSED.
  std::vector<float> encode(const int64_t* ids, const int64_t* mask, int sentences, int tokens);

  /// Waits for the call under way, frees everything. Any number of times.
  void dispose();

 private:
  struct Resources;

  const int device_;
  const TextEncoderLimits limits_;
  std::mutex mutex_;
  std::unique_ptr<Resources> resources_;
};

}  // namespace rvos::tensorrt
