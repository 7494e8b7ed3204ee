// `load` and `aheadOfTimeTargets` of the addon, and the list of what it exports for building.
#include "builder.h"

#include "../../tensorrt/libraries/compat.h"
#include "../../tensorrt/libraries/library.h"
#include "addon.h"
#include "errors.h"
#include "values.h"

namespace rvos::tensorrt {

Napi::Value load(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  return guarded(env, [&] {
    const Napi::Object names = readObject(info[0], "load: libraries");
    const Library& library =
        Library::open(readString(names.Get("infer"), "load: infer"), readString(names.Get("parser"), "load: parser"));
    Napi::Object result = Napi::Object::New(env);
    result.Set("libraryVersion", library.version());
    return result;
  });
}

Napi::Value aheadOfTimeTargets(const Napi::CallbackInfo& info) {
  const std::vector<int> targets = compat::aheadOfTimeTargets();
  Napi::Array list = Napi::Array::New(info.Env(), targets.size());
  uint32_t position = 0;
  for (const int target : targets) list.Set(position++, target);
  return list;
}

void registerBuilder(Napi::Env env, Napi::Object exports) {
  const auto add = [&](const char* name, Napi::Value (*function)(const Napi::CallbackInfo&)) {
    exports.Set(name, Napi::Function::New(env, function, name));
  };
  add("load", load);
  add("aheadOfTimeTargets", aheadOfTimeTargets);
  add("buildEngine", buildEngine);
  add("inspectEngine", inspectEngine);
}

}  // namespace rvos::tensorrt
