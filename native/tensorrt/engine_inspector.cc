// See engine_inspector.h.
#include "engine_inspector.h"

#include <sys/stat.h>

#include <algorithm>
#include <fstream>
#include <memory>

#include "device_query.h"
#include "failure.h"
#include "library.h"

namespace rvos::tensorrt {

namespace {

std::vector<char> readFile(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  struct stat status {};
  if (!file.is_open() || stat(path.c_str(), &status) != 0 || !S_ISREG(status.st_mode)) {
    throw Failure(code::kBadEngine, "cannot read " + path);
  }
  std::vector<char> bytes(static_cast<std::size_t>(status.st_size));
  file.read(bytes.data(), static_cast<std::streamsize>(bytes.size()));
  if (!file || bytes.empty()) throw Failure(code::kBadEngine, path + " is empty or cannot be read");
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
  const std::vector<compat::EngineObjection> objections =
      compat::engineObjections(*runtime, bytes.data(), static_cast<std::int64_t>(bytes.size()));
  const auto everywhere = std::find_if(objections.begin(), objections.end(), [](const auto& one) { return one.everywhere; });
  if (everywhere == objections.end()) queryDevices();  // throws the reason if there is no GPU to open it on
  if (!objections.empty()) {
    const auto& first = everywhere == objections.end() ? objections.front() : *everywhere;
    throw Failure(code::kBadEngine, path + " cannot be opened: " + first.text);
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
