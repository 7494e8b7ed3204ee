// What `openPipeline`, `planMemory` and `run` are given, read and checked: every buffer is at least as long as the sizes
// say. All throw BAD_ARGUMENT that names the field.
#pragma once

#include <napi.h>

#include "../../tensorrt/pipeline/pipeline_limits.h"
#include "../../tensorrt/memory/source_memory.h"
#include "../../tensorrt/pipeline/window_pipeline.h"
#include "fields.h"

namespace rvos::tensorrt {

PipelineLimits readLimits(const Fields& options);
PipelineFiles readFiles(const Fields& options, const PipelineLimits& limits);
Normalisation readNormalisation(const Fields& options);
/// A size alone; RGB, antialiased.
SourceFormat readSourceSize(const Fields& source);

struct BatchArguments {
  BatchRequest request;
  /// All memory that `request` points to: the caller's buffers and `results`.
  Napi::Object kept;
};

/// `kept.results`: [{ objectQuery: −1, scores, masks }], memory that the pipeline writes to.
BatchArguments readBatch(const Napi::Value& value, const PipelineLimits& limits);

Napi::Object planToJs(Napi::Env env, const MemoryPlan& plan);

}  // namespace rvos::tensorrt
