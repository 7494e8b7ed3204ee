// The face of `rvos_tensorrt.node`: `TensorRtAddon` in src/native/tensorrt-addon.ts. Each file adds what it exports by a
// hook. Every environment (main thread or worker) has its own state; what a process has once (the opened libraries) lives
// in native/tensorrt and is guarded there.
#pragma once

#include <napi.h>

#include <memory>

namespace rvos::tensorrt {

class RuntimeState;

/// What belongs to one environment. Freed with it.
struct EnvironmentState {
  /// Constructors of the classes that `openTextEncoder` and `openPipeline` give objects of.
  Napi::FunctionReference textEncoder;
  Napi::FunctionReference pipeline;
  /// What open text encoders and pipelines share (runtime_state.h).
  std::shared_ptr<RuntimeState> runtime;
};

EnvironmentState& environmentState(Napi::Env env);

// The simulated flavour has no TensorRT: native/simulated defines the first one for it.

/// Exports load, aheadOfTimeTargets, buildEngine and inspectEngine.
void registerBuilder(Napi::Env env, Napi::Object exports);

/// Exports devices.
void registerDevices(Napi::Env env, Napi::Object exports);

/// Exports openTextEncoder, openPipeline, planMemory, measureCopies, measureEngine.
void registerRuntime(Napi::Env env, Napi::Object exports);

}  // namespace rvos::tensorrt
