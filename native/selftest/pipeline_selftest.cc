// pipeline-selftest: the window pipeline on a device, with plain stages in place of TensorRT's engines: uploads, shared frames, the
// kernels, batches in flight at once, CUDA graphs, linking of streams, aborts and downloads, compared bit for bit with the plain
// way on the host (docs/gpu.md). And how many frames a second it brings through when the network costs next to nothing.
//
//   pipeline-selftest [--device N] [--short] [--spoil] [--rounds N]
//
// --short    small frames alone, no measurement
// --spoil    changes the last byte of each result, to see that this is found
// --rounds   batches of the case that mixes everything (60)
//
// One JSON object a line on standard output. Exit code 0: every case equal; 1: some case is not; 2: it could not run.
#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <exception>
#include <functional>
#include <mutex>
#include <numeric>
#include <stdexcept>
#include <string>
#include <vector>

#include "noise.h"
#include "plain_network.h"
#include "plain_pipeline.h"
#include "tensorrt/device/check.h"
#include "tensorrt/failure.h"
#include "tensorrt/pipeline/window_pipeline.h"

namespace {

using namespace rvos;
using namespace rvos::selftest;
using tensorrt::BatchRequest;
using tensorrt::Failure;
using tensorrt::PipelineLimits;
using tensorrt::SentenceRequest;
using tensorrt::SourceFormat;
using tensorrt::WindowPipeline;
using tensorrt::WindowRequest;
using tensorrt::cuda::check;

const tensorrt::Normalisation kNormalisation{{{0.485f, 0.229f}, {0.456f, 0.224f}, {0.406f, 0.225f}}};

struct Options {
  int device = 0;
  bool quick = false;
  bool spoil = false;
  int rounds = 60;
};

PipelineLimits smallLimits() {
  PipelineLimits limits;
  limits.height = 40;
  limits.width = 56;
  limits.levelChannels = 9;
  limits.objectQueries = 5;
  limits.kernelSize = 8;
  limits.textFeatures = 12;
  limits.shortFrames = 8;
  limits.longFrames = 24;
  limits.windows = 3;
  limits.sentences = 4;
  limits.tokens = 20;
  limits.inFlight = 2;
  limits.streams = 4;
  return limits;
}

/// The published network's sizes.
PipelineLimits publishedLimits(int windows) {
  PipelineLimits limits;
  limits.height = 360;
  limits.width = 640;
  limits.levelChannels = 96;
  limits.objectQueries = 50;
  limits.kernelSize = 8;
  limits.textFeatures = 256;
  limits.shortFrames = 8;
  limits.longFrames = 24;
  limits.windows = windows;
  limits.sentences = 8;
  limits.tokens = 64;
  limits.inFlight = 2;
  limits.streams = 8;
  return limits;
}

Text noiseText(const PipelineLimits& limits, uint32_t seed) {
  Text text;
  text.tokens = 2 + static_cast<int>(seed % static_cast<uint32_t>(limits.tokens - 1));
  text.features = noiseFloats(static_cast<size_t>(text.tokens) * limits.textFeatures, seed + 5000);
  return text;
}

struct Window {
  const Video* video;
  int start;
  int count;
  int shared;
};

struct Sentence {
  int window;
  Text text;
};

/// A batch with room for its results. Does not move once it is submitted.
struct Batch {
  std::vector<Window> windows;
  std::vector<Sentence> sentences;
  std::vector<int> keep;
  bool allQueries = false;

  uint64_t id = 0;
  std::vector<Outcome> outcomes;
  std::string error;
  bool done = false;
};

/// A pipeline whose batches can be waited for.
class Runner {
 public:
  Runner(const Options& options, const PipelineLimits& limits)
      : limits_(limits), loader_(limits),
        pipeline_(options.device, limits, {"short", "long", "transformer"}, kNormalisation, loader_,
                  [this](const std::string& note) {
                    const std::lock_guard<std::mutex> lock(mutex_);
                    notes_.push_back(note);
                  }) {}
  ~Runner() { pipeline_.dispose(); }
  Runner(const Runner&) = delete;

