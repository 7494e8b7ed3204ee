// See engine_inspector.h.
#include "engine_inspector.h"

#include <algorithm>
#include <fstream>
#include <iterator>
#include <memory>

#include "device_query.h"
#include "failure.h"
#include "library.h"

namespace rvos::tensorrt {

namespace {

std::vector<char> readFile(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file.is_open()) throw Failure(code::kBadEngine, "cannot read " + path);
  std::vector<char> bytes{std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
  if (file.bad() || bytes.empty()) throw Failure(code::kBadEngine, path + " is empty or cannot be read");
  return bytes;
}

Profile describeProfile(const nvinfer1::ICudaEngine& engine, std::int32_t number) {
  using Select = nvinfer1::OptProfileSelector;
  Profile profile;
  for (std::int32_t i = 0; i < engine.getNbIOTensors(); ++i) {
    const char* name = engine.getIOTensorName(i);
    if (engine.getTensorIOMode(name) != nvinfer1::TensorIOMode::kINPUT) continue;
    const auto bound = [&](Select select) { return extents(engine.getProfileShape(name, number, select)); };
    profile[name] = {bound(Select::kMIN), bound(Select::kOPT), bound(Select::kMAX)};
  }
  return profile;
}

std::vector<LayerDescription> describeLayers(const nvinfer1::ICudaEngine& engine) {
  std::vector<LayerDescription> layers;
  const std::unique_ptr<nvinfer1::IEngineInspector> inspector(engine.createEngineInspector());
  if (!inspector) return layers;
  for (std::int32_t i = 0; i < engine.getNbLayers(); ++i) {
    const char* json = inspector->getLayerInformation(i, nvinfer1::LayerInformationFormat::kJSON);
    if (json != nullptr) layers.push_back(describeLayer(json));
  }
  return layers;
}

}  // namespace

EngineInspection inspectEngine(const std::string& path) {
  const std::vector<char> bytes = readFile(path);
  const Library& library = Library::get();
  const std::shared_ptr<Logger> logger = Logger::create();
  const std::unique_ptr<nvinfer1::IRuntime> runtime = library.createRuntime(*logger);
  const std::vector<std::string> objections =
      compat::engineObjections(*runtime, bytes.data(), static_cast<std::int64_t>(bytes.size()));
  queryDevices();  // throws the reason if there is no GPU to open it on
  if (!objections.empty()) {
    std::string text;
    for (const std::string& objection : objections) text += (text.empty() ? "" : ", ") + objection;
    throw Failure(code::kBadEngine, path + ": " + text);
  }
  const std::unique_ptr<nvinfer1::ICudaEngine> engine(runtime->deserializeCudaEngine(bytes.data(), bytes.size()));
  if (!engine) {
    const std::string reason = logger->errorLine("no reason given");
    const bool memory = reason.find("OutOfMemory") != std::string::npos || reason.find("out of memory") != std::string::npos;
    throw Failure(memory ? code::kOutOfMemory : code::kBadEngine, path + " cannot be opened: " + reason);
  }

  EngineInspection inspection;
  for (std::int32_t i = 0; i < engine->getNbIOTensors(); ++i) {
    const char* name = engine->getIOTensorName(i);
    inspection.tensors.push_back({name, engine->getTensorIOMode(name) == nvinfer1::TensorIOMode::kINPUT,
                                  dtypeName(engine->getTensorDataType(name)), extents(engine->getTensorShape(name))});
  }
  for (std::int32_t i = 0; i < engine->getNbOptimizationProfiles(); ++i) {
    inspection.profiles.push_back(describeProfile(*engine, i));
    inspection.scratchBytes =
        std::max<std::int64_t>(inspection.scratchBytes, engine->getDeviceMemorySizeForProfileV2(i));
  }
  inspection.layers = describeLayers(*engine);
  return inspection;
}

}  // namespace rvos::tensorrt
