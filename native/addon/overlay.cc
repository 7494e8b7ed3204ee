#include "../core/overlay.h"

#include "addon.h"
#include "arguments.h"
#include "promise_job.h"

namespace rvos {

Napi::Value overlay(const Napi::CallbackInfo& info) {
  const JobArguments job(info, "overlay");
  const Napi::Env env = info.Env();
  const int height = job.extent("height");
  const int width = job.extent("width");
  const double alpha = job.number("alpha");
  if (alpha < 0 || alpha > 1) throwRange(env, "overlay: alpha must lie between 0 and 1");
  const size_t bytes = maskBytes(env, job.what("mask"), height, width);
  const size_t pixels = static_cast<size_t>(height) * width;
  Napi::Uint8Array source = job.bytes("source", pixels * 3);
  Napi::Uint8Array target = job.bytes("target", pixels * 3);

  // The list is copied: nothing the caller does to it later can drop a buffer that is in use.
  const Napi::Array list = job.list("masks");
  const uint32_t count = list.Length();
  Napi::Array held = Napi::Array::New(env);
  std::vector<const uint8_t*> masks;
  for (uint32_t i = 0; i < count; ++i) {
    const Napi::Uint8Array mask = readBytes(list.Get(i), "overlay: masks[" + std::to_string(i) + "]", bytes);
    held.Set(i, mask);
    masks.push_back(mask.Data());
  }
  Napi::Uint8Array colors = job.bytes("colors", static_cast<size_t>(count) * 3);
  return runJob(env, {source, target, colors, held},
                [=, from = source.Data(), palette = colors.Data(), to = target.Data()] {
                  overlayFrame(from, pixels, masks, palette, static_cast<float>(alpha), to);
                });
}

}  // namespace rvos
