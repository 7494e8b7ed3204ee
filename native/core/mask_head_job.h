// From the transformer's outputs to bit-packed masks, for all sentences and frames of a batch at once: chosen object query's
// kernel · features, bilinear to the padded size, foreground, crop, nearest to the original size. Equal bit for bit to
// `maskHead` (mask_head.h) on the same features as floats.
//
// Layout: kernels float32 [P,T,N,K] (`all_mask_kernels`), features float16 or float32 [P,T,K,fh,fw] (`mask_features`) in;
// out masks [P,Q,T], `maskStride` bytes apart, each bit-packed as in bits.h and filled with zeros up to a whole 32-bit
// word. Q is 1 with chosen object queries, else the length of a range of them. Which neighbours a pixel has depends on
// the sizes alone: `planMaskHead` tabulates it once per row and column, the caller copies the table to the device.
//
// The masks of all object queries on the features' own grid (to link windows) are the same job with padded = resized =
// original = feature size.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "half.h"
#include "mask_head.h"

namespace rvos {

/// One original row's or column's neighbours in the features: `lower` and the one after it, if there is one.
struct MaskTap {
  int32_t lower;
  float upperWeight;
};

/// How blocks share the work. Filled in by `planMaskHead`.
struct MaskHeadTiling {
  /// Rows of logits a block holds; 0: they do not fit, every pixel's are computed on demand.
  int logitRows = 0;
  /// Shared memory of a block.
  int sharedBytes = 0;
};

struct MaskHeadPlan {
  MaskHeadShape shape;
  MaskHeadTiling tiling;
  /// height + width of them.
  std::vector<MaskTap> table;
};

/// Sizes are at least 1, resized ≤ padded, height·width < 2^31. Throws std::bad_alloc.
MaskHeadPlan planMaskHead(const MaskHeadShape& shape);

/// Least `maskStride`: bytes of a mask, rounded up to whole words.
size_t maskWordBytes(int height, int width);

/// One launch. All pointers are to device memory (host memory for `maskHeadOnHost`), aligned to 4 bytes.
struct MaskHeadJob {
  MaskHeadShape shape;
  MaskHeadTiling tiling;
  const MaskTap* table = nullptr;
  /// float32 [P,T,N,K]
  const float* kernels = nullptr;
  /// [P,T,K,fh,fw]
  const void* features = nullptr;
  ElementType featureType = ElementType::kFloat16;
  int sentences = 0;      // P
  int frames = 0;         // T
  int objectQueries = 0;  // N
  /// int32 [P]: the object query of each sentence. Null: `queryCount` of them from `firstQuery` on.
  const int32_t* chosen = nullptr;
  int firstQuery = 0;
  int queryCount = 1;
  /// Frames made of sentence p: frameCount[window ? window[p] : p]; masks of later frames are left as they are. Null: all.
  const int32_t* frameCount = nullptr;
  const int32_t* window = nullptr;
  uint8_t* masks = nullptr;
  size_t maskStride = 0;
};

/// The CPU twin: the kernel's blocks one after another, with the very lines the device runs.
void maskHeadOnHost(const MaskHeadJob& job);

}  // namespace rvos
