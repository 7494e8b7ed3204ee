// Engines for a window pipeline that need no TensorRT: the plain stages behind the interface of engines/stage.h.
#pragma once

#include "plain_stages.h"
#include "tensorrt/engines/stage.h"
#include "tensorrt/pipeline/pipeline_limits.h"

namespace rvos::selftest {

/// Extents of the levels of these limits.
void levelExtents(const tensorrt::PipelineLimits& limits, LevelExtent (&levels)[kLevels]);

/// Opens `short`, `long` and `transformer`.
class PlainLoader final : public tensorrt::StageLoader {
 public:
  explicit PlainLoader(const tensorrt::PipelineLimits& limits) : limits_(limits) {}
  std::shared_ptr<tensorrt::StageEngine> open(const std::string& path) override;

 private:
  tensorrt::PipelineLimits limits_;
};

}  // namespace rvos::selftest
