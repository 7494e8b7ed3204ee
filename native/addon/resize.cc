#include "../core/resize.h"

#include "addon.h"
#include "arguments.h"
#include "promise_job.h"

namespace rvos {

Napi::Value resize(const Napi::CallbackInfo& info) {
  const JobArguments job(info, "resize");
  const int height = job.extent("height");
  const int width = job.extent("width");
  const int targetHeight = job.extent("targetHeight");
  const int targetWidth = job.extent("targetWidth");
  const bool antialias = job.flag("antialias");
  const auto bytes = [&](int h, int w) {
    return product(info.Env(), job.what("size"), {static_cast<size_t>(h), static_cast<size_t>(w), 3});
  };
  Napi::Uint8Array source = job.bytes("source", bytes(height, width));
  Napi::Uint8Array target = job.bytes("target", bytes(targetHeight, targetWidth));
  return runJob(info.Env(), {source, target}, [=, from = source.Data(), to = target.Data()] {
    resizeFrame(from, height, width, to, targetHeight, targetWidth, antialias);
  });
}

}  // namespace rvos
