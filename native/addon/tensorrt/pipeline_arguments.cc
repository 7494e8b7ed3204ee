// See pipeline_arguments.h.
#include "pipeline_arguments.h"

#include <string>
#include <utility>

#include "../../tensorrt/failure.h"

namespace rvos::tensorrt {

namespace {

/// Longest side of a source frame.
constexpr int kMostPixels = 1 << 14;
constexpr int64_t kLargestWhole = int64_t{1} << 53;

size_t scratch(const Fields& bytes, const char* field) {
  return static_cast<size_t>(bytes.whole(field, 0, int64_t{1} << 44));
}

PixelFormat readFormat(const Fields& source) {
  const std::string name = source.text("format");
  if (name == "rgb") return PixelFormat::kRgb;
  if (name == "bgr") return PixelFormat::kBgr;
  if (name == "nv12") return PixelFormat::kNv12;
  throw Failure(code::kBadArgument, source.what("format") + " is " + name + ", must be rgb, bgr or nv12");
}

/// Keeps what is read alive.
class Kept {
 public:
  explicit Kept(Napi::Env env) : buffers_(Napi::Array::New(env)) {}
  Napi::Array buffers() const { return buffers_; }

  const uint8_t* bytes(const Napi::Value& value, const std::string& what, size_t length) {
    const Napi::Uint8Array array = readBytes(value, what, length);
    buffers_.Set(buffers_.Length(), array);
    return array.Data();
  }

  const float* floats(const Napi::Value& value, const std::string& what, size_t length) {
    const Napi::Float32Array array = readFloats(value, what, length);
    buffers_.Set(buffers_.Length(), array);
    return array.Data();
  }

