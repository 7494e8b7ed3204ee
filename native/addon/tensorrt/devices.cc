// `devices` of the addon: which GPUs there are, or why there is none.
#include "../../tensorrt/device/device_query.h"

#include "addon.h"
#include "errors.h"

namespace rvos::tensorrt {

namespace {

Napi::Value devices(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  const DeviceQuery query = guarded(env, queryDevices);
  Napi::Array list = Napi::Array::New(env, query.devices.size());
  uint32_t position = 0;
  for (const Device& device : query.devices) {
    Napi::Object entry = Napi::Object::New(env);
    entry.Set("index", device.index);
    entry.Set("name", device.name);
    entry.Set("computeCapability", device.computeCapability);
    entry.Set("totalBytes", static_cast<double>(device.totalBytes));
    if (device.freeBytes) {
      entry.Set("freeBytes", static_cast<double>(*device.freeBytes));
    } else {
      entry.Set("freeBytes", env.Null());
    }
    entry.Set("driverCudaVersion", query.driverCudaVersion);
    entry.Set("multiprocessors", device.multiprocessors);
    list.Set(position++, entry);
  }
  return list;
}

}  // namespace

void registerDevices(Napi::Env env, Napi::Object exports) {
  exports.Set("devices", Napi::Function::New(env, devices, "devices"));
}

}  // namespace rvos::tensorrt
