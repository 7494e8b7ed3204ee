// See engine_builder.h.
#include "engine_builder.h"

#include <algorithm>
#include <chrono>
#include <fstream>

#include "build_profiles.h"
#include "device/check.h"
#include "device/device_query.h"
#include "failure.h"
#include "libraries/library.h"
#include "output_file.h"
#include "resident_memory.h"
#include "timing_cache.h"

namespace rvos::tensorrt {

namespace {

constexpr std::chrono::milliseconds kReportInterval{50};

void checkTargets(const std::vector<int>& targets) {
  const std::vector<int> known = compat::aheadOfTimeTargets();
  for (const int target : targets) {
    if (std::find(known.begin(), known.end(), target) != known.end()) continue;
    std::string names;
    for (const int one : known) names += (names.empty() ? "" : ", ") + std::to_string(one);
    throw Failure(code::kBadTarget, known.empty() ? std::string(compat::kProduct) +
                                                        " builds only for the GPU that is present, not for target " +
                                                        std::to_string(target)
                                                  : std::string(compat::kProduct) + " does not build for target " +
                                                        std::to_string(target) + "; it knows " + names);
  }
}

void throwIfCancelled(const std::atomic<bool>& cancelled) {
  if (cancelled) throw Failure(code::kCancelled, "the engine build was cancelled");
}

/// The parser's errors with the nodes' names, and what was logged beside them (which file lacks weights), one line.
std::string parserErrors(const nvonnxparser::IParser& parser, const Logger& logger) {
  const auto orEmpty = [](const char* value) { return std::string(value == nullptr ? "" : value); };
  std::vector<std::string> descriptions;
  std::string text;
  const auto add = [&](const std::string& message) { text += (text.empty() ? "" : "; ") + message; };
  for (int i = 0; i < parser.getNbErrors(); ++i) {
    const nvonnxparser::IParserError& error = *parser.getError(i);
    const std::string name = orEmpty(error.nodeName());
    const std::string kind = orEmpty(error.nodeOperator());
    descriptions.push_back(oneLine(orEmpty(error.desc())));
    const bool hasNode = !name.empty() || !kind.empty();
    add((hasNode ? "node " + name + (kind.empty() ? "" : " (" + kind + ")") + ": " : "") + descriptions.back());
  }
  for (const std::string& logged : logger.errors()) {
    // The importer says the same again, with the whole node.
    const bool told = logged.rfind("ModelImporter", 0) == 0 ||
                      std::any_of(descriptions.begin(), descriptions.end(), [&](const std::string& description) {
                        return logged.find(description) != std::string::npos;
                      });
    if (!told) add(logged);
  }
  return text.empty() ? "no reason given" : text;
}

/// The parser holds weights that the network refers to: it has to live until the engine is built.
std::unique_ptr<nvonnxparser::IParser> parseGraph(const std::string& graph, const Library& library,
                                                  nvinfer1::INetworkDefinition& network, Logger& logger) {
  if (!std::ifstream(graph).is_open()) throw Failure(code::kBadGraph, "cannot read " + graph);
  std::unique_ptr<nvonnxparser::IParser> parser = library.createParser(network, logger);
  if (!parser->parseFromFile(graph.c_str(), static_cast<int>(nvinfer1::ILogger::Severity::kWARNING))) {
    throw Failure(code::kBadGraph, graph + ": " + parserErrors(*parser, logger));
  }
  if (network.getNbOutputs() == 0) throw Failure(code::kBadGraph, graph + ": the graph has no outputs");
  return parser;
}

std::vector<TensorDescription> describeTensors(const nvinfer1::INetworkDefinition& network) {
  std::vector<TensorDescription> tensors;
  const auto add = [&](const nvinfer1::ITensor& tensor, bool input) {
    tensors.push_back({tensor.getName(), input, dtypeName(tensor.getType()), extents(tensor.getDimensions())});
  };
  for (std::int32_t i = 0; i < network.getNbInputs(); ++i) add(*network.getInput(i), true);
  for (std::int32_t i = 0; i < network.getNbOutputs(); ++i) add(*network.getOutput(i), false);
  return tensors;
}

bool contains(const std::string& text, std::initializer_list<const char*> words) {
  return std::any_of(words.begin(), words.end(),
                     [&](const char* word) { return text.find(word) != std::string::npos; });
}

/// What kept TensorRT from building, by its own words.
Failure buildFailure(const std::string& graph, const Logger& logger) {
  const std::string reason = logger.errorLine("no reason given");
  const std::string message = graph + ": " + compat::kProduct + " cannot build it: " + reason;
  if (saysOutOfMemory(reason)) return Failure(code::kOutOfMemory, message);
  if (contains(reason, {"rofile ", "kMIN", "kOPT", "kMAX"})) return Failure(code::kBadProfile, message);
  return Failure(code::kBuildFailed, message);
}

}  // namespace

EngineBuildReport buildEngine(const EngineBuild& build, const std::function<void(const BuildProgress&)>& report,
                              const std::atomic<bool>& cancelled) {
  const auto start = std::chrono::steady_clock::now();
  ResidentMemory memory;
  const Library& library = Library::get();
  checkTargets(build.targets);
  if (build.targets.empty()) {
    requireDevice();  // throws the reason if there is none to build for
    cuda::useDevice(build.device);
  }
  OutputFile output(build.output);

  // Declared before what uses them: they are destroyed after it.
  const std::shared_ptr<Logger> logger = Logger::create();
  if (!build.log.empty()) logger->record(build.log);
  BuildMonitor monitor(report, cancelled, kReportInterval);
  const std::unique_ptr<nvinfer1::IBuilder> builder = library.createBuilder(*logger);
  const std::unique_ptr<nvinfer1::INetworkDefinition> network(builder->createNetworkV2(compat::stronglyTyped()));
  const std::unique_ptr<nvinfer1::IBuilderConfig> config(builder->createBuilderConfig());
  if (!network || !config) throw buildFailure(build.graph, *logger);

  const std::unique_ptr<nvonnxparser::IParser> parser = parseGraph(build.graph, library, *network, *logger);
  throwIfCancelled(cancelled);
  addProfiles(*builder, *network, *config, build.profiles);
  if (!compat::setTargets(*config, build.targets)) {
    throw Failure(code::kBadTarget,
                  std::string(compat::kProduct) + " refuses the targets: " + logger->errorLine("no reason given"));
  }
  config->setProfilingVerbosity(nvinfer1::ProfilingVerbosity::kDETAILED);
  config->clearFlag(nvinfer1::BuilderFlag::kTF32);  // FP32 in the graph means FP32
  compat::requireUserAllocation(*config, library.minor());
  config->setProgressMonitor(&monitor);
  TimingCache timingCache(*config, build.timingCache);

  const std::unique_ptr<nvinfer1::IHostMemory> engine(builder->buildSerializedNetwork(*network, *config));
  throwIfCancelled(cancelled);
  if (!engine || engine->size() == 0) throw buildFailure(build.graph, *logger);
  output.write(engine->data(), engine->size());
  output.finish();
  const std::string cacheProblem = timingCache.keep();

  EngineBuildReport result;
  result.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  result.engineBytes = static_cast<std::int64_t>(engine->size());
  result.scratchBytes = logger->scratchBytes();
  result.peakHostBytes = memory.peak();
  result.tensors = describeTensors(*network);
  result.warnings = logger->warnings();
  if (!cacheProblem.empty()) result.warnings.push_back(cacheProblem);
  return result;
}

}  // namespace rvos::tensorrt
