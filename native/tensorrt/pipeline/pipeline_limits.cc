// See pipeline_limits.h.
#include "pipeline_limits.h"

#include <algorithm>

#include "failure.h"

namespace rvos::tensorrt {

namespace {

/// Tokens are padded to a multiple of this.
constexpr int kTokenBucket = 8;

[[noreturn]] void refuse(const std::string& message) { throw Failure(code::kBadArgument, message); }

void within(const std::string& field, int64_t value, int64_t least, int64_t most) {
  if (value >= least && value <= most) return;
  refuse(field + " is " + std::to_string(value) + ", must be from " + std::to_string(least) + " to " +
         std::to_string(most));
}

std::string entry(const char* list, size_t index, const char* field) {
  return std::string(list) + "[" + std::to_string(index) + "]." + field;
}

}  // namespace

int PipelineLimits::paddedTokens(int count) const {
  return std::min(tokens, (count + kTokenBucket - 1) / kTokenBucket * kTokenBucket);
}

std::array<LevelSize, kLevels> levelSizes(const PipelineLimits& limits) {
  std::array<LevelSize, kLevels> sizes{};
  LevelSize size{limits.levelChannels, (limits.height + 3) / 4, (limits.width + 3) / 4};
  for (LevelSize& level : sizes) {
    level = size;
    size = {size.channels * 2, (size.height + 1) / 2, (size.width + 1) / 2};
  }
  return sizes;
}

const char* levelName(int level) {
  static constexpr const char* kNames[kLevels] = {"level0", "level1", "level2"};
  return kNames[level];
}

void checkLimits(const PipelineLimits& limits) {
  // Far beyond what any network has; small enough that no product of sizes overflows.
  constexpr int kExtent = 1 << 14;
  within("height", limits.height, 1, kExtent);
  within("width", limits.width, 1, kExtent);
  within("levelChannels", limits.levelChannels, 1, kExtent);
  within("objectQueries", limits.objectQueries, 1, kExtent);
  within("kernelSize", limits.kernelSize, 1, 1024);
  within("textFeatures", limits.textFeatures, 1, kExtent);
  within("shortFrames", limits.shortFrames, 1, 1024);
  within("longFrames", limits.longFrames, 0, 1024);
  if (limits.longFrames > 0) within("longFrames", limits.longFrames, limits.shortFrames + 1, 1024);
  within("windows", limits.windows, 1, 256);
  within("sentences", limits.sentences, 1, 1024);
  within("tokens", limits.tokens, 2, 4096);
  within("inFlight", limits.inFlight, 1, 16);
  within("streams", limits.streams, 1, 1024);
}

int keptFrames(const BatchRequest& batch, const WindowRequest& window) {
  return batch.keep.empty() ? window.count : static_cast<int>(batch.keep.size());
}

Form formOf(const PipelineLimits& limits, const BatchRequest& batch) {
  return batch.windows.front().count <= limits.shortFrames ? Form::Short : Form::Long;
}

bool keepsAll(const BatchRequest& batch) {
  if (batch.keep.empty()) return true;
  for (size_t i = 0; i < batch.keep.size(); ++i) {
    if (batch.keep[i] != static_cast<int>(i)) return false;
  }
  return std::all_of(batch.windows.begin(), batch.windows.end(), [&](const WindowRequest& window) {
    return window.count == static_cast<int>(batch.keep.size());
  });
}

void checkBatch(const PipelineLimits& limits, const BatchRequest& batch) {
  within("windows' number", static_cast<int64_t>(batch.windows.size()), 1, limits.windows);
  int fewest = limits.mostFrames();
  int most = 0;
  for (size_t i = 0; i < batch.windows.size(); ++i) {
    const WindowRequest& window = batch.windows[i];
    within(entry("windows", i, "count"), window.count, 1, limits.mostFrames());
    within(entry("windows", i, "shared"), window.shared, 0, window.count);
    const auto frames = static_cast<int64_t>(window.frames.size());
    within(entry("windows", i, "frames' number"), frames, window.count - window.shared, window.count - window.shared);
    fewest = std::min(fewest, window.count);
    most = std::max(most, window.count);
  }
  if (fewest <= limits.shortFrames && most > limits.shortFrames) {
    refuse("windows of " + std::to_string(fewest) + " and of " + std::to_string(most) +
           " frames need different engines and cannot share a batch");
  }
  if (!batch.keep.empty() && !keepsAll(batch)) {
    within("keep's length", static_cast<int64_t>(batch.keep.size()), 1, limits.shortFrames);
    for (size_t i = 0; i < batch.keep.size(); ++i) {
      within("keep[" + std::to_string(i) + "]", batch.keep[i], 0, fewest - 1);
    }
  }
  const auto last = static_cast<int64_t>(batch.windows.size()) - 1;
  for (size_t i = 0; i < batch.sentences.size(); ++i) {
    const SentenceRequest& sentence = batch.sentences[i];
    within(entry("sentences", i, "window"), sentence.window, 0, last);
    within(entry("sentences", i, "tokens"), sentence.tokens, 1, limits.tokens);
    const int kept = keptFrames(batch, batch.windows[static_cast<size_t>(sentence.window)]);
    within(entry("sentences", i, "link's length"), static_cast<int64_t>(sentence.link.size()), 0, kept);
  }
}

}  // namespace rvos::tensorrt
