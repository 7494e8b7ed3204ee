#include "addon.h"
#include "mask_head_shape.h"
#include "promise_job.h"

namespace rvos {

Napi::Value maskHead(const Napi::CallbackInfo& info) {
  const JobArguments job(info, "maskHead");
  const Napi::Env env = info.Env();
  const size_t frames = job.extent("frames");
  const MaskHeadShape shape = readMaskHeadShape(job);
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
