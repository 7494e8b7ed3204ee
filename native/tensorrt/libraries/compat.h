// Everything in which the headers of TensorRT 10.6 … 11.4 and of TensorRT-RTX 1.x differ, as far as rvos calls them. Both
// flavours live in the namespace `nvinfer1`; RVOS_TENSORRT_RTX says which one this is compiled for. Calls that have the
// same form in all of them (setDeviceMemoryV2, getDeviceMemorySizeForProfileV2, enqueueV3, …) are made directly: they have
// existed since 10.1, and their predecessors are gone from 11.0 on.
#pragma once

// The headers declare what they deprecate, and declaring it warns.
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wdeprecated-declarations"
#include <NvInfer.h>
#include <NvInferVersion.h>
#include <NvOnnxParser.h>
#pragma GCC diagnostic pop

#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace rvos::tensorrt::compat {

#if RVOS_TENSORRT_RTX
inline constexpr bool kRtx = true;
inline constexpr const char* kFlavor = "tensorrt-rtx";
inline constexpr const char* kProduct = "TensorRT-RTX";
#else
inline constexpr bool kRtx = false;
inline constexpr const char* kFlavor = "tensorrt";
inline constexpr const char* kProduct = "TensorRT";
#endif

// ── versions ──

#if RVOS_TENSORRT_RTX
static_assert(NV_TENSORRT_MAJOR == 1, "TensorRT-RTX 1.x headers are needed for RVOS_TENSORRT_RTX");
#else
static_assert(NV_TENSORRT_MAJOR > 10 || (NV_TENSORRT_MAJOR == 10 && NV_TENSORRT_MINOR >= 6),
              "TensorRT 10.6 or newer is needed");
#endif

/// As `11.4.0`.
inline std::string headerVersion() {
  return std::to_string(NV_TENSORRT_MAJOR) + "." + std::to_string(NV_TENSORRT_MINOR) + "." +
         std::to_string(NV_TENSORRT_PATCH);
}

/// Versions with the same number have virtual tables that agree, but for functions added at the end. TensorRT breaks them
/// with the major version; TensorRT-RTX did so once, at 1.5 (ILogger became a versioned interface, deprecated functions
/// were removed).
constexpr int interfaceGeneration(int major, int minor) {
  return kRtx && major == 1 ? (minor < 5 ? 100 : 105) : major * 100;
}

inline constexpr int kInterfaceGeneration = interfaceGeneration(NV_TENSORRT_MAJOR, NV_TENSORRT_MINOR);

// ── building ──

/// Flags for createNetworkV2: strongly typed in every version.
inline std::uint32_t stronglyTyped() {
#if (RVOS_TENSORRT_RTX && NV_TENSORRT_MINOR >= 5) || (!RVOS_TENSORRT_RTX && NV_TENSORRT_MAJOR >= 11)
  return 0;
#else
  return 1U << static_cast<std::uint32_t>(nvinfer1::NetworkDefinitionCreationFlag::kSTRONGLY_TYPED);
#endif
}

/// TensorRT-RTX times nothing while it builds: its timing cache is a no-op since 1.2 and deprecated.
inline constexpr bool kHasTimingCache = !kRtx;

/// Compute capabilities this flavour builds for without such a GPU, as `86`.
inline std::vector<int> aheadOfTimeTargets() {
#if RVOS_TENSORRT_RTX
  std::vector<int> targets{75, 80, 86, 89, 120};
#if NV_TENSORRT_MINOR >= 5
  targets.push_back(121);
#endif
  return targets;
#else
  return {};
#endif
}

/// Sets what the engine is built for; no targets: the GPU that is present. False if the builder refuses. The targets are
/// some of `aheadOfTimeTargets`.
inline bool setTargets(nvinfer1::IBuilderConfig& config, const std::vector<int>& targets) {
#if RVOS_TENSORRT_RTX
  if (targets.empty()) {
    return config.setNbComputeCapabilities(1) && config.setComputeCapability(nvinfer1::ComputeCapability::kCURRENT, 0);
  }
  if (!config.setNbComputeCapabilities(static_cast<std::int32_t>(targets.size()))) return false;
  std::int32_t index = 0;
  for (const int target : targets) {
    if (!config.setComputeCapability(static_cast<nvinfer1::ComputeCapability>(target), index++)) return false;
  }
  return true;
#else
  static_cast<void>(config);
  return targets.empty();
#endif
}

/// Makes an engine that allocates nothing while it runs, which a captured CUDA graph could not repeat; a network that needs
/// it fails to build. The flag's number is not the same in all versions of TensorRT-RTX 1.x: set only where headers and
/// library are known to agree.
inline void requireUserAllocation(nvinfer1::IBuilderConfig& config, int libraryMinor) {
#if RVOS_TENSORRT_RTX && NV_TENSORRT_MINOR >= 7
  if (libraryMinor >= NV_TENSORRT_MINOR) config.setFlag(nvinfer1::BuilderFlag::kREQUIRE_USER_ALLOCATION);
#else
  static_cast<void>(config);
  static_cast<void>(libraryMinor);
#endif
}