  const PipelineLimits& limits() const { return limits_; }

  void submit(Batch& batch) {
    const Video& first = *batch.windows.front().video;
    BatchRequest request;
    request.source = first.source;
    request.pitch = first.pitch;
    request.keep = batch.keep;
    request.allQueries = batch.allQueries;
    for (const Window& window : batch.windows) {
      WindowRequest wanted;
      wanted.stream = window.video->stream;
      wanted.start = window.start;
      wanted.count = window.count;
      wanted.shared = window.shared;
      for (int i = window.shared; i < window.count; ++i) {
        wanted.frames.push_back(window.video->frames[static_cast<size_t>(window.start + i)].data());
      }
      request.windows.push_back(wanted);
    }
    batch.outcomes.resize(batch.sentences.size());
    for (size_t i = 0; i < batch.sentences.size(); ++i) {
      const Sentence& sentence = batch.sentences[i];
      const size_t frames = batch.keep.empty() ? batch.windows[sentence.window].count : batch.keep.size();
      Outcome& outcome = batch.outcomes[i];
      outcome.scores.assign(static_cast<size_t>(limits_.objectQueries), 0.0f);
      outcome.masks.assign(frames * (batch.allQueries ? limits_.objectQueries : 1) * maskBytes(first.source), 0xA5);
      SentenceRequest wanted;
      wanted.window = sentence.window;
      wanted.tokens = sentence.text.tokens;
      wanted.features = sentence.text.features.data();
      wanted.scores = outcome.scores.data();
      wanted.masks = outcome.masks.data();
      request.sentences.push_back(wanted);
    }
    batch.id = pipeline_.submit(std::move(request), [this, &batch](tensorrt::BatchResult result, std::exception_ptr error) {
      const std::lock_guard<std::mutex> lock(mutex_);
      for (size_t i = 0; i < result.objectQueries.size(); ++i) batch.outcomes[i].objectQuery = result.objectQueries[i];
      if (error) batch.error = tensorrt::toFailure(error, tensorrt::code::kDeviceFailed).what();
      batch.done = true;
      changed_.notify_all();
    });
  }

  void wait(const Batch& batch) {
    std::unique_lock<std::mutex> lock(mutex_);
    changed_.wait(lock, [&] { return batch.done; });
  }

  void cancel(const Batch& batch) { pipeline_.cancel(batch.id); }
  void forget(int64_t stream) { pipeline_.forget(stream); }

  /// Shapes that ran without a graph.
  std::vector<std::string> notes() {
    const std::lock_guard<std::mutex> lock(mutex_);
    return notes_;
  }

 private:
  PipelineLimits limits_;
  PlainLoader loader_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<std::string> notes_;
  WindowPipeline pipeline_;
};

class SelfTest {
 public:
  explicit SelfTest(const Options& options) : options_(options) {}

  int failed() const { return failed_; }
  int cases() const { return cases_; }
  const Options& options() const { return options_; }

  /// One line: passed unless `problem` says what is wrong.
  void tell(const std::string& name, const std::string& problem) {
    ++cases_;
    if (problem.empty()) {
      std::printf("{\"case\":\"%s\",\"state\":\"passed\"}\n", name.c_str());
    } else {
      ++failed_;
      std::string said = problem;
      for (char& character : said) {
        if (character == '"' || character == '\\') character = '\'';
      }
      std::printf("{\"case\":\"%s\",\"state\":\"failed\",\"problem\":\"%s\"}\n", name.c_str(), said.c_str());
    }
    std::fflush(stdout);
  }

