// See engine.h.
#include "engine.h"

#include <mutex>
#include <string>
#include <utility>

#include "libraries/compat.h"
#include "engine_file.h"
#include "device/check.h"
#include "failure.h"
#include "libraries/library.h"
#include "libraries/logger.h"

namespace rvos::tensorrt {

namespace {

StageType typeOf(nvinfer1::DataType type) {
  switch (type) {
    case nvinfer1::DataType::kFLOAT: return StageType::Float32;
    case nvinfer1::DataType::kHALF: return StageType::Float16;
    case nvinfer1::DataType::kINT32: return StageType::Int32;
    case nvinfer1::DataType::kINT64: return StageType::Int64;
    default: return StageType::Other;
  }
}

/// `mark`: what the logger had before the call that failed.
[[noreturn]] void refuse(const Logger& logger, std::uint64_t mark, const char* code, const std::string& what) {
  const std::string words = logger.errorLine("TensorRT gives no reason", mark);
  const cudaError_t status = cudaGetLastError();
  if (cuda::isSticky(status)) cuda::check(status, (what + ": " + words).c_str());
  throw Failure(saysOutOfMemory(words) ? code::kOutOfMemory : code, what + ": " + words);
}

/// What an engine needs as long as any context of it lives.
struct Opened {
  std::string path;
  std::shared_ptr<Logger> logger;
  std::unique_ptr<nvinfer1::IRuntime> runtime;
  std::unique_ptr<nvinfer1::ICudaEngine> engine;
  /// Contexts are made, given their first shape and run for the first time one at a time: TensorRT-RTX compiles kernels then.
  std::mutex making;
};

class EngineContext final : public StageContext {
 public:
  EngineContext(std::shared_ptr<Opened> opened, compat::Context context)
      : opened_(std::move(opened)), context_(std::move(context)) {}

  void setShape(const char* input, const StageShape& shape) override {
    nvinfer1::Dims dims{};
    dims.nbDims = shape.rank;
    for (int i = 0; i < shape.rank; ++i) dims.d[i] = shape.axes[i];
    const auto lock = beforeFirstRun();
    const std::uint64_t mark = opened_->logger->mark();
    if (!context_->setInputShape(input, dims)) {
      fail(mark, code::kBadEngine, std::string("the engine does not take this shape of ") + input);
    }
  }

  void bind(const char* tensor, void* data) override {
    const std::uint64_t mark = opened_->logger->mark();
    if (!context_->setTensorAddress(tensor, data)) {
      fail(mark, code::kBadEngine, std::string("the engine has no tensor ") + tensor);
    }
  }

  void enqueue(cudaStream_t stream) override {
    const auto lock = beforeFirstRun();
    const std::uint64_t mark = opened_->logger->mark();
    if (!context_->enqueueV3(stream)) fail(mark, code::kDeviceFailed, "the engine could not be run");
    hasRun_ = true;
  }

  bool capturable(cudaStream_t stream) const override {
    return compat::isCapturable(*context_, stream, Library::get().minor());
  }

 private:
  [[noreturn]] void fail(std::uint64_t mark, const char* code, const std::string& what) {
    refuse(*opened_->logger, mark, code, opened_->path + ": " + what);
  }

  std::unique_lock<std::mutex> beforeFirstRun() {
    return hasRun_ ? std::unique_lock<std::mutex>() : std::unique_lock<std::mutex>(opened_->making);
  }

  std::shared_ptr<Opened> opened_;
  compat::Context context_;
  bool hasRun_ = false;
};

class Engine final : public StageEngine {
 public:
  explicit Engine(std::shared_ptr<Opened> opened) : opened_(std::move(opened)) {}

  size_t activationBytes(int profile) const override {
    if (profile >= opened_->engine->getNbOptimizationProfiles()) {
      throw Failure(code::kBadEngine, opened_->path + " has no optimization profile " + std::to_string(profile));
    }
    return static_cast<size_t>(opened_->engine->getDeviceMemorySizeForProfileV2(profile));
  }

  StageType type(const char* tensor) const override {
    require(tensor);
    return typeOf(opened_->engine->getTensorDataType(tensor));
  }

  StageShape shape(const char* tensor) const override {
    require(tensor);
    const nvinfer1::Dims dims = opened_->engine->getTensorShape(tensor);
    StageShape shape;
    for (int i = 0; i < dims.nbDims; ++i) shape.axes[shape.rank++] = dims.d[i];
    return shape;
  }

  const std::string& path() const override { return opened_->path; }

  std::unique_ptr<StageContext> createContext(int profile, Activations activations, cudaStream_t stream) override {
    const std::lock_guard<std::mutex> lock(opened_->making);
    const std::uint64_t mark = opened_->logger->mark();
    compat::Context context = compat::createContext(*opened_->engine);
    if (!context) refuse(*opened_->logger, mark, code::kOutOfMemory, opened_->path + " gives no execution context");
    if (!context->setOptimizationProfileAsync(profile, stream)) {
      refuse(*opened_->logger, mark, code::kBadEngine,
             opened_->path + " cannot take its optimization profile " + std::to_string(profile));
    }
    context->setDeviceMemoryV2(activations.data, static_cast<int64_t>(activations.bytes));
    return std::make_unique<EngineContext>(opened_, std::move(context));
  }

 private:
  void require(const char* tensor) const {
    if (opened_->engine->getTensorIOMode(tensor) == nvinfer1::TensorIOMode::kNONE) {
      throw Failure(code::kBadEngine, opened_->path + " has no tensor " + tensor);
    }
  }

  std::shared_ptr<Opened> opened_;
};

class EngineLoader final : public StageLoader {
 public:
  std::shared_ptr<StageEngine> open(const std::string& path) override {
    auto opened = std::make_shared<Opened>();
    opened->path = path;
    opened->logger = Logger::create();
    opened->runtime = Library::get().createRuntime(*opened->logger);
    opened->engine = openEngineFile(path, *opened->runtime, *opened->logger);
    return std::make_shared<Engine>(std::move(opened));
  }
};

}  // namespace

std::shared_ptr<StageLoader> createEngineLoader() { return std::make_shared<EngineLoader>(); }

}  // namespace rvos::tensorrt