 private:
  Napi::Array buffers_;
};

WindowRequest readWindow(const Fields& fields, size_t frameBytes, Kept& kept) {
  WindowRequest window;
  window.stream = fields.whole("stream", -kLargestWhole, kLargestWhole);
  window.start = fields.whole("start", 0, kLargestWhole);
  window.count = fields.integer("count", 1);
  window.shared = fields.integer("shared");
  const Napi::Array frames = fields.list("frames");
  for (uint32_t i = 0; i < frames.Length(); ++i) {
    const Napi::HandleScope scope(fields.env());
    window.frames.push_back(kept.bytes(frames.Get(i), place(fields.what("frames"), i), frameBytes));
  }
  return window;
}

SentenceRequest readSentence(const Fields& fields, const PipelineLimits& limits, size_t maskBytes, Kept& kept) {
  SentenceRequest sentence;
  sentence.window = fields.integer("window");
  sentence.tokens = fields.integer("tokens", 1, limits.tokens);
  const size_t values = static_cast<size_t>(sentence.tokens) * limits.textFeatures;
  sentence.features = kept.floats(fields.value("features"), fields.what("features"), values);
  if (fields.has("link")) {
    const Napi::Array masks = fields.list("link");
    for (uint32_t i = 0; i < masks.Length(); ++i) {
      sentence.link.push_back(kept.bytes(masks.Get(i), place(fields.what("link"), i), maskBytes));
    }
  }
  return sentence;
}

/// Memory for what a sentence gets.
Napi::Object makeResult(Napi::Env env, const BatchRequest& batch, const PipelineLimits& limits, size_t maskBytes,
                        SentenceRequest& sentence) {
  const size_t masks = static_cast<size_t>(keptFrames(batch, batch.windows[sentence.window])) *
                       (batch.allQueries ? limits.objectQueries : 1);
  Napi::Float32Array scores = Napi::Float32Array::New(env, limits.objectQueries);
  Napi::Uint8Array bits = Napi::Uint8Array::New(env, masks * maskBytes);
  sentence.scores = scores.Data();
  sentence.masks = bits.Data();
  Napi::Object result = Napi::Object::New(env);
  result.Set("objectQuery", -1);
  result.Set("scores", scores);
  result.Set("masks", bits);
  return result;
}

}  // namespace

PipelineLimits readLimits(const Fields& options) {
  PipelineLimits limits;
  limits.height = options.integer("height");
  limits.width = options.integer("width");
  limits.levelChannels = options.integer("levelChannels");
  limits.objectQueries = options.integer("objectQueries");
  limits.kernelSize = options.integer("kernelSize");
  limits.textFeatures = options.integer("textFeatures");
  limits.shortFrames = options.integer("shortFrames");
  limits.longFrames = options.integer("longFrames");
  limits.windows = options.integer("windows");
  limits.sentences = options.integer("sentences");
  limits.tokens = options.integer("tokens");
  limits.inFlight = options.integer("inFlight");
  limits.streams = options.integer("streams");
  const Fields bytes = options.object("scratchBytes");
  limits.shortScratch = scratch(bytes, "short");
  limits.longScratch = scratch(bytes, "long");
  limits.transformerScratch = scratch(bytes, "transformer");
  checkLimits(limits);
  return limits;
}

PipelineFiles readFiles(const Fields& options, const PipelineLimits& limits) {
  const Fields engines = options.object("engines");
  PipelineFiles files;
  files.shortBackbone = engines.text("short");
  if (limits.longFrames > 0) files.longBackbone = engines.text("long");
  files.transformer = engines.text("transformer");
  return files;
}

Normalisation readNormalisation(const Fields& options) {
  const std::vector<float> mean = options.triple("mean");
  const std::vector<float> deviation = options.triple("std");
  Normalisation normalisation{};
  for (int c = 0; c < 3; ++c) {
    if (!(deviation[c] > 0)) {
      throw Failure(code::kBadArgument, place(options.what("std"), c) + " must be positive");
    }
    normalisation.channels[c] = {mean[c], deviation[c]};
  }
  return normalisation;
}

SourceFormat readSourceSize(const Fields& source) {
  SourceFormat format;
  format.height = source.integer("height", 1, kMostPixels);
  format.width = source.integer("width", 1, kMostPixels);
  return format;
}

BatchArguments readBatch(const Napi::Value& value, const PipelineLimits& limits) {
  const Fields fields(value, "batch");
  const Napi::Env env = fields.env();
  BatchArguments arguments;
  BatchRequest& batch = arguments.request;

  const Fields source = fields.object("source");
  batch.source = readSourceSize(source);
  batch.source.format = readFormat(source);
  batch.source.antialias = fields.flag("antialias");
  const size_t row = rowBytes(batch.source.format, batch.source.width);
  batch.pitch = static_cast<size_t>(source.whole("pitch", static_cast<int64_t>(row), 1 << 20));
  PreprocessShape shape;
  shape.format = batch.source.format;
  shape.height = batch.source.height;
  shape.width = batch.source.width;
  shape.pitch = batch.pitch;
  const size_t frame = frameBytes(shape);
  const size_t mask = (static_cast<size_t>(batch.source.height) * batch.source.width + 7) / 8;

  Kept kept(env);
  const Napi::Array windows = fields.list("windows");
  for (uint32_t i = 0; i < windows.Length(); ++i) {
    batch.windows.push_back(readWindow(Fields(windows.Get(i), place("batch.windows", i)), frame, kept));
  }
  if (fields.has("keep")) {
    const Napi::Array keep = fields.list("keep");
    if (keep.Length() == 0) throw Failure(code::kBadArgument, "batch.keep is empty");
    for (uint32_t i = 0; i < keep.Length(); ++i) {
      batch.keep.push_back(static_cast<int>(readWhole(keep.Get(i), place("batch.keep", i), 0, 1 << 30)));
    }
  }
  const std::string queries = fields.text("queries");
  if (queries != "best" && queries != "all") {
    throw Failure(code::kBadArgument, "batch.queries is " + queries + ", must be best or all");
  }
  batch.allQueries = queries == "all";
  const Napi::Array sentences = fields.list("sentences");
  for (uint32_t i = 0; i < sentences.Length(); ++i) {
    const Fields sentence(sentences.Get(i), place("batch.sentences", i));
    batch.sentences.push_back(readSentence(sentence, limits, mask, kept));
  }
  checkBatch(limits, batch);

  Napi::Array results = Napi::Array::New(env, batch.sentences.size());
  for (uint32_t i = 0; i < batch.sentences.size(); ++i) {
    results.Set(i, makeResult(env, batch, limits, mask, batch.sentences[i]));
  }
  arguments.kept = Napi::Object::New(env);
  arguments.kept.Set("buffers", kept.buffers());
  arguments.kept.Set("results", results);
  return arguments;
}

Napi::Object planToJs(Napi::Env env, const MemoryPlan& plan) {
  Napi::Array parts = Napi::Array::New(env, plan.parts.size());
  uint32_t position = 0;
  for (const MemoryPart& part : plan.parts) {
    Napi::Object entry = Napi::Object::New(env);
    entry.Set("name", part.name);
    entry.Set("deviceBytes", static_cast<double>(part.deviceBytes));
    entry.Set("pinnedBytes", static_cast<double>(part.pinnedBytes));
    parts.Set(position++, entry);
  }
  Napi::Object object = Napi::Object::New(env);
  object.Set("deviceBytes", static_cast<double>(plan.deviceBytes));
  object.Set("pinnedBytes", static_cast<double>(plan.pinnedBytes));
  object.Set("parts", parts);
  return object;
}

}  // namespace rvos::tensorrt
