// See stage_access.h.
#include "stage_access.h"

#include <algorithm>
#include <cstring>
#include <string>

#include "../../core/half.h"
#include "failure.h"

namespace rvos::tensorrt {

namespace {

/// An extent that may be anything within limits.
constexpr int64_t kAny = -1;

std::string describe(const std::vector<int64_t>& shape) {
  std::string text;
  for (const int64_t extent : shape) text += (text.empty() ? "" : ", ") + (extent == kAny ? "any" : std::to_string(extent));
  return "[" + text + "]";
}

const HostTensor& require(const HostTensors& inputs, const std::string& name, StageType type,
                          const std::vector<int64_t>& shape) {
  const auto found = inputs.find(name);
  if (found == inputs.end()) throw Failure(code::kBadArgument, "the input " + name + " is missing");
  const HostTensor& tensor = found->second;
  bool fits = tensor.type == type && tensor.shape.size() == shape.size();
  for (size_t i = 0; fits && i < shape.size(); ++i) fits = shape[i] == kAny || shape[i] == tensor.shape[i];
  if (!fits) {
    throw Failure(code::kBadArgument, "the input " + name + " is of shape " + describe(tensor.shape) +
                                          " or of another type, expected " + describe(shape));
  }
  return tensor;
}

int within(const char* what, int64_t value, int64_t most) {
  if (value >= 1 && value <= most) return static_cast<int>(value);
  throw Failure(code::kBadArgument, std::string(what) + " is " + std::to_string(value) + ", must be from 1 to " +
                                        std::to_string(most));
}

/// Blocks of `count` elements, in host memory and on the device `stride` elements apart.
struct Blocks {
  size_t number;
  size_t count;
  size_t stride;
};

class Transfer {
 public:
  Transfer(const SlotMemory& slot, ElementType element) : slot_(slot), element_(element) {}

  void floatsIn(const HostTensor& tensor, void* device, const Blocks& blocks) {
    const size_t size = elementBytes(element_);
    cuda::PinnedBuffer staging(blocks.number * blocks.stride * size);
    std::memset(staging.at(), 0, staging.bytes());
    const auto* from = reinterpret_cast<const float*>(tensor.data.data());
    for (size_t b = 0; b < blocks.number; ++b) {
      for (size_t i = 0; i < blocks.count; ++i, ++from) {
        const size_t at = b * blocks.stride + i;
        if (element_ == ElementType::kFloat16) staging.at<Half>()[at] = halfOf(*from);
        else staging.at<float>()[at] = *from;
      }
    }
    slot_.stream.copyToDevice(device, staging.at(), staging.bytes());
    slot_.stream.synchronize();
  }

  HostTensor floatsOut(const void* device, std::vector<int64_t> shape, const Blocks& blocks) {
    cuda::PinnedBuffer staging(blocks.number * blocks.stride * elementBytes(element_));
    slot_.stream.copyToHost(staging.at(), device, staging.bytes());
    slot_.stream.synchronize();
    HostTensor tensor{StageType::Float32, std::move(shape), {}};
    tensor.data.resize(blocks.number * blocks.count * sizeof(float));
    auto* to = reinterpret_cast<float*>(tensor.data.data());
    for (size_t b = 0; b < blocks.number; ++b) {
      for (size_t i = 0; i < blocks.count; ++i, ++to) {
        const size_t at = b * blocks.stride + i;
        *to = element_ == ElementType::kFloat16 ? floatOf(staging.at<Half>()[at]) : staging.at<float>()[at];
      }
    }
    return tensor;
  }

  void bytesIn(const void* data, size_t bytes, void* device) {
    cuda::PinnedBuffer staging(bytes);
    std::memcpy(staging.at(), data, bytes);
    slot_.stream.copyToDevice(device, staging.at(), bytes);
    slot_.stream.synchronize();
  }

