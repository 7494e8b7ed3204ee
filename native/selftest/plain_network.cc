// See plain_network.h.
#include "plain_network.h"

#include <map>
#include <utility>

#include "tensorrt/device/check.h"
#include "tensorrt/failure.h"

namespace rvos::selftest {

using tensorrt::Activations;
using tensorrt::Failure;
using tensorrt::PipelineLimits;
using tensorrt::StageContext;
using tensorrt::StageEngine;
using tensorrt::StageShape;
using tensorrt::StageType;

namespace {

struct Tensor {
  StageType type;
  StageShape shape;
};

/// Names, types and shapes, as the real engines have them; −1: any.
std::map<std::string, Tensor> tensorsOf(const std::string& stage, const PipelineLimits& limits) {
  LevelExtent levels[kLevels];
  levelExtents(limits, levels);
  std::map<std::string, Tensor> tensors;
  const bool transformer = stage == "transformer";
  const int64_t frames = transformer ? -1 : stage == "short" ? limits.shortFrames : limits.longFrames;
  for (int i = 0; i < kLevels; ++i) {
    tensors[tensorrt::levelName(i)] = {StageType::Float16, {-1, frames, levels[i].channels, levels[i].height, levels[i].width}};
  }
  tensors["frame_count"] = {StageType::Int32, {-1}};
  if (!transformer) {
    tensors["frames"] = {StageType::Float16, {-1, frames, 3, limits.height, limits.width}};
    return tensors;
  }
  tensors["text_features"] = {StageType::Float32, {-1, -1, limits.textFeatures}};
  tensors["attention_mask"] = {StageType::Int64, {-1, -1}};
  tensors["window_index"] = {StageType::Int32, {-1}};
  tensors["referred_score"] = {StageType::Float32, {-1, limits.objectQueries}};
  tensors["query_index"] = {StageType::Int32, {-1}};
  tensors["mask_kernels"] = {StageType::Float32, {-1, -1, limits.kernelSize}};
  tensors["all_mask_kernels"] = {StageType::Float32, {-1, -1, limits.objectQueries, limits.kernelSize}};
  tensors["mask_features"] = {StageType::Float16, {-1, -1, limits.kernelSize, levels[0].height, levels[0].width}};
  return tensors;
}

class Context final : public StageContext {
 public:
  Context(bool transformer, const PipelineLimits& limits) : transformer_(transformer), limits_(limits) {}

  void setShape(const char* input, const StageShape& shape) override { shapes_[input] = shape; }
  void bind(const char* tensor, void* data) override { bindings_[tensor] = data; }

  void enqueue(cudaStream_t stream) override {
    tensorrt::cuda::check(transformer_ ? launchPlainTransformer(transformerJob(), stream)
                                       : launchPlainBackbone(backboneJob(), stream),
                          "plain stage");
  }

 private:
  template <typename T>
  T* at(const char* tensor) const {
    return static_cast<T*>(bindings_.at(tensor));
  }

  PlainBackboneJob backboneJob() const {
    const StageShape& frames = shapes_.at("frames");
    PlainBackboneJob job;
    job.windows = static_cast<int>(frames.axes[0]);
    job.frames = static_cast<int>(frames.axes[1]);
    job.height = limits_.height;
    job.width = limits_.width;
    levelExtents(limits_, job.levels);
    job.input = at<const uint16_t>("frames");
    job.frameCount = at<const int32_t>("frame_count");
    for (int i = 0; i < kLevels; ++i) job.outputs[i] = at<uint16_t>(tensorrt::levelName(i));
    return job;
  }

  PlainTransformerJob transformerJob() const {
    const StageShape& level = shapes_.at("level0");
    const StageShape& text = shapes_.at("text_features");
    PlainTransformerJob job;
    job.windows = static_cast<int>(level.axes[0]);
    job.frames = static_cast<int>(level.axes[1]);
    job.sentences = static_cast<int>(text.axes[0]);
    job.tokens = static_cast<int>(text.axes[1]);
    job.textFeatures = limits_.textFeatures;
    job.queries = limits_.objectQueries;
    job.kernelSize = limits_.kernelSize;
    levelExtents(limits_, job.levels);
    for (int i = 0; i < kLevels; ++i) job.inputs[i] = at<const uint16_t>(tensorrt::levelName(i));
    job.frameCount = at<const int32_t>("frame_count");
    job.text = at<const float>("text_features");
    job.attention = at<const int64_t>("attention_mask");
    job.windowIndex = at<const int32_t>("window_index");
    job.score = at<float>("referred_score");
    job.queryIndex = at<int32_t>("query_index");
    job.chosenKernels = at<float>("mask_kernels");
    job.allKernels = at<float>("all_mask_kernels");
    job.maskFeatures = at<uint16_t>("mask_features");
    return job;
  }

  bool transformer_;
  PipelineLimits limits_;
  std::map<std::string, StageShape> shapes_;
  std::map<std::string, void*> bindings_;
};

class Engine final : public StageEngine {
 public:
  Engine(std::string stage, const PipelineLimits& limits)
      : stage_(std::move(stage)), limits_(limits), tensors_(tensorsOf(stage_, limits)) {}

  size_t activationBytes(int) const override { return 256; }
  StageType type(const char* tensor) const override { return find(tensor).type; }
  StageShape shape(const char* tensor) const override { return find(tensor).shape; }
  const std::string& path() const override { return stage_; }
  std::unique_ptr<StageContext> createContext(int, Activations, cudaStream_t) override {
    return std::make_unique<Context>(stage_ == "transformer", limits_);
  }

 private:
  const Tensor& find(const char* tensor) const {
    const auto found = tensors_.find(tensor);
    if (found != tensors_.end()) return found->second;
    throw Failure(tensorrt::code::kBadEngine, stage_ + " has no tensor " + tensor);
  }

  std::string stage_;
  PipelineLimits limits_;
  std::map<std::string, Tensor> tensors_;
};

}  // namespace

void levelExtents(const PipelineLimits& limits, LevelExtent (&levels)[kLevels]) {
  const auto sizes = tensorrt::levelSizes(limits);
  for (int i = 0; i < kLevels; ++i) levels[i] = {sizes[i].channels, sizes[i].height, sizes[i].width};
}

std::shared_ptr<StageEngine> PlainLoader::open(const std::string& path) {
  return std::make_shared<Engine>(path, limits_);
}

}  // namespace rvos::selftest
