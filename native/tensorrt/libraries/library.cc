// See library.h.
#include "library.h"

#include <dlfcn.h>

#include <cstdint>
#include <mutex>

#include "device/device_query.h"
#include "failure.h"

namespace rvos::tensorrt {

namespace {

constexpr const char* kRemedy = "`npm run setup:native` finds or fetches what fits";

/// Closes the library unless it is kept.
struct CloseLibrary {
  void operator()(void* handle) const { dlclose(handle); }
};
using LibraryHandle = std::unique_ptr<void, CloseLibrary>;

LibraryHandle openLibrary(const std::string& name) {
  LibraryHandle handle(dlopen(name.c_str(), RTLD_NOW | RTLD_LOCAL));
  if (!handle) {
    const char* reason = dlerror();
    throw Failure(code::kLibraryMissing,
                  "cannot open " + name + ": " + (reason == nullptr ? "no reason given" : reason) + "; " + kRemedy);
  }
  return handle;
}

template <typename Function>
Function optionalEntry(void* handle, const char* name) {
  return reinterpret_cast<Function>(dlsym(handle, name));
}

template <typename Function>
Function entry(void* handle, const std::string& path, const char* name) {
  const auto function = optionalEntry<Function>(handle, name);
  if (function == nullptr) {
    throw Failure(code::kLibraryVersion, path + " has no entry point " + name + ": it is not a " + compat::kProduct +
                                             " library that rvos knows");
  }
  return function;
}

/// Where TensorRT finds its builder resources if it was opened by a path.
void pointToDirectory(void* handle, const std::string& path) {
  const std::size_t slash = path.rfind('/');
  const auto setPath = optionalEntry<bool (*)(const char*) noexcept>(handle, "setInternalLibraryPath");
  if (slash != std::string::npos && setPath != nullptr) setPath(path.substr(0, slash).c_str());
}

std::mutex& openMutex() {
  static std::mutex mutex;
  return mutex;
}

/// Guarded by `openMutex`.
std::unique_ptr<const Library>& openedLibrary() {
  static std::unique_ptr<const Library> library;
  return library;
}

}  // namespace

const Library& Library::open(const std::string& infer, const std::string& parser) {
  const std::lock_guard<std::mutex> lock(openMutex());
  std::unique_ptr<const Library>& library = openedLibrary();
  if (!library) {
    library.reset(new Library(infer, parser));
  } else if (library->infer_ != infer || library->parser_ != parser) {
    throw Failure(code::kBadArgument, "this process has opened " + library->infer_ + " and " + library->parser_ +
                                          " already; other libraries need another process");
  }
  return *library;
}

const Library& Library::get() {
  const std::lock_guard<std::mutex> lock(openMutex());
  if (!openedLibrary()) {
    throw Failure(code::kLibraryMissing,
                  std::string("the ") + compat::kProduct + " libraries have not been opened: call load first");
  }
  return *openedLibrary();
}

Library::Library(const std::string& infer, const std::string& parser) : infer_(infer), parser_(parser) {
  LibraryHandle inferHandle = openLibrary(infer);
  const auto number = [&](const char* name) {
    const auto function = optionalEntry<std::int32_t (*)() noexcept>(inferHandle.get(), name);
    return function == nullptr ? -1 : static_cast<int>(function());
  };
  major_ = number("getInferLibMajorVersion");
  minor_ = number("getInferLibMinorVersion");
  int patch = number("getInferLibPatchVersion");
  const int build = number("getInferLibBuildVersion");
  if (major_ < 0 || minor_ < 0 || patch < 0) {
    // Only since 10.0 do the parts have functions of their own; before, the number was major·1000 + minor·100 + patch.
    const int packed = entry<std::int32_t (*)() noexcept>(inferHandle.get(), infer, "getInferLibVersion")();
    const int unit = packed >= 10000 ? 10000 : 1000;
    major_ = packed / unit;
    minor_ = packed % unit / 100;
    patch = packed % 100;
  }
  version_ = std::to_string(major_) + "." + std::to_string(minor_) + "." + std::to_string(patch);
  if (build >= 0) version_ += "." + std::to_string(build);
  checkVersion(infer);

  createBuilder_ = entry<decltype(createBuilder_)>(inferHandle.get(), infer, "createInferBuilder_INTERNAL");
  createRuntime_ = entry<decltype(createRuntime_)>(inferHandle.get(), infer, "createInferRuntime_INTERNAL");
  LibraryHandle parserHandle = openLibrary(parser);
  createParser_ = entry<decltype(createParser_)>(parserHandle.get(), parser, "createNvOnnxParser_INTERNAL");
  pointToDirectory(inferHandle.get(), infer);
  // From here on they stay open.
  static_cast<void>(inferHandle.release());
  static_cast<void>(parserHandle.release());
}

void Library::checkVersion(const std::string& path) const {
  if (compat::interfaceGeneration(major_, minor_) == compat::kInterfaceGeneration) return;
  throw Failure(code::kLibraryVersion,
                path + " is version " + version_ + ", this addon was built for " + compat::kProduct + " " +
                    compat::headerVersion() +
                    ", whose interfaces differ: build the addon for it (`npm run setup:native`)");
}

// The version that is handed over is the older one of headers and library: a library refuses headers newer than itself,
// and what the headers have beyond it is never called.

namespace {

int versionFor(int major, int minor) {
  const int library = static_cast<int>(NV_TENSORRT_VERSION_INT(major, minor, 0));
  const int headers = static_cast<int>(NV_TENSORRT_VERSION);
  return library < headers ? library : headers;
}

/// What an entry point made. TensorRT 11 gives the address of a member of nothing, a small number, instead of null when
/// CUDA does not start.
template <typename Made>
std::unique_ptr<Made> takeMade(void* made) {
  constexpr std::uintptr_t kFirstPage = 4096;
  return std::unique_ptr<Made>(reinterpret_cast<std::uintptr_t>(made) < kFirstPage ? nullptr
                                                                                   : static_cast<Made*>(made));
}

}  // namespace

std::unique_ptr<nvinfer1::IBuilder> Library::createBuilder(Logger& logger) const {
  auto builder = takeMade<nvinfer1::IBuilder>(createBuilder_(&logger, versionFor(major_, minor_)));
  if (!builder) {
    requireDevice();
    throw Failure(code::kBuildFailed, std::string(compat::kProduct) + " " + version_ +
                                          " gives no builder: " + logger.errorLine("no reason given"));
  }
  return builder;
}

std::unique_ptr<nvinfer1::IRuntime> Library::createRuntime(Logger& logger) const {
  auto runtime = takeMade<nvinfer1::IRuntime>(createRuntime_(&logger, versionFor(major_, minor_)));
  if (!runtime) {
    requireDevice();
    throw Failure(code::kDeviceFailed, std::string(compat::kProduct) + " " + version_ +
                                           " gives no runtime: " + logger.errorLine("no reason given"));
  }
  runtime->setEngineHostCodeAllowed(false);
  return runtime;
}

std::unique_ptr<nvonnxparser::IParser> Library::createParser(nvinfer1::INetworkDefinition& network,
                                                             Logger& logger) const {
  std::unique_ptr<nvonnxparser::IParser> parser(
      static_cast<nvonnxparser::IParser*>(createParser_(&network, &logger, NV_ONNX_PARSER_VERSION)));
  if (!parser) {
    throw Failure(code::kLibraryVersion, parser_ + " gives no parser: " + logger.errorLine("its version differs"));
  }
  return parser;
}

}  // namespace rvos::tensorrt