 private:
  const SlotMemory& slot_;
  ElementType element_;
};

/// int32 values from 0 (or `least`) to `most`; `otherwise` where the input is left out.
void indicesIn(Transfer& transfer, const HostTensors& inputs, const std::string& name, int count, int least, int most,
               int otherwise, void* device) {
  std::vector<int32_t> values(count, otherwise);
  if (inputs.count(name) > 0) {
    const HostTensor& tensor = require(inputs, name, StageType::Int32, {count});
    std::memcpy(values.data(), tensor.data.data(), tensor.data.size());
    for (const int32_t value : values) {
      if (value < least || value > most) {
        throw Failure(code::kBadArgument, "the input " + name + " holds " + std::to_string(value) +
                                              ", must be from " + std::to_string(least) + " to " + std::to_string(most));
      }
    }
  }
  transfer.bytesIn(values.data(), values.size() * sizeof(int32_t), device);
}

Form formFor(const PipelineLimits& limits, int frames) {
  return frames <= limits.shortFrames ? Form::Short : Form::Long;
}

/// Levels are [B,T,…] outside and [B,Tp,…] inside.
Blocks levelBlocks(const PipelineLimits& limits, int level, int windows, int frames, Form form) {
  const LevelSize size = levelSizes(limits)[level];
  const size_t frame = static_cast<size_t>(size.channels) * size.height * size.width;
  return {static_cast<size_t>(windows), frames * frame, limits.frames(form) * frame};
}

/// What came from outside may be infinite; later windows must not find it in frames that are not theirs.
struct Cleared {
  const SlotMemory& memory;
  ~Cleared() {
    try {
      const auto clear = [&](const Region& region) { memory.stream.clear(memory.onDevice(region), region.bytes); };
      clear(memory.layout.frames);
      for (const Region& level : memory.layout.levels) clear(level);
    } catch (const Failure&) {
      // The device has failed: the next call tells.
    }
  }
};

}  // namespace

HostTensors runBackbone(PipelineSlot& slot, const HostTensors& inputs) {
  const SlotMemory& memory = slot.memory();
  const Cleared cleared{memory};
  const PipelineLimits& limits = memory.limits;
  const HostTensor& frames =
      require(inputs, "frames", StageType::Float32, {kAny, kAny, 3, limits.height, limits.width});
  const int windows = within("the number of windows", frames.shape[0], limits.windows);
  const int count = within("the number of frames", frames.shape[1], limits.mostFrames());
  const Form form = formFor(limits, count);
  Transfer transfer(memory, limits.element);
  const BatchInputs& small = memory.layout.inputs;
  indicesIn(transfer, inputs, "frame_count", windows, form == Form::Short ? 1 : limits.shortFrames + 1, count, count,
            memory.onDevice(memory.layout.deviceInputs, small.frameCount.offset));
  const size_t frame = frameElements(limits);
  transfer.floatsIn(frames, memory.onDevice(memory.layout.frames),
                    {static_cast<size_t>(windows), count * frame, limits.frames(form) * frame});
  slot.network().backbone(form, windows);
  HostTensors outputs;
  for (int i = 0; i < kLevels; ++i) {
    const LevelSize size = levelSizes(limits)[i];
    outputs["level" + std::to_string(i)] =
        transfer.floatsOut(memory.onDevice(memory.layout.levels[i]),
                           {windows, count, size.channels, size.height, size.width},
                           levelBlocks(limits, i, windows, count, form));
  }
  return outputs;
}

HostTensors runTransformer(PipelineSlot& slot, const HostTensors& inputs) {
  const SlotMemory& memory = slot.memory();
  const Cleared cleared{memory};
  const SlotLayout& layout = memory.layout;
  const PipelineLimits& limits = memory.limits;
  const auto sizes = levelSizes(limits);
  const HostTensor& first = require(inputs, "level0", StageType::Float32,
                                    {kAny, kAny, sizes[0].channels, sizes[0].height, sizes[0].width});
  const int windows = within("the number of windows", first.shape[0], limits.windows);
  const int frames = within("the number of frames", first.shape[1], limits.mostFrames());
  const HostTensor& text = require(inputs, "text_features", StageType::Float32, {kAny, kAny, limits.textFeatures});
  const int sentences = within("the number of sentences", text.shape[0], limits.sentences);
  const int tokens = within("the number of tokens", text.shape[1], limits.tokens);
  const HostTensor& mask = require(inputs, "attention_mask", StageType::Int64, {sentences, tokens});
  const Form form = formFor(limits, frames);

  Transfer transfer(memory, limits.element);
  Transfer floats(memory, ElementType::kFloat32);
  const auto small = [&](const Region& region) { return memory.onDevice(layout.deviceInputs, region.offset); };
  for (int i = 0; i < kLevels; ++i) {
    const HostTensor& level = require(inputs, "level" + std::to_string(i), StageType::Float32,
                                      {windows, frames, sizes[i].channels, sizes[i].height, sizes[i].width});
    transfer.floatsIn(level, memory.onDevice(layout.levels[i]), levelBlocks(limits, i, windows, frames, form));
  }
  indicesIn(transfer, inputs, "frame_count", windows, 1, frames, frames, small(layout.inputs.keptCount));
  indicesIn(transfer, inputs, "window_index", sentences, 0, windows - 1, 0, small(layout.inputs.windowIndex));
  const int padded = limits.paddedTokens(tokens);
  std::vector<int64_t> paddedMask(static_cast<size_t>(sentences) * padded, 0);
  for (int p = 0; p < sentences; ++p) {
    std::memcpy(&paddedMask[static_cast<size_t>(p) * padded], mask.data.data() + sizeof(int64_t) * p * tokens,
                sizeof(int64_t) * tokens);
  }
  transfer.bytesIn(paddedMask.data(), paddedMask.size() * sizeof(int64_t), small(layout.inputs.attentionMask));
  const size_t width = limits.textFeatures;
  floats.floatsIn(text, small(layout.inputs.features), {static_cast<size_t>(sentences), tokens * width, padded * width});
  slot.network().transformer(form, false, windows, sentences, padded);

  const size_t count = static_cast<size_t>(sentences);
  const int64_t queries = limits.objectQueries;
  const int64_t kernel = limits.kernelSize;
  const auto perFrame = [&](size_t elements) {
    return Blocks{count, frames * elements, limits.frames(form) * elements};
  };
  HostTensors outputs;
  outputs["referred_score"] =
      floats.floatsOut(memory.onDevice(layout.score), {sentences, queries}, {1, count * queries, count * queries});
  // Four bytes each, like floats; no float arithmetic touches them.
  outputs["query_index"] = floats.floatsOut(memory.onDevice(layout.queryIndex), {sentences}, {1, count, count});
  outputs["query_index"].type = StageType::Int32;
  outputs["mask_kernels"] = floats.floatsOut(memory.onDevice(layout.chosenKernels), {sentences, frames, kernel},
                                             perFrame(limits.kernelSize));
  outputs["all_mask_kernels"] = floats.floatsOut(memory.onDevice(layout.allKernels),
                                                 {sentences, frames, queries, kernel},
                                                 perFrame(static_cast<size_t>(queries) * limits.kernelSize));
  outputs["mask_features"] =
      transfer.floatsOut(memory.onDevice(layout.maskFeatures), {sentences, frames, kernel, sizes[0].height, sizes[0].width},
                         perFrame(static_cast<size_t>(kernel) * sizes[0].height * sizes[0].width));
  return outputs;
}

}  // namespace rvos::tensorrt
