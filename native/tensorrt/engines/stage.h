// What the pipeline sees of an engine. One implementation deserialises TensorRT's engines (engine.cc), another runs the
// stage's ONNX graph over simulated device memory (native/simulated).
#pragma once

#include <cuda_runtime.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <memory>
#include <string>

namespace rvos::tensorrt {

/// Extents of a tensor, outermost first; at most 8.
struct StageShape {
  StageShape() = default;
  StageShape(std::initializer_list<int64_t> extents) {
    for (const int64_t extent : extents) axes[rank++] = extent;
  }

  int rank = 0;
  std::array<int64_t, 8> axes{};
};

enum class StageType { Float32, Float16, Int32, Int64, Other };

inline size_t bytesOf(StageType type) {
  switch (type) {
    case StageType::Float16: return 2;
    case StageType::Int64: return 8;
    default: return 4;
  }
}

/// Device memory that layers of a stage share with those of other stages of the same stream.
struct Activations {
  void* data;
  size_t bytes;
};

/// One way to run an engine: shapes and addresses stay until they are set again. Used by one thread at a time.
class StageContext {
 public:
  virtual ~StageContext() = default;
  virtual void setShape(const char* input, const StageShape& shape) = 0;
  /// `data` is device memory that holds the tensor's largest form.
  virtual void bind(const char* tensor, void* data) = 0;
  /// Queues the stage. May be captured in a graph, which then needs this context, unchanged, as long as it is replayed.
  virtual void enqueue(cudaStream_t stream) = 0;
  /// Whether `enqueue` may be captured, as far as the engine can tell.
  virtual bool capturable(cudaStream_t) const { return true; }
};

/// Shared by all threads.
class StageEngine {
 public:
  virtual ~StageEngine() = default;
  virtual size_t activationBytes(int profile) const = 0;
  /// Both throw BAD_ENGINE when there is no such tensor. Extents that depend on the profile are −1.
  virtual StageType type(const char* tensor) const = 0;
  virtual StageShape shape(const char* tensor) const = 0;
  /// Names the engine in messages.
  virtual const std::string& path() const = 0;
  /// `activations` holds activationBytes(profile) and outlives the context, as does the engine. `stream` orders what
  /// the choice of the profile queues. Throws OUT_OF_MEMORY, BAD_ENGINE, DEVICE_FAILED.
  virtual std::unique_ptr<StageContext> createContext(int profile, Activations activations, cudaStream_t stream) = 0;
};

/// Opens engine files on the current device.
class StageLoader {
 public:
  virtual ~StageLoader() = default;
  /// Throws BAD_ENGINE, OUT_OF_MEMORY, LIBRARY_MISSING.
  virtual std::shared_ptr<StageEngine> open(const std::string& path) = 0;
  /// Stages under way may fail from now on instead of waiting for the environment that goes away.
  virtual void abandon() {}
};

}  // namespace rvos::tensorrt
