// See device_measurement.h.
#include "device_measurement.h"

#include <algorithm>
#include <cstdint>

#include "memory/device_buffer.h"
#include "event.h"
#include "memory/pinned_buffer.h"
#include "stream.h"
#include "failure.h"

namespace rvos::tensorrt {

namespace {

constexpr int kWarmUp = 2;

/// Milliseconds of each run of what `work` queues.
template <typename Work>
std::vector<double> timed(const cuda::Stream& stream, int runs, Work&& work) {
  cuda::Event begin(cuda::Event::Kind::Timing);
  cuda::Event end(cuda::Event::Kind::Timing);
  std::vector<double> milliseconds;
  for (int run = -kWarmUp; run < runs; ++run) {
    begin.record(stream.get());
    work();
    end.record(stream.get());
    end.wait();
    if (run >= 0) milliseconds.push_back(end.millisecondsSince(begin));
  }
  return milliseconds;
}

double bytesPerSecond(size_t bytes, std::vector<double> milliseconds) {
  const auto middle = milliseconds.begin() + static_cast<std::ptrdiff_t>(milliseconds.size() / 2);
  std::nth_element(milliseconds.begin(), middle, milliseconds.end());
  return static_cast<double>(bytes) / (*middle / 1000);
}

void checkRuns(int runs) {
  if (runs < 1 || runs > 10000) throw Failure(code::kBadArgument, "runs must be from 1 to 10000");
}

/// Bits of numbers between 0.5 and 1 of both signs.
std::vector<uint8_t> numbers(size_t count, StageType type) {
  std::vector<uint8_t> bytes(count * bytesOf(type));
  uint32_t state = 1;
  for (size_t i = 0; i < count; ++i) {
    state = state * 1664525u + 1013904223u;
    const uint32_t sign = state >> 31;
    if (type == StageType::Float16) {
      const auto half = static_cast<uint16_t>(sign << 15 | 0x3800u | (state >> 8 & 0x3ffu));
      reinterpret_cast<uint16_t*>(bytes.data())[i] = half;
    } else {
      reinterpret_cast<uint32_t*>(bytes.data())[i] = sign << 31 | 0x3f000000u | (state >> 8 & 0x7fffffu);
    }
  }
  return bytes;
}

size_t elements(const StageShape& shape) {
  size_t count = 1;
  for (int axis = 0; axis < shape.rank; ++axis) count *= static_cast<size_t>(shape.axes[axis]);
  return count;
}

}  // namespace

CopyRates measureCopies(int device, size_t bytes, int runs) {
  checkRuns(runs);
  cuda::useDevice(device);
  const cuda::DeviceBuffer from(bytes);
  const cuda::DeviceBuffer to(bytes);
  const cuda::PinnedBuffer host(bytes);
  const cuda::Stream stream;
  stream.clear(from.at(), bytes);
  return {
      bytesPerSecond(2 * bytes, timed(stream, runs, [&] { stream.copyOnDevice(to.at(), from.at(), bytes); })),
      bytesPerSecond(bytes, timed(stream, runs, [&] { stream.copyToDevice(to.at(), host.at(), bytes); })),
      bytesPerSecond(bytes, timed(stream, runs, [&] { stream.copyToHost(host.at(), to.at(), bytes); })),
  };
}

std::vector<double> measureEngine(int device, const std::string& path, StageLoader& loader,
                                  const std::vector<MeasuredTensor>& tensors, int runs) {
  checkRuns(runs);
  cuda::useDevice(device);
  const auto engine = loader.open(path);
  const cuda::DeviceBuffer activations(engine->activationBytes(0));
  std::vector<cuda::DeviceBuffer> memory;
  const cuda::Stream stream;
  const auto context = engine->createContext(0, {activations.at(), activations.bytes()}, stream.get());
  for (const MeasuredTensor& tensor : tensors) {
    const StageType type = engine->type(tensor.name.c_str());
    if (type != StageType::Float16 && type != StageType::Float32) {
      throw Failure(code::kBadArgument, "tensor " + tensor.name + " is neither float16 nor float32");
    }
    const size_t count = elements(tensor.shape);
    memory.emplace_back(count * bytesOf(type));
    if (tensor.input) {
      const std::vector<uint8_t> values = numbers(count, type);
      cuda::PinnedBuffer staged(values.size());
      std::copy(values.begin(), values.end(), staged.at());
      stream.copyToDevice(memory.back().at(), staged.at(), values.size());
      stream.synchronize();
      context->setShape(tensor.name.c_str(), tensor.shape);
    }
    context->bind(tensor.name.c_str(), memory.back().at());
  }
  return timed(stream, runs, [&] { context->enqueue(stream.get()); });
}

}  // namespace rvos::tensorrt