// ── opening ──

struct EngineObjection {
  std::string text;
  /// It holds on every machine, whatever its GPU.
  bool everywhere = false;
};

/// What the library has against a serialised engine by its first bytes alone, without trusting it; empty: nothing, or this
/// flavour cannot tell.
inline std::vector<EngineObjection> engineObjections(const nvinfer1::IRuntime& runtime, const void* bytes,
                                                     std::int64_t size) {
  std::vector<EngineObjection> objections;
#if RVOS_TENSORRT_RTX
  using Diagnostics = nvinfer1::EngineInvalidityDiagnostics;
  if (size < runtime.getEngineHeaderSize()) return {{"it is cut short", true}};
  std::uint64_t found = 0;
  if (runtime.getEngineValidity(bytes, size, &found) != nvinfer1::EngineValidity::kINVALID) return objections;
  const auto note = [&](Diagnostics bit, const char* text, bool everywhere = false) {
    if ((found & static_cast<std::uint64_t>(bit)) != 0) objections.push_back({text, everywhere});
  };
  note(Diagnostics::kMALFORMED_ENGINE, "it is damaged or no engine", true);
  note(Diagnostics::kVERSION_MISMATCH, "it was built by another version of TensorRT-RTX", true);
  note(Diagnostics::kUNSUPPORTED_CC, "it was not built for this GPU");
  note(Diagnostics::kOLD_CUDA_DRIVER, "the driver is too old for it");
  note(Diagnostics::kOLD_CUDA_RUNTIME, "the CUDA runtime is too old for it");
  note(Diagnostics::kINSUFFICIENT_GPU_MEMORY, "the GPU has too little memory for it");
  note(Diagnostics::kCUDA_ERROR, "CUDA failed");
  if (objections.empty()) objections.push_back({"TensorRT-RTX calls it invalid", false});
#else
  static_cast<void>(runtime);
  static_cast<void>(bytes);
  static_cast<void>(size);
#endif
  return objections;
}

// ── running ──

/// An execution context, and what it was made from, which has to live as long.
class Context {
 public:
  Context() = default;
#if RVOS_TENSORRT_RTX
  Context(std::unique_ptr<nvinfer1::IRuntimeConfig> config, std::unique_ptr<nvinfer1::IExecutionContext> context)
      : config_(std::move(config)), context_(std::move(context)) {}
#else
  explicit Context(std::unique_ptr<nvinfer1::IExecutionContext> context) : context_(std::move(context)) {}
#endif

  explicit operator bool() const { return context_ != nullptr; }
  nvinfer1::IExecutionContext* operator->() const { return context_.get(); }
  nvinfer1::IExecutionContext& operator*() const { return *context_; }

 private:
#if RVOS_TENSORRT_RTX
  /// Declared before the context, so destroyed after it.
  std::unique_ptr<nvinfer1::IRuntimeConfig> config_;
#endif
  std::unique_ptr<nvinfer1::IExecutionContext> context_;
};

/// An execution context whose activation memory the caller provides; null if there is none to be had. TensorRT-RTX compiles
/// kernels for the shapes at hand: at once, because what it compiles later would never get into a captured CUDA graph.
inline Context createContext(nvinfer1::ICudaEngine& engine) {
  constexpr auto kStrategy = nvinfer1::ExecutionContextAllocationStrategy::kUSER_MANAGED;
#if RVOS_TENSORRT_RTX
  std::unique_ptr<nvinfer1::IRuntimeConfig> config(engine.createRuntimeConfig());
  if (!config) return {};
  config->setExecutionContextAllocationStrategy(kStrategy);
  config->setDynamicShapesKernelSpecializationStrategy(nvinfer1::DynamicShapesKernelSpecializationStrategy::kEAGER);
  std::unique_ptr<nvinfer1::IExecutionContext> context(engine.createExecutionContext(config.get()));
  return {std::move(config), std::move(context)};
#else
  return Context(std::unique_ptr<nvinfer1::IExecutionContext>(engine.createExecutionContext(kStrategy)));
#endif
}

/// False: the engine would allocate in `stream` and must not be captured. Only TensorRT-RTX can tell.
inline bool isCapturable(const nvinfer1::IExecutionContext& context, cudaStream_t stream, int libraryMinor) {
#if RVOS_TENSORRT_RTX && NV_TENSORRT_MINOR >= 7
  return libraryMinor < NV_TENSORRT_MINOR || context.isStreamCapturable(stream);
#else
  static_cast<void>(context);
  static_cast<void>(stream);
  static_cast<void>(libraryMinor);
  return true;
#endif
}

}  // namespace rvos::tensorrt::compat
