// See text_encoder.h.
#include "text_encoder.h"

#include <cstring>

#include "failure.h"

namespace rvos::tensorrt {

struct TextEncoder::Resources {
  Resources(const TextEncoderLimits& limits, std::shared_ptr<StageEngine> opened) : engine(std::move(opened)) {
    const size_t tokens = static_cast<size_t>(limits.sentences) * limits.tokens;
    activations = device.take("activations", engine->activationBytes(0));
    ids = device.take("inputs", tokens * sizeof(int64_t));
    mask = device.take("inputs", tokens * sizeof(int64_t));
    features = device.take("outputs", tokens * limits.features * sizeof(float));
    hostIds = host.take("inputs", tokens * sizeof(int64_t));
    hostMask = host.take("inputs", tokens * sizeof(int64_t));
    hostFeatures = host.take("outputs", tokens * limits.features * sizeof(float));
    memory = cuda::DeviceBuffer(device.bytes());
    pinned = cuda::PinnedBuffer(host.bytes());
    context = engine->createContext(0, {memory.at(activations.offset), activations.bytes}, stream.get());
    context->bind("input_ids", memory.at(ids.offset));
    context->bind("attention_mask", memory.at(mask.offset));
    context->bind("text_features", memory.at(features.offset));
  }
  ~Resources() { stream.drain(); }
  Resources(const Resources&) = delete;
  Resources& operator=(const Resources&) = delete;

  std::shared_ptr<StageEngine> engine;
  Layout device;
  Region activations, ids, mask, features;
  Layout host;
  Region hostIds, hostMask, hostFeatures;
  cuda::DeviceBuffer memory;
  cuda::PinnedBuffer pinned;
  cuda::Stream stream;
  std::unique_ptr<StageContext> context;
};

TextEncoder::TextEncoder(int device, const TextEncoderLimits& limits, const std::string& engine, StageLoader& loader)
    : device_(device), limits_(limits) {
  const auto within = [](const char* field, int value, int most) {
    if (value >= 1 && value <= most) return;
    throw Failure(code::kBadArgument, std::string(field) + " is " + std::to_string(value) + ", must be from 1 to " +
                                          std::to_string(most));
  };
  within("sentences", limits.sentences, 1024);
  within("tokens", limits.tokens, 4096);
  within("features", limits.features, 1 << 14);
  cuda::useDevice(device_);
  resources_ = std::make_unique<Resources>(limits_, loader.open(engine));
  if (resources_->engine->type("text_features") != StageType::Float32) {
    throw Failure(code::kBadEngine, engine + " gives text features of another type than float32");
  }
}

TextEncoder::~TextEncoder() { dispose(); }

std::vector<float> TextEncoder::encode(const int64_t* ids, const int64_t* mask, int sentences, int tokens) {
  const std::lock_guard<std::mutex> lock(mutex_);
  if (!resources_) throw Failure(code::kDisposed, "the text encoder was disposed: open a new one");
  cuda::useDevice(device_);
  Resources& own = *resources_;
  const size_t count = static_cast<size_t>(sentences) * tokens;
  const auto upload = [&](const int64_t* values, const Region& host, const Region& device) {
    std::memcpy(own.pinned.at(host.offset), values, count * sizeof(int64_t));
    own.stream.copyToDevice(own.memory.at(device.offset), own.pinned.at(host.offset), count * sizeof(int64_t));
  };
  try {
    upload(ids, own.hostIds, own.ids);
    upload(mask, own.hostMask, own.mask);
    own.context->setShape("input_ids", {sentences, tokens});
    own.context->setShape("attention_mask", {sentences, tokens});
    own.context->enqueue(own.stream.get());
    own.stream.copyToHost(own.pinned.at(own.hostFeatures.offset), own.memory.at(own.features.offset),
                          count * limits_.features * sizeof(float));
    own.stream.synchronize();
  } catch (...) {
    own.stream.drain();
    throw;
  }
  const auto* features = own.pinned.at<const float>(own.hostFeatures.offset);
  return {features, features + count * limits_.features};
}

void TextEncoder::dispose() {
  const std::lock_guard<std::mutex> lock(mutex_);
  if (!resources_) return;
  try {
    cuda::useDevice(device_);
  } catch (const Failure&) {
    // Freeing works for what is there, or there is nothing left to free.
  }
  resources_.reset();
}

}  // namespace rvos::tensorrt
