#include "../core/normalise.h"

#include "addon.h"
#include "arguments.h"
#include "promise_job.h"

namespace rvos {

Napi::Value normalise(const Napi::CallbackInfo& info) {
  const JobArguments job(info, "normalise");
  const size_t frames = job.extent("frames");
  const size_t pixels = static_cast<size_t>(job.extent("height")) * job.extent("width");
  const std::vector<float> mean = job.triple("mean");
  const std::vector<float> deviation = job.triple("std");
  for (const float value : deviation) {
    if (!(value > 0)) throwRange(info.Env(), job.what("std") + " must be positive");
  }
  const size_t values = product(info.Env(), job.what("size"), {frames, pixels, 3});
  Napi::Uint8Array source = job.bytes("source", values);
  Napi::Float32Array target = job.floats("target", values);
  return runJob(info.Env(), {source, target}, [=, from = source.Data(), to = target.Data()] {
    const NormaliseLevel channels[3] = {{mean[0], deviation[0]}, {mean[1], deviation[1]}, {mean[2], deviation[2]}};
    for (size_t t = 0; t < frames; ++t) normaliseFrame(from + t * pixels * 3, pixels, channels, to + t * pixels * 3);
  });
}

}  // namespace rvos
