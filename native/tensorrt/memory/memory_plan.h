// All memory of a window pipeline, worked out from its limits: the sizes that `planMemory` tells are the very ones that
// are allocated, once, when the pipeline is opened (what depends on the size of source frames: when a larger source
// appears). Pure arithmetic, no GPU. Weights of the engines come on top: about the size of the engine files.
#pragma once

#include <array>
#include <cstddef>
#include <optional>
#include <string>
#include <vector>

#include "../../core/mask_head_job.h"
#include "pipeline/pipeline_limits.h"

namespace rvos::tensorrt {

/// A piece of one allocation, in bytes. Pieces start at multiples of 256.
struct Region {
  size_t offset = 0;
  size_t bytes = 0;
};

struct MemoryPart {
  std::string name;
  size_t deviceBytes;
  size_t pinnedBytes;
};

/// One allocation that is made of regions; what each is for adds up by name.
class Layout {
 public:
  Region take(const char* part, size_t bytes);
  size_t bytes() const { return end_; }
  const std::vector<std::pair<std::string, size_t>>& parts() const { return parts_; }

 private:
  size_t end_ = 0;
  std::vector<std::pair<std::string, size_t>> parts_;
};

/// Small inputs of a batch, uploaded in one copy; the same offsets on both sides. The features come last, so that short
/// sentences cost little.
struct BatchInputs {
  explicit BatchInputs(const PipelineLimits& limits);

  /// int32 [B] each: frames of the windows, and those that are kept.
  Region frameCount;
  Region keptCount;
  /// int32 [B·T]: where in `frames` each new frame belongs.
  Region positions;
  /// int32 [P]
  Region windowIndex;
  /// int32 [P]: frames to link with.
  Region linkCount;
  /// int64 [P,S]
  Region attentionMask;
  /// float32 [P,S,D]
  Region features;
  size_t bytes = 0;
};

/// Memory of one slot that depends on limits alone.
struct SlotLayout {
  explicit SlotLayout(const PipelineLimits& limits);

  BatchInputs inputs;
  /// Masks of all object queries on the features' grid, for linking: planned once.
  MaskHeadPlan linkPlan;
  size_t linkMaskStride;

  Layout device;
  Region deviceInputs;
  Region activations;
  Region frames;
  std::array<Region, kLevels> levels;
  std::array<Region, kLevels> keptLevels;
  Region score;
  Region queryIndex;
  Region chosenKernels;
  Region allKernels;
  Region maskFeatures;
  Region linkTable;
  Region linkMasks;

  Layout pinned;
  Region pinnedInputs;
  Region pinnedScore;
  Region pinnedQueryIndex;
  Region pinnedLinkTable;
  Region pinnedLinkMasks;
};

/// Frames that are staged at a time; there are two such pieces, so that one is filled while the other is copied.
inline constexpr int kStagedFrames = 8;
inline constexpr int kStagingPieces = 2;

/// Memory of one slot that depends on the source frames.
struct SourceLayout {
  SourceLayout(const PipelineLimits& limits, const SourceFormat& source, const NormaliseLevel (&channels)[3]);

  PreprocessPlan preprocess;
  MaskHeadPlan maskHead;
  /// Bytes from one staged frame to the next, and from one mask to the next.
  size_t frameStride;
  size_t maskStride;
  /// Masks that fit: sentences × frames.
  size_t maskCapacity;

  Layout device;
  std::array<Region, kStagingPieces> staging;
  Region preprocessTable;
  Region maskTable;
  Region masks;

  Layout pinned;
  std::array<Region, kStagingPieces> pinnedStaging;
  Region pinnedPreprocessTable;
  Region pinnedMaskTable;
  Region pinnedMasks;
};

/// The last window of one stream: float16 or float32 [T,3,h,w].
size_t tailBytes(const PipelineLimits& limits);
size_t frameElements(const PipelineLimits& limits);

struct MemoryPlan {
  size_t deviceBytes = 0;
  size_t pinnedBytes = 0;
  std::vector<MemoryPart> parts;
};

/// Of a whole pipeline; without `source`, without what depends on it.
MemoryPlan planMemory(const PipelineLimits& limits, const std::optional<SourceFormat>& source);

}  // namespace rvos::tensorrt
