// The TensorRT libraries, opened while the program runs, so that the addon loads on machines that have none. What is
// opened stays open until the process ends: TensorRT's own threads may run until then.
#pragma once

#include <memory>
#include <string>

#include "compat.h"
#include "logger.h"

namespace rvos::tensorrt {

class Library {
 public:
  /// Opens libnvinfer (libtensorrt_rtx) and the ONNX parser; the arguments are names for dlopen. Once a process: further
  /// calls with the same names return what is open already. Throws LIBRARY_MISSING, LIBRARY_VERSION, and BAD_ARGUMENT if
  /// others are open.
  static const Library& open(const std::string& infer, const std::string& parser);

  /// What `open` opened. Throws LIBRARY_MISSING if it has not been called.
  static const Library& get();

  /// As `1.7.1.116`.
  const std::string& version() const { return version_; }
  /// The 7 of `1.7.1.116`.
  int minor() const { return minor_; }

  /// Throws NO_DEVICE, DRIVER_TOO_OLD, LIBRARY_VERSION or BUILD_FAILED where TensorRT gives none. Classic TensorRT needs a
  /// GPU to build on, TensorRT-RTX does not. The logger must outlive the builder.
  std::unique_ptr<nvinfer1::IBuilder> createBuilder(Logger& logger) const;

  /// Never allows host code in engines. Classic TensorRT needs a GPU for it. Throws NO_DEVICE, DRIVER_TOO_OLD or
  /// DEVICE_FAILED.
  std::unique_ptr<nvinfer1::IRuntime> createRuntime(Logger& logger) const;

  /// Throws LIBRARY_VERSION.
  std::unique_ptr<nvonnxparser::IParser> createParser(nvinfer1::INetworkDefinition& network, Logger& logger) const;

 private:
  Library(const std::string& infer, const std::string& parser);

  void checkVersion(const std::string& path) const;

  std::string infer_;
  std::string parser_;
  std::string version_;
  int major_ = 0;
  int minor_ = 0;
  decltype(&createInferBuilder_INTERNAL) createBuilder_ = nullptr;
  decltype(&createInferRuntime_INTERNAL) createRuntime_ = nullptr;
  decltype(&createNvOnnxParser_INTERNAL) createParser_ = nullptr;
};

}  // namespace rvos::tensorrt
