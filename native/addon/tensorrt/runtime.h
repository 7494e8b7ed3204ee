// The functions that `registerRuntime` exports, and the classes of what they give, one concern a file.
#pragma once

#include <napi.h>

namespace rvos::tensorrt {

Napi::Value openTextEncoder(const Napi::CallbackInfo& info);
Napi::Value openPipeline(const Napi::CallbackInfo& info);
Napi::Value planMemory(const Napi::CallbackInfo& info);
Napi::Value measureCopies(const Napi::CallbackInfo& info);
Napi::Value measureEngine(const Napi::CallbackInfo& info);

Napi::Function textEncoderClass(Napi::Env env);
Napi::Function pipelineClass(Napi::Env env);

}  // namespace rvos::tensorrt
