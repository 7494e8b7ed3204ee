#include "../core/preprocess_job.h"

#include <algorithm>

#include "addon.h"
#include "arguments.h"
#include "promise_job.h"

namespace rvos {

namespace {

PreprocessShape readShape(const JobArguments& job, bool halves) {
  PreprocessShape shape;
  shape.format = static_cast<PixelFormat>(job.choice("format", {"rgb", "bgr", "nv12"}));
  shape.matrix = static_cast<YuvMatrix>(job.choice("matrix", {"bt601", "bt709"}));
  shape.height = job.extent("height");
  shape.width = job.extent("width");
  shape.pitch = static_cast<size_t>(job.extent("pitch"));
  shape.targetHeight = job.extent("targetHeight");
  shape.targetWidth = job.extent("targetWidth");
  shape.antialias = job.flag("antialias");
  shape.element = halves ? ElementType::kFloat16 : ElementType::kFloat32;
  return shape;
}

}  // namespace

Napi::Value preprocessBatch(const Napi::CallbackInfo& info) {
  const JobArguments job(info, "preprocessBatch");
  const Napi::Env env = info.Env();
  const Napi::TypedArray target = job.halvesOrFloats("target", 1);
  const PreprocessShape shape = readShape(job, target.TypedArrayType() == napi_uint16_array);
  if (shape.pitch < rowBytes(shape.format, shape.width)) {
    throwRange(env, job.what("pitch") + " is shorter than a row of pixels");
  }
  const int frames = job.extent("frames");
  const size_t frame = frameBytes(shape);
  Napi::Uint8Array source = job.bytes("source", product(env, job.what("source"), {static_cast<size_t>(frames), frame}));
  const size_t planes = product(env, job.what("target"), {3, static_cast<size_t>(shape.targetHeight),
                                                          static_cast<size_t>(shape.targetWidth)});
  const size_t places = target.ElementLength() / planes;
  const int32_t highest = static_cast<int32_t>(std::min<size_t>(places, kMaxExtent)) - 1;
  const bool placed = job.has("positions");
  std::vector<int32_t> positions;
  if (placed) positions = job.integers("positions", frames, -1, highest);
  if (!placed || highest < 0) job.halvesOrFloats("target", product(env, job.what("target"), {planes, size_t(frames)}));
  const std::vector<float> mean = job.triple("mean");
  const std::vector<float> deviation = job.triple("std");
  for (const float value : deviation) {
    if (!(value > 0)) throwRange(env, job.what("std") + " must be positive");
  }
  uint8_t* const to = static_cast<uint8_t*>(target.ArrayBuffer().Data()) + target.ByteOffset();
  return runJob(env, {source, target},
                [=, positions = std::move(positions), from = source.Data()] {
                  const NormaliseLevel channels[3] = {
                      {mean[0], deviation[0]}, {mean[1], deviation[1]}, {mean[2], deviation[2]}};
                  const PreprocessPlan plan = planPreprocess(shape, channels);
                  PreprocessJob work;
                  work.shape = plan.shape;
                  work.tiling = plan.tiling;
                  work.table = plan.table.data();
                  work.source = from;
                  work.frameStride = frame;
                  work.frames = frames;
                  work.positions = placed ? positions.data() : nullptr;
                  work.target = to;
                  preprocessOnHost(work);
                });
}

}  // namespace rvos
