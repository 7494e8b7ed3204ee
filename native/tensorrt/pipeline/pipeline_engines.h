// The engines of one pipeline, opened, and checked before anything is run: names, types and shapes of their tensors are
// those that the pipeline lays its memory out for.
#pragma once

#include <memory>
#include <string>

#include "pipeline_limits.h"
#include "engines/stage.h"

namespace rvos::tensorrt {

struct PipelineFiles {
  std::string shortBackbone;
  /// Empty where limits.longFrames is 0.
  std::string longBackbone;
  std::string transformer;
};

/// Shared by all slots.
struct PipelineEngines {
  std::shared_ptr<StageEngine> shortBackbone;
  /// Null where limits.longFrames is 0.
  std::shared_ptr<StageEngine> longBackbone;
  std::shared_ptr<StageEngine> transformer;
};

/// Element type and scratch sizes of the limits become what the engines have. Throws BAD_ENGINE, OUT_OF_MEMORY.
PipelineEngines openEngines(const PipelineFiles& files, StageLoader& loader, PipelineLimits& limits);

}  // namespace rvos::tensorrt
