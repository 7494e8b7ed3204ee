// The engines on a slot's memory: backbone, choice of kept frames, transformer.
#pragma once

#include <memory>

#include "batch_inputs.h"
#include "pipeline_engines.h"
#include "memory/slot_memory.h"
#include "engines/stage.h"
#include "engines/stage_graphs.h"

namespace rvos::tensorrt {

class NetworkStages {
 public:
  NetworkStages(const SlotMemory& slot, const PipelineEngines& engines, StageGraphs::Note note);

  /// `frames`, `frame_count` → levels.
  void backbone(Form form, int windows);
  /// Levels of the frames at the positions `keep` of each window → kept levels, in the short form.
  void gather(Form form, int windows, const std::vector<int>& keep);
  /// Levels (gathered: kept levels) and text → scores, object queries, kernels, mask features.
  void transformer(Form form, bool gathered, int windows, int sentences, int tokens);

 private:
  std::unique_ptr<StageContext> backboneContext(Form form, int windows);
  std::unique_ptr<StageContext> transformerContext(const StageKey& key);
  StageShape levelShape(int level, int windows, int frames) const;
  void* input(const Region& region) const;

  const SlotMemory& slot_;
  const PipelineEngines& engines_;
  StageGraphs graphs_;
};

}  // namespace rvos::tensorrt