  /// All batches queued at once, in their order; then each compared.
  void compare(const std::string& name, Runner& runner, std::deque<Batch>& batches) {
    for (Batch& batch : batches) runner.submit(batch);
    std::string problem;
    for (Batch& batch : batches) {
      runner.wait(batch);
      if (problem.empty()) problem = difference(runner.limits(), batch);
    }
    tell(name, problem);
  }

  /// Empty if the batch's results are those of the plain way.
  std::string difference(const PipelineLimits& limits, Batch& batch) const {
    if (!batch.error.empty()) return batch.error;
    for (size_t i = 0; i < batch.sentences.size(); ++i) {
      const Sentence& sentence = batch.sentences[i];
      const Window& window = batch.windows[sentence.window];
      const Outcome expected = plainWindow(limits, kNormalisation, *window.video, window.start, window.count,
                                           sentence.text, batch.keep, batch.allQueries);
      Outcome& found = batch.outcomes[i];
      if (options_.spoil) found.masks.back() ^= 1;
      const std::string where = "batch " + std::to_string(batch.id) + ", sentence " + std::to_string(i) + ": ";
      if (std::memcmp(found.scores.data(), expected.scores.data(), expected.scores.size() * sizeof(float)) != 0) {
        return where + "the scores differ";
      }
      if (found.objectQuery != expected.objectQuery) return where + "another object query";
      const auto at = std::mismatch(expected.masks.begin(), expected.masks.end(), found.masks.begin());
      if (at.first != expected.masks.end()) {
        const auto first = at.first - expected.masks.begin();
        const size_t differing = std::inner_product(expected.masks.begin(), expected.masks.end(), found.masks.begin(), size_t{0},
                                                    std::plus<>(), std::not_equal_to<>());
        return where + std::to_string(differing) + " bytes of masks differ, the first is " + std::to_string(first) +
               ": got " + std::to_string(*at.second) + ", expected " + std::to_string(*at.first);
      }
    }
    return "";
  }

