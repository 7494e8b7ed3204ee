// kernel-selftest: the kernels against their CPU twins, bit for bit, without Node and without TensorRT. The first thing to run
// on a new GPU, and what compute-sanitizer watches (docs/gpu.md).
//
//   kernel-selftest [--device N] [--short] [--guard BYTES] [--runs N] [--spoil]
//
// --short   small frames alone
// --guard   bytes before and behind what a kernel writes, which it must leave as they are (1024; 0 under memcheck, which then
//           sees the very first byte beyond)
// --runs    timed launches of each case (0: none)
// --spoil   changes the last byte of each result, and the one behind it, to see that this is found
//
// One JSON object a line on standard output. Exit code 0: every case equal; 1: some case is not; 2: it could not run.
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <functional>
#include <stdexcept>
#include <string>
#include <vector>

#include "mask_head_job.h"
#include "noise.h"
#include "preprocess_job.h"
#include "tensorrt/device/event.h"
#include "tensorrt/device/stream.h"
#include "tensorrt/kernels/mask_head.h"
#include "tensorrt/kernels/preprocess.h"
#include "tensorrt/memory/device_buffer.h"
#include "tensorrt/memory/pinned_buffer.h"

namespace {

using namespace rvos;
using selftest::noiseBytes;
using selftest::noiseFloats;
using tensorrt::cuda::check;
using tensorrt::cuda::DeviceBuffer;
using tensorrt::cuda::Event;
using tensorrt::cuda::PinnedBuffer;
using tensorrt::cuda::Stream;

/// What nobody has written yet, inside and around the target.
constexpr uint8_t kUnwritten = 0xA5;

struct Options {
  int device = 0;
  bool quick = false;
  size_t guard = 1024;
  int runs = 20;
  bool spoil = false;
};

/// Device memory with these bytes in it.
class Uploaded {
 public:
  template <typename T>
  Uploaded(const Stream& stream, const std::vector<T>& values) : buffer_(values.size() * sizeof(T)) {
    PinnedBuffer pinned(buffer_.bytes());
    if (buffer_.bytes() == 0) return;
    std::memcpy(pinned.at(), values.data(), buffer_.bytes());
    stream.copyToDevice(buffer_.at(), pinned.at(), buffer_.bytes());
    stream.synchronize();
  }
  template <typename T>
  const T* as() const {
    return buffer_.bytes() == 0 ? nullptr : buffer_.at<const T>();
  }

 private:
  DeviceBuffer buffer_;
};

class SelfTest {
 public:
  explicit SelfTest(const Options& options) : options_(options) {}

  int failed() const { return failed_; }
  int cases() const { return cases_; }
  const Stream& stream() const { return stream_; }

  /// `launch` and `onHost` write `bytes` bytes at the address they are given; `traffic`: bytes read and written at least.
  void compare(const std::string& name, size_t bytes, size_t traffic,
               const std::function<cudaError_t(uint8_t*, cudaStream_t)>& launch,
               const std::function<void(uint8_t*)>& onHost) {
    ++cases_;
    const size_t guard = options_.guard;
    const size_t whole = bytes + 2 * guard;
    DeviceBuffer device(whole);
    check(cudaMemsetAsync(device.at(), kUnwritten, whole, stream_.get()), "cudaMemsetAsync");
    check(launch(device.at<uint8_t>(guard), stream_.get()), name.c_str());
    PinnedBuffer pinned(whole);
    stream_.copyToHost(pinned.at(), device.at(), whole);
    stream_.synchronize();
    if (options_.spoil) pinned.at()[guard + bytes - 1] ^= 1;
    if (options_.spoil && guard > 0) pinned.at()[guard + bytes] ^= 1;
    std::vector<uint8_t> expected(whole, kUnwritten);
    onHost(expected.data() + guard);

    size_t differing = 0;
    size_t first = 0;
    size_t outside = 0;
    for (size_t i = 0; i < whole; ++i) {
      if (pinned.at()[i] == expected[i]) continue;
      if (i < guard || i >= guard + bytes) {
        ++outside;
      } else if (differing++ == 0) {
        first = i - guard;
      }
    }
    const bool equal = differing == 0 && outside == 0;
    if (!equal) ++failed_;
    std::printf("{\"case\":\"%s\",\"state\":\"%s\",\"bytes\":%zu", name.c_str(), equal ? "passed" : "failed", bytes);
    if (differing > 0) {
      std::printf(",\"differing\":%zu,\"first\":%zu,\"got\":%u,\"expected\":%u", differing, first,
                  unsigned{pinned.at()[guard + first]}, unsigned{expected[guard + first]});
    }
    if (outside > 0) std::printf(",\"outside\":%zu", outside);
    if (options_.runs > 0) {
      const float own = median([&] { check(launch(device.at<uint8_t>(guard), stream_.get()), name.c_str()); });
      // A copy reads and writes its bytes: half of them each.
      const size_t half = std::max<size_t>(1, traffic / 2);
      const DeviceBuffer from(half);
      const DeviceBuffer to(half);
      stream_.clear(from.at(), half);
      const float copy = median([&] { stream_.copyOnDevice(to.at(), from.at(), half); });
      std::printf(",\"milliseconds\":%.5f,\"bytesMoved\":%zu,\"copyMilliseconds\":%.5f", own, traffic, copy);
    }
    std::printf("}\n");
    std::fflush(stdout);
  }

