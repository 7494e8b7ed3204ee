// See controls.h.
#include "controls.h"

#include <cstdint>

#include "../device_memory.h"
#include "../streams.h"
#include "stage_runner.h"

namespace rvos::simulated {

namespace {

double number(const Napi::CallbackInfo& info, size_t index) {
  if (!info[index].IsNumber()) throw Napi::TypeError::New(info.Env(), "expected a number");
  return info[index].As<Napi::Number>().DoubleValue();
}

Napi::Value counters(const Napi::CallbackInfo& info) {
  const MemoryCounters memory = memoryCounters();
  const StreamCounters streams = streamCounters();
  Napi::Object object = Napi::Object::New(info.Env());
  const auto set = [&](const char* name, size_t value) { object.Set(name, static_cast<double>(value)); };
  set("deviceBytes", memory.deviceBytes);
  set("pinnedBytes", memory.pinnedBytes);
  set("deviceAllocations", memory.deviceAllocations);
  set("pinnedAllocations", memory.pinnedAllocations);
  set("failedAllocations", memory.failedAllocations);
  set("hostToDevice", streams.hostToDevice);
  set("hostToDeviceBytes", streams.hostToDeviceBytes);
  set("deviceToHost", streams.deviceToHost);
  set("deviceToDevice", streams.deviceToDevice);
  set("kernels", streams.kernels);
  set("stages", streams.stages);
  set("graphsCaptured", streams.graphsCaptured);
  set("graphLaunches", streams.graphLaunches);
  return object;
}

}  // namespace

void registerControls(Napi::Env env, Napi::Object exports) {
  const auto add = [&](Napi::Object object, const char* name, auto function) {
    object.Set(name, Napi::Function::New(env, function, name));
  };
  add(exports, "setStageRunner", setStageRunner);
  Napi::Object device = Napi::Object::New(env);
  add(device, "counters", counters);
  add(device, "delay", [](const Napi::CallbackInfo& info) {
    delayOperations(static_cast<uint64_t>(number(info, 0)), static_cast<unsigned>(number(info, 1)));
  });
  add(device, "limitMemory", [](const Napi::CallbackInfo& info) {
    limitDeviceMemory(static_cast<size_t>(number(info, 0)));
  });
  add(device, "failCaptures", [](const Napi::CallbackInfo& info) {
    failCaptures(static_cast<unsigned>(number(info, 0)));
  });
  add(device, "recover", [](const Napi::CallbackInfo&) { recover(); });
  exports.Set("simulatedDevice", device);
}

}  // namespace rvos::simulated