 private:
  Options options_;
  int cases_ = 0;
  int failed_ = 0;
};

Batch one(const Video& video, int start, int count, int shared, std::vector<Text> texts) {
  Batch batch;
  batch.windows.push_back({&video, start, count, shared});
  for (Text& text : texts) batch.sentences.push_back({0, std::move(text)});
  return batch;
}

SourceFormat format(PixelFormat pixels, int height, int width, bool antialias = true) {
  SourceFormat source;
  source.format = pixels;
  source.height = height;
  source.width = width;
  source.antialias = antialias;
  return source;
}

void singleWindows(SelfTest& test) {
  struct Case {
    const char* name;
    SourceFormat source;
    int count;
    int sentences;
    std::vector<int> keep;
    bool allQueries;
  };
  const std::vector<Case> cases{
      {"a short window", format(PixelFormat::kRgb, 33, 50), 5, 1, {}, false},
      {"one frame", format(PixelFormat::kRgb, 33, 50), 1, 2, {}, false},
      {"a long window", format(PixelFormat::kRgb, 61, 90), 24, 4, {}, false},
      {"a long window that is not full", format(PixelFormat::kBgr, 61, 91), 13, 2, {}, false},
      {"NV12 of odd sizes", format(PixelFormat::kNv12, 91, 159), 8, 2, {}, false},
      {"no antialias", format(PixelFormat::kRgb, 90, 131, false), 8, 2, {}, false},
      {"kept frames of a long window", format(PixelFormat::kRgb, 33, 50), 24, 3, {1, 2, 20}, false},
      {"all object queries", format(PixelFormat::kRgb, 33, 50), 8, 2, {}, true},
      {"more sentences than a pass takes", format(PixelFormat::kRgb, 33, 50), 8, 9, {}, false},
  };
  Runner runner(test.options(), smallLimits());
  int64_t stream = 1;
  for (const Case& each : cases) {
    const Video video = noiseVideo(stream++, each.source, each.count);
    // Three times: run, captured, replayed.
    std::deque<Batch> batches;
    for (int round = 0; round < 3; ++round) {
      std::vector<Text> texts;
      for (int i = 0; i < each.sentences; ++i) texts.push_back(noiseText(runner.limits(), static_cast<uint32_t>(7 * i + round)));
      batches.push_back(one(video, 0, each.count, 0, std::move(texts)));
      batches.back().keep = each.keep;
      batches.back().allQueries = each.allQueries;
    }
    test.compare(each.name, runner, batches);
  }
}

/// Windows of several videos in batches, overlapping as in a video, so that shared frames come from the device.
void videos(SelfTest& test, int rounds) {
  Runner runner(test.options(), smallLimits());
  const PipelineLimits& limits = runner.limits();
  const int stride = 18;
  const int windows = std::max(2, rounds / 3);
  std::deque<Video> clips;
  for (int64_t stream = 100; stream < 103; ++stream) {
    clips.push_back(noiseVideo(stream, format(PixelFormat::kRgb, 45, 70), stride * windows + 6));
  }
  std::deque<Batch> batches;
  Noise noise(3);
  for (int number = 0; number < windows; ++number) {
    // Now all three in one batch, now one by one.
    const bool together = noise.next() % 2 == 0;
    const int shared = number == 0 ? 0 : 6;
    for (const Video& clip : clips) {
      if (!together || batches.empty() || &clip == &clips.front()) batches.emplace_back();
      Batch& batch = batches.back();
      const int index = static_cast<int>(batch.windows.size());
      batch.windows.push_back({&clip, number * stride, 24, shared});
      batch.sentences.push_back({index, noiseText(limits, noise.next() % 1000)});
      if (noise.next() % 3 == 0) batch.sentences.push_back({index, noiseText(limits, noise.next() % 1000)});
    }
  }
  test.compare("videos with shared frames, " + std::to_string(batches.size()) + " batches", runner, batches);
  const auto notes = runner.notes();
  test.tell("every shape was captured in a graph", notes.empty() ? "" : notes.front());
}

/// Aborted batches are told so, and take nothing with them.
void aborts(SelfTest& test) {
  Runner runner(test.options(), smallLimits());
  const Video video = noiseVideo(200, format(PixelFormat::kRgb, 45, 70), 24);
  std::string problem;
  for (int round = 0; round < 10 && problem.empty(); ++round) {
    std::deque<Batch> batches;
    for (int i = 0; i < 6; ++i) {
      batches.push_back(one(video, 0, 24, 0, {noiseText(runner.limits(), static_cast<uint32_t>(i))}));
      runner.submit(batches.back());
      if (i % 2 == 1) runner.cancel(batches.back());
    }
    for (size_t i = 0; i < batches.size(); ++i) {
      runner.wait(batches[i]);
      if (!problem.empty()) continue;
      if (i % 2 == 0) problem = test.difference(runner.limits(), batches[i]);
      if (i % 2 == 1 && batches[i].error.find("cancelled") == std::string::npos) {
        problem = "a cancelled batch " + (batches[i].error.empty() ? "gave a result" : "failed: " + batches[i].error);
      }
    }
  }
  test.tell("aborts", problem);
}

size_t freeBytes() {
  size_t free = 0;
  size_t total = 0;
  check(cudaMemGetInfo(&free, &total), "cudaMemGetInfo");
  return free;
}

/// What a pipeline has taken is free again when it is gone.
void memory(SelfTest& test) {
  const Video video = noiseVideo(300, format(PixelFormat::kRgb, 45, 70), 24);
  const auto once = [&] {
    Runner runner(test.options(), smallLimits());
    std::deque<Batch> batches;
    for (int i = 0; i < 3; ++i) batches.push_back(one(video, 0, 24, 0, {noiseText(runner.limits(), 1)}));
    for (Batch& batch : batches) runner.submit(batch);
    for (Batch& batch : batches) runner.wait(batch);
  };
  for (int i = 0; i < 3; ++i) once();
  const size_t before = freeBytes();
  for (int i = 0; i < 10; ++i) once();
  const size_t after = freeBytes();
  const size_t grown = before > after ? before - after : 0;
  test.tell("memory of ten pipelines is free again",
            grown <= (size_t{4} << 20) ? "" : std::to_string(grown) + " bytes are missing");
}

void largeFrames(SelfTest& test) {
  Runner runner(test.options(), publishedLimits(1));
  int64_t stream = 400;
  for (const SourceFormat& source : {format(PixelFormat::kRgb, 720, 1280), format(PixelFormat::kNv12, 1080, 1920)}) {
    const Video video = noiseVideo(stream++, source, 8);
    std::deque<Batch> batches;
    for (int round = 0; round < 3; ++round) {
      batches.push_back(one(video, 0, 8, 0, {noiseText(runner.limits(), 11), noiseText(runner.limits(), 12)}));
    }
    test.compare("published sizes from " + std::to_string(source.height) + "x" + std::to_string(source.width), runner, batches);
  }
}

/// Frames a second from frames in host memory to masks in host memory, when stages only move bits.
void overhead(SelfTest& test) {
  for (const int windows : {1, 2, 4}) {
    Runner runner(test.options(), publishedLimits(windows));
    struct Source {
      const char* name;
      SourceFormat format;
    };
    const Source sources[] = {{"rgb 360x640", format(PixelFormat::kRgb, 360, 640)},
                              {"rgb 1080x1920", format(PixelFormat::kRgb, 1080, 1920)},
                              {"nv12 1080x1920", format(PixelFormat::kNv12, 1080, 1920)}};
    for (const Source& source : sources) {
      std::deque<Video> clips;
      for (int i = 0; i < windows; ++i) clips.push_back(noiseVideo(500 + i, source.format, 24));
      constexpr int kBatches = 40;
      constexpr int kQueued = 3;
      const Text text = noiseText(runner.limits(), 10);
      std::deque<Batch> batches;
      const auto queue = [&] {
        Batch& batch = batches.emplace_back();
        for (int i = 0; i < windows; ++i) {
          batch.windows.push_back({&clips[static_cast<size_t>(i)], 0, 24, 0});
          batch.sentences.push_back({i, text});
        }
        runner.submit(batch);
      };
      for (int i = 0; i < 3 * kQueued; ++i) queue();
      for (const Batch& batch : batches) runner.wait(batch);
      batches.clear();
      const auto started = std::chrono::steady_clock::now();
      size_t waited = 0;
      while (waited < kBatches) {
        while (batches.size() - waited < kQueued && batches.size() < kBatches) queue();
        runner.wait(batches[waited++]);
      }
      const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - started;
      const double frames = 24.0 * windows * kBatches;
      std::printf("{\"measured\":\"pipeline without a network, %s\",\"windows\":%d,\"framesPerSecond\":%.1f,"
                  "\"millisecondsPerWindow\":%.4f}\n",
                  source.name, windows, frames / seconds.count(), 1000.0 * seconds.count() / (windows * kBatches));
      std::fflush(stdout);
    }
  }
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
    const bool known = name == "--device" || name == "--rounds";
    if (!known || value < 0 || *end != '\0') {
      throw std::invalid_argument("[--device N] [--short] [--spoil] [--rounds N], not " + name);
    }
    (name == "--device" ? options.device : options.rounds) = static_cast<int>(value);
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
    singleWindows(test);
    videos(test, options.rounds);
    aborts(test);
    memory(test);
    if (!options.quick) {
      largeFrames(test);
      overhead(test);
    }
    std::printf("{\"device\":\"%s\",\"cases\":%d,\"failed\":%d}\n", properties.name, test.cases(), test.failed());
    return test.failed() == 0 ? 0 : 1;
  } catch (const std::exception& error) {
    std::fprintf(stderr, "pipeline-selftest: %s\n", error.what());
    return 2;
  }
}
