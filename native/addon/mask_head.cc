#include "../core/mask_head.h"

#include "addon.h"
#include "arguments.h"
#include "promise_job.h"

namespace rvos {

Napi::Value maskHead(const Napi::CallbackInfo& info) {
  const JobArguments job(info, "maskHead");
  const Napi::Env env = info.Env();
  const size_t frames = job.extent("frames");
  MaskHeadShape shape;
  shape.kernelSize = job.extent("kernelSize");
  shape.featureHeight = job.extent("featureHeight");
  shape.featureWidth = job.extent("featureWidth");
  shape.paddedHeight = job.extent("paddedHeight");
  shape.paddedWidth = job.extent("paddedWidth");
  shape.resizedHeight = job.extent("resizedHeight");
  shape.resizedWidth = job.extent("resizedWidth");
  shape.height = job.extent("height");
  shape.width = job.extent("width");
  if (shape.resizedHeight > shape.paddedHeight || shape.resizedWidth > shape.paddedWidth) {
    throwRange(env, "maskHead: the resized size is larger than the padded size");
  }
  const size_t kernel = shape.kernelSize;
  const size_t feature = product(env, job.what("features"), {kernel, static_cast<size_t>(shape.featureHeight),
                                                             static_cast<size_t>(shape.featureWidth)});
  const size_t mask = maskBytes(env, job.what("mask"), shape.height, shape.width);
  Napi::Float32Array kernels = job.floats("kernels", product(env, job.what("kernels"), {frames, kernel}));
  Napi::Float32Array features = job.floats("features", product(env, job.what("features"), {frames, feature}));
  Napi::Uint8Array target = job.bytes("target", product(env, job.what("target"), {frames, mask}));
  return runJob(env, {kernels, features, target},
                [=, kernelData = kernels.Data(), featureData = features.Data(), to = target.Data()] {
                  for (size_t t = 0; t < frames; ++t) {
                    maskHead(kernelData + t * kernel, featureData + t * feature, shape, to + t * mask);
                  }
                });
}

}  // namespace rvos
