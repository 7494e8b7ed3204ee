// The addon's face: `CoreAddon` in src/native/core-addon.ts.
#include "addon.h"

namespace {

Napi::Object init(Napi::Env env, Napi::Object exports) {
  const auto add = [&](const char* name, Napi::Value (*function)(const Napi::CallbackInfo&)) {
    exports.Set(name, Napi::Function::New(env, function, name));
  };
  exports.Set("version", RVOS_VERSION);
  add("resize", rvos::resize);
  add("normalise", rvos::normalise);
  add("maskHead", rvos::maskHead);
  add("preprocessBatch", rvos::preprocessBatch);
  add("maskHeadBatch", rvos::maskHeadBatch);
  add("rleEncode", rvos::rleEncode);
  add("rleDecode", rvos::rleDecode);
  add("maskStatistics", rvos::maskStatistics);
  add("maskOverlap", rvos::maskOverlap);
  add("overlay", rvos::overlay);
  add("openVino", rvos::openVino);
  return exports;
}

}  // namespace

NODE_API_MODULE(rvos_core, init)
