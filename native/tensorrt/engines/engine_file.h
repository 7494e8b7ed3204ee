// Opening an engine file, the same way for those who inspect it and those who run it.
#pragma once

#include <memory>
#include <string>

#include "libraries/compat.h"
#include "libraries/logger.h"

namespace rvos::tensorrt {

/// Refuses by its first bytes what the library can tell to be damaged or foreign, then deserialises it on the current
/// device. The caller has checked the file's hash: an engine steers what runs. `logger` is the runtime's, which must
/// outlive the engine. Throws BAD_ENGINE, NO_DEVICE, DRIVER_TOO_OLD, OUT_OF_MEMORY.
std::unique_ptr<nvinfer1::ICudaEngine> openEngineFile(const std::string& path, nvinfer1::IRuntime& runtime,
                                                      const Logger& logger);

}  // namespace rvos::tensorrt
