// See engine_inspector.h.
#include "engine_inspector.h"

#include <algorithm>
#include <memory>

#include "device/check.h"
#include "device/device_query.h"
#include "engine_file.h"
#include "libraries/library.h"

namespace rvos::tensorrt {

namespace {

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

EngineInspection inspectEngine(const std::string& path, int device) {
  // Without a GPU there is nothing to choose; what is wrong is told by what needs it.
  if (hasDevice()) cuda::useDevice(device);
  const std::shared_ptr<Logger> logger = Logger::create();
  const std::unique_ptr<nvinfer1::IRuntime> runtime = Library::get().createRuntime(*logger);
  const std::unique_ptr<nvinfer1::ICudaEngine> engine = openEngineFile(path, *runtime, *logger);

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
