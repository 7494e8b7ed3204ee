// From the frames a decoder gives to what the backbone reads, in one pass over the input: pixels of RGB, BGR or NV12 →
// resize → normalise → float16 (or float32) planes.
//
// The arithmetic is that of resize.h and normalise.h: levels filtered across, then down, in float32 and in order of
// the taps, rounded to whole levels as torchvision does, then (x/255 − mean)/std, then rounded to the half.
//
// Layout: frame i lies at `source + i·frameStride`, its rows `pitch` bytes apart (NV12: `height` rows of Y, then
// ⌈height/2⌉ rows of interleaved UV). It is written to position positions[i] of `target`, a tensor [positions,3,h,w]
// (the batch's `frames` [B,Tp,3,h,w]: position b·Tp + t). What depends on the sizes alone lies in a table of words,
// made once by `planPreprocess` and copied to the device by the caller.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "half.h"
#include "normalise.h"

namespace rvos {

enum class PixelFormat : int32_t { kRgb, kBgr, kNv12 };

/// How limited-range Y′CbCr becomes RGB. BT.601 is what decoders assume where a video says nothing, and what the frames
/// the network learned from were converted with; BT.709 is for videos that name it.
enum class YuvMatrix : int32_t { kBt601, kBt709 };

struct PreprocessShape {
  PixelFormat format = PixelFormat::kRgb;
  YuvMatrix matrix = YuvMatrix::kBt601;
  /// Pixels of a source frame, and bytes from one of its rows to the next.
  int height = 0;
  int width = 0;
  size_t pitch = 0;
  int targetHeight = 0;
  int targetWidth = 0;
  bool antialias = true;
  ElementType element = ElementType::kFloat16;
};

/// Bytes of one row that hold pixels: the least pitch.
size_t rowBytes(PixelFormat format, int width);
/// Bytes from a frame's first to its last pixel.
size_t frameBytes(const PreprocessShape& shape);

/// How blocks share the work, and where in the table things lie (in words). Filled in by `planPreprocess`.
struct PreprocessTiling {
  /// Taps across, 2, 4, 6, 8 or a larger multiple of 4, and down.
  int across = 0;
  int down = 0;
  /// Source rows a block filters at a time, and bytes it keeps of each; 0: a tile's rows do not fit, it reads the source.
  int chunkRows = 0;
  int stagePitch = 0;
  /// Shared memory of a block.
  int sharedBytes = 0;
};

struct PreprocessPlan {
  PreprocessShape shape;
  PreprocessTiling tiling;
  std::vector<uint32_t> table;
};

/// `channels`: red, green, blue. Sizes are at least 1 and pitch ≥ rowBytes. Throws std::bad_alloc.
PreprocessPlan planPreprocess(const PreprocessShape& shape, const NormaliseLevel (&channels)[3]);

/// One launch. All pointers are to device memory (host memory for `preprocessOnHost`).
struct PreprocessJob {
  PreprocessShape shape;
  PreprocessTiling tiling;
  const uint32_t* table = nullptr;
  const uint8_t* source = nullptr;
  size_t frameStride = 0;
  int frames = 0;
  /// [frames]; negative: this frame is left out. Null: frame i goes to position i.
  const int32_t* positions = nullptr;
  /// Aligned to 4 bytes at least; 16 is best.
  void* target = nullptr;
};

/// The CPU twin: the kernel's blocks one after another, with the very lines the device runs.
void preprocessOnHost(const PreprocessJob& job);

}  // namespace rvos
