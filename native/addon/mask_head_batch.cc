#include "../core/mask_head_job.h"

#include <algorithm>

#include "addon.h"
#include "mask_head_shape.h"
#include "promise_job.h"

namespace rvos {

namespace {

/// The job but for its pointers, and the index arrays it will point to.
struct Batch {
  MaskHeadShape shape;
  MaskHeadJob job;
  std::vector<int32_t> chosen, frameCount, window;
};

Batch readBatch(const JobArguments& job) {
  Batch batch;
  batch.shape = readMaskHeadShape(job);
  batch.job.sentences = job.extent("sentences");
  batch.job.frames = job.extent("frames");
  batch.job.objectQueries = job.extent("objectQueries");
  const size_t sentences = batch.job.sentences;
  if (job.has("chosen")) {
    batch.chosen = job.integers("chosen", sentences, 0, batch.job.objectQueries - 1);
  } else {
    batch.job.queryCount = batch.job.objectQueries;
  }
  const bool windows = job.has("window");
  if (windows) batch.window = job.integers("window", sentences, 0, kMaxExtent);
  if (job.has("frameCount")) {
    const size_t counts = windows ? 1 + *std::max_element(batch.window.begin(), batch.window.end()) : sentences;
    batch.frameCount = job.integers("frameCount", counts, 0, batch.job.frames);
  }
  return batch;
}

const int32_t* pointerTo(const std::vector<int32_t>& values) { return values.empty() ? nullptr : values.data(); }

}  // namespace

Napi::Value maskHeadBatch(const Napi::CallbackInfo& info) {
  const JobArguments job(info, "maskHeadBatch");
  const Napi::Env env = info.Env();
  Batch batch = readBatch(job);
  const MaskHeadShape& shape = batch.shape;
  const size_t mask = maskBytes(env, job.what("mask"), shape.height, shape.width);
  const size_t stride = maskWordBytes(shape.height, shape.width);
  const size_t images = product(env, job.what("kernels"), {static_cast<size_t>(batch.job.sentences),
                                                           static_cast<size_t>(batch.job.frames)});
  const size_t kernel = shape.kernelSize;
  const size_t queries = batch.job.objectQueries;
  const size_t masks = product(env, job.what("target"), {images, batch.chosen.empty() ? queries : 1});
  Napi::Float32Array kernels = job.floats("kernels", product(env, job.what("kernels"), {images, queries, kernel}));
  const Napi::TypedArray features = job.halvesOrFloats(
      "features", product(env, job.what("features"), {images, kernel, static_cast<size_t>(shape.featureHeight),
                                                      static_cast<size_t>(shape.featureWidth)}));
  Napi::Uint8Array target = job.bytes("target", product(env, job.what("target"), {masks, mask}));
  batch.job.featureType =
      features.TypedArrayType() == napi_uint16_array ? ElementType::kFloat16 : ElementType::kFloat32;
  batch.job.kernels = kernels.Data();
  batch.job.features = static_cast<uint8_t*>(features.ArrayBuffer().Data()) + features.ByteOffset();
  return runJob(env, {kernels, features, target}, [=, batch = std::move(batch), to = target.Data()]() mutable {
    const MaskHeadPlan plan = planMaskHead(batch.shape);
    MaskHeadJob work = batch.job;
    work.shape = plan.shape;
    work.tiling = plan.tiling;
    work.table = plan.table.data();
    work.chosen = pointerTo(batch.chosen);
    work.frameCount = pointerTo(batch.frameCount);
    work.window = pointerTo(batch.window);
    std::vector<uint32_t> words(masks * (stride / 4));
    work.masks = reinterpret_cast<uint8_t*>(words.data());
    work.maskStride = stride;
    maskHeadOnHost(work);
    for (size_t i = 0; i < masks; ++i) std::copy_n(work.masks + i * stride, mask, to + i * mask);
  });
}

}  // namespace rvos
