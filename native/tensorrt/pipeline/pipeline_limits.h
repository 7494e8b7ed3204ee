// What a window pipeline is laid out for, and what it is given: plain values, no memory of their own. The same terms as
// in src/native/tensorrt-addon.ts.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "../../core/preprocess_job.h"

namespace rvos::tensorrt {

/// A backbone engine and the transformer profile of as many frames.
enum class Form { Short, Long };

struct PipelineLimits {
  int height = 0;
  int width = 0;
  int levelChannels = 0;
  int objectQueries = 0;
  int kernelSize = 0;
  int textFeatures = 0;
  int shortFrames = 0;
  int longFrames = 0;
  int windows = 0;
  int sentences = 0;
  int tokens = 0;
  int inFlight = 0;
  int streams = 0;
  size_t shortScratch = 0;
  size_t longScratch = 0;
  size_t transformerScratch = 0;
  /// Of frames, levels and mask features; engines say which.
  ElementType element = ElementType::kFloat16;

  int frames(Form form) const { return form == Form::Short ? shortFrames : longFrames; }
  int mostFrames() const { return longFrames > shortFrames ? longFrames : shortFrames; }
  /// Length of the tokens' axis that `tokens` tokens are padded to, so that few shapes occur.
  int paddedTokens(int count) const;
};

inline constexpr int kLevels = 3;

/// Height and width of feature level i: stride 4·2^i, rounded up at each step.
struct LevelSize {
  int channels;
  int height;
  int width;
};
std::array<LevelSize, kLevels> levelSizes(const PipelineLimits& limits);

/// `level0`, …
const char* levelName(int level);

/// Frames as a decoder gives them.
struct SourceFormat {
  int height = 0;
  int width = 0;
  PixelFormat format = PixelFormat::kRgb;
  bool antialias = true;

  bool operator==(const SourceFormat& other) const {
    return height == other.height && width == other.width && format == other.format && antialias == other.antialias;
  }
  bool operator!=(const SourceFormat& other) const { return !(*this == other); }
};

struct WindowRequest {
  int64_t stream = 0;
  int64_t start = 0;
  int count = 0;
  int shared = 0;
  /// count − shared frames in the caller's memory, `pitch` bytes a row.
  std::vector<const uint8_t*> frames;
};

struct SentenceRequest {
  int window = 0;
  int tokens = 0;
  /// float32 [tokens, D]
  const float* features = nullptr;
  /// Bit-packed masks of the window's first frames; empty: no linking.
  std::vector<const uint8_t*> link;
  /// Written: float32 [N], and the masks one after another, ⌈H·W/8⌉ bytes each.
  float* scores = nullptr;
  uint8_t* masks = nullptr;
};

struct BatchRequest {
  std::vector<WindowRequest> windows;
  std::vector<SentenceRequest> sentences;
  SourceFormat source;
  size_t pitch = 0;
  /// Empty: all frames.
  std::vector<int> keep;
  bool allQueries = false;
};

/// Throws BAD_ARGUMENT that names the field. Sizes of buffers are the caller's to check.
void checkLimits(const PipelineLimits& limits);
void checkBatch(const PipelineLimits& limits, const BatchRequest& batch);

/// Frames of a window whose masks are made.
int keptFrames(const BatchRequest& batch, const WindowRequest& window);
/// Form of the backbone that the batch needs.
Form formOf(const PipelineLimits& limits, const BatchRequest& batch);
/// Whether all frames are kept in their order, so that the transformer reads the backbone's levels as they are.
bool keepsAll(const BatchRequest& batch);

}  // namespace rvos::tensorrt