 private:
  /// Milliseconds on the device.
  float median(const std::function<void()>& queue) const {
    for (int i = 0; i < 3; ++i) queue();
    std::vector<float> times;
    for (int i = 0; i < options_.runs; ++i) {
      Event begin(Event::Kind::Timing);
      Event end(Event::Kind::Timing);
      begin.record(stream_.get());
      queue();
      end.record(stream_.get());
      end.wait();
      times.push_back(end.millisecondsSince(begin));
    }
    std::nth_element(times.begin(), times.begin() + times.size() / 2, times.end());
    return times[times.size() / 2];
  }

  Options options_;
  Stream stream_;
  int cases_ = 0;
  int failed_ = 0;
};

void preprocess(SelfTest& test, const char* name, PreprocessShape shape, int frames, bool leaveOut = false) {
  const NormaliseLevel channels[3] = {{0.485f, 0.229f}, {0.456f, 0.224f}, {0.406f, 0.225f}};
  // Rows are padded, so that a kernel which takes the width for the pitch is found.
  if (shape.pitch == 0) shape.pitch = rowBytes(shape.format, shape.width) + 7;
  const PreprocessPlan plan = planPreprocess(shape, channels);
  const size_t stride = (frameBytes(shape) + 15) / 16 * 16;
  const std::vector<uint8_t> source = noiseBytes((frames - 1) * stride + frameBytes(shape), 7);
  std::vector<int32_t> positions;
  for (int i = 0; i < frames && leaveOut; ++i) positions.push_back(i % 2 == 1 ? -1 : frames - 1 - i);
  const size_t bytes = size_t{3} * frames * shape.targetHeight * shape.targetWidth * elementBytes(shape.element);

  const Uploaded deviceTable(test.stream(), plan.table);
  const Uploaded deviceSource(test.stream(), source);
  const Uploaded devicePositions(test.stream(), positions);
  PreprocessJob job;
  job.shape = plan.shape;
  job.tiling = plan.tiling;
  job.frameStride = stride;
  job.frames = frames;
  const auto launch = [&](uint8_t* target, cudaStream_t stream) {
    PreprocessJob mine = job;
    mine.table = deviceTable.as<uint32_t>();
    mine.source = deviceSource.as<uint8_t>();
    mine.positions = devicePositions.as<int32_t>();
    mine.target = target;
    return launchPreprocess(mine, stream);
  };
  const auto onHost = [&](uint8_t* target) {
    PreprocessJob mine = job;
    mine.table = plan.table.data();
    mine.source = source.data();
    mine.positions = positions.empty() ? nullptr : positions.data();
    mine.target = target;
    preprocessOnHost(mine);
  };
  test.compare(std::string("preprocess ") + name, bytes, source.size() + bytes, launch, onHost);
}

struct MaskCase {
  ElementType type = ElementType::kFloat16;
  int sentences = 2;
  int frames = 3;
  bool chosen = true;
  bool counted = false;
};

void maskHead(SelfTest& test, const char* name, const MaskHeadShape& shape, const MaskCase& kind) {
  constexpr int kQueries = 5;
  const MaskHeadPlan plan = planMaskHead(shape);
  const size_t images = static_cast<size_t>(kind.sentences) * kind.frames;
  const std::vector<float> kernels = noiseFloats(images * kQueries * shape.kernelSize, 11);
  const std::vector<float> levels =
      noiseFloats(images * shape.kernelSize * shape.featureHeight * shape.featureWidth, 12);
  std::vector<uint8_t> features(levels.size() * elementBytes(kind.type));
  for (size_t i = 0; i < levels.size(); ++i) {
    if (kind.type == ElementType::kFloat32) {
      std::memcpy(&features[4 * i], &levels[i], 4);
    } else {
      const Half half = halfOf(levels[i]);
      std::memcpy(&features[2 * i], &half, 2);
    }
  }
  std::vector<int32_t> chosen;
  for (int p = 0; p < kind.sentences && kind.chosen; ++p) chosen.push_back((3 * p + 1) % kQueries);
  std::vector<int32_t> counts;
  for (int p = 0; p < kind.sentences && kind.counted; ++p) counts.push_back(kind.frames - p % kind.frames);

  const Uploaded deviceTable(test.stream(), plan.table);
  const Uploaded deviceKernels(test.stream(), kernels);
  const Uploaded deviceFeatures(test.stream(), features);
  const Uploaded deviceChosen(test.stream(), chosen);
  const Uploaded deviceCounts(test.stream(), counts);
  MaskHeadJob job;
  job.shape = plan.shape;
  job.tiling = plan.tiling;
  job.featureType = kind.type;
  job.sentences = kind.sentences;
  job.frames = kind.frames;
  job.objectQueries = kQueries;
  job.firstQuery = kind.chosen ? 0 : 1;
  job.queryCount = kind.chosen ? 1 : kQueries - 1;
  job.maskStride = maskWordBytes(shape.height, shape.width);
  const size_t bytes = images * job.queryCount * job.maskStride;
  const auto launch = [&](uint8_t* masks, cudaStream_t stream) {
    MaskHeadJob mine = job;
    mine.table = deviceTable.as<MaskTap>();
    mine.kernels = deviceKernels.as<float>();
    mine.features = deviceFeatures.as<void>();
    mine.chosen = deviceChosen.as<int32_t>();
    mine.frameCount = deviceCounts.as<int32_t>();
    mine.masks = masks;
    return launchMaskHead(mine, stream);
  };
  const auto onHost = [&](uint8_t* masks) {
    MaskHeadJob mine = job;
    mine.table = plan.table.data();
    mine.kernels = kernels.data();
    mine.features = features.data();
    mine.chosen = chosen.empty() ? nullptr : chosen.data();
    mine.frameCount = counts.empty() ? nullptr : counts.data();
    mine.masks = masks;
    maskHeadOnHost(mine);
  };
  test.compare(std::string("mask head ") + name, bytes, features.size() + bytes, launch, onHost);
}

PreprocessShape frame(PixelFormat format, int height, int width, int targetHeight, int targetWidth) {
  PreprocessShape shape;
  shape.format = format;
  shape.height = height;
  shape.width = width;
  shape.targetHeight = targetHeight;
  shape.targetWidth = targetWidth;
  return shape;
}

void runAll(SelfTest& test, bool quick) {
  PreprocessShape small = frame(PixelFormat::kRgb, 201, 353, 64, 112);
  preprocess(test, "rgb 201x353 to 64x112", small, 3);
  preprocess(test, "rgb 201x353, frames left out", small, 3, true);
  small.antialias = false;
  preprocess(test, "rgb 201x353, no antialias", small, 2);
  small.antialias = true;
  small.element = ElementType::kFloat32;
  preprocess(test, "rgb 201x353 to float32", small, 2);
  preprocess(test, "bgr 40x70 enlarged", frame(PixelFormat::kBgr, 40, 70, 64, 112), 2);
  PreprocessShape planes = frame(PixelFormat::kNv12, 181, 317, 64, 112);
  preprocess(test, "nv12 181x317, BT.601", planes, 2);
  planes.matrix = YuvMatrix::kBt709;
  preprocess(test, "nv12 181x317, BT.709", planes, 2);

  const auto mask = [](int kernelSize, int height, int width) {
    return MaskHeadShape{kernelSize, 16, 28, 64, 112, 64, 107, height, width};
  };
  maskHead(test, "201x353", mask(8, 201, 353), {});
  maskHead(test, "201x353, 16 channels", mask(16, 201, 353), {});
  maskHead(test, "40x70 from float32", mask(8, 40, 70), {ElementType::kFloat32, 2, 3, true, false});
  maskHead(test, "201x353, all object queries", mask(8, 201, 353), {ElementType::kFloat16, 2, 3, false, false});
  maskHead(test, "201x353, frames counted", mask(8, 201, 353), {ElementType::kFloat16, 2, 3, true, true});
  // So many channels and columns that a strip's logits do not fit in shared memory.
  maskHead(test, "wide features", {8, 4, 8000, 16, 32000, 16, 32000, 33, 1000}, {ElementType::kFloat16, 1, 1, true, false});
  if (quick) return;

  preprocess(test, "rgb 720x1280 to 360x640", frame(PixelFormat::kRgb, 720, 1280, 360, 640), 24);
  preprocess(test, "rgb 1080x1920 to 360x640", frame(PixelFormat::kRgb, 1080, 1920, 360, 640), 12);
  preprocess(test, "nv12 1080x1920 to 360x640", frame(PixelFormat::kNv12, 1080, 1920, 360, 640), 12);
  preprocess(test, "rgb 2160x3840 to 360x640", frame(PixelFormat::kRgb, 2160, 3840, 360, 640), 3);
  preprocess(test, "nv12 2160x3840 to 360x640", frame(PixelFormat::kNv12, 2160, 3840, 360, 640), 3);
  preprocess(test, "rgb 4320x7680 to 360x640", frame(PixelFormat::kRgb, 4320, 7680, 360, 640), 2);
  const auto large = [](int height, int width) { return MaskHeadShape{8, 90, 160, 384, 640, 360, 640, height, width}; };
  maskHead(test, "720x1280", large(720, 1280), {ElementType::kFloat16, 2, 24, true, false});
  maskHead(test, "2160x3840", large(2160, 3840), {ElementType::kFloat16, 1, 4, true, false});
  maskHead(test, "4320x7680", large(4320, 7680), {ElementType::kFloat16, 1, 2, true, false});
}

Options readOptions(int count, char** arguments) {
  Options options;
  for (int i = 1; i < count; ++i) {
    const std::string name = arguments[i];
    if (name == "--short" || name == "--spoil") {
      (name == "--short" ? options.quick : options.spoil) = true;
      continue;
    }
    char* end = nullptr;
    const long value = i + 1 < count ? std::strtol(arguments[i + 1], &end, 10) : -1;
    const bool known = name == "--device" || name == "--guard" || name == "--runs";
    if (!known || value < 0 || *end != '\0') {
      throw std::invalid_argument("[--device N] [--short] [--guard BYTES] [--runs N] [--spoil], not " + name);
    }
    // Targets are aligned to 16 bytes.
    if (name == "--device") options.device = static_cast<int>(value);
    if (name == "--guard") options.guard = (static_cast<size_t>(value) + 255) / 256 * 256;
    if (name == "--runs") options.runs = static_cast<int>(value);
    ++i;
  }
  return options;
}

}  // namespace

int main(int count, char** arguments) {
  try {
    const Options options = readOptions(count, arguments);
    tensorrt::cuda::useDevice(options.device);
    cudaDeviceProp properties{};
    check(cudaGetDeviceProperties(&properties, options.device), "cudaGetDeviceProperties");
    SelfTest test(options);
    runAll(test, options.quick);
    std::printf("{\"device\":\"%s\",\"cases\":%d,\"failed\":%d}\n", properties.name, test.cases(), test.failed());
    return test.failed() == 0 ? 0 : 1;
  } catch (const std::exception& error) {
    std::fprintf(stderr, "kernel-selftest: %s\n", error.what());
    return 2;
  }
}
