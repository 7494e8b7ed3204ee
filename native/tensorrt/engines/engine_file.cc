// See engine_file.h.
#include "engine_file.h"

#include <sys/stat.h>

#include <algorithm>
#include <fstream>
#include <vector>

#include "device/device_query.h"
#include "failure.h"

namespace rvos::tensorrt {

namespace {

std::vector<char> readFile(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  struct stat status{};
  if (!file.is_open() || stat(path.c_str(), &status) != 0 || !S_ISREG(status.st_mode)) {
    throw Failure(code::kBadEngine, "cannot read " + path);
  }
  std::vector<char> bytes(static_cast<std::size_t>(status.st_size));
  file.read(bytes.data(), static_cast<std::streamsize>(bytes.size()));
  if (!file || bytes.empty()) throw Failure(code::kBadEngine, path + " is empty or cannot be read");
  return bytes;
}

void refuseByFirstBytes(const std::string& path, const nvinfer1::IRuntime& runtime, const std::vector<char>& bytes) {
  const std::vector<compat::EngineObjection> objections =
      compat::engineObjections(runtime, bytes.data(), static_cast<std::int64_t>(bytes.size()));
  const auto everywhere =
      std::find_if(objections.begin(), objections.end(), [](const auto& objection) { return objection.everywhere; });
  const bool damaged = everywhere != objections.end();
  if (!damaged) requireDevice();  // throws the reason if there is no GPU to open it on
  if (objections.empty()) return;
  const compat::EngineObjection& first = damaged ? *everywhere : objections.front();
  throw Failure(code::kBadEngine, path + " cannot be opened: " + first.text);
}

}  // namespace

std::unique_ptr<nvinfer1::ICudaEngine> openEngineFile(const std::string& path, nvinfer1::IRuntime& runtime,
                                                      const Logger& logger) {
  const std::vector<char> bytes = readFile(path);
  refuseByFirstBytes(path, runtime, bytes);
  const std::uint64_t mark = logger.mark();
  std::unique_ptr<nvinfer1::ICudaEngine> engine(runtime.deserializeCudaEngine(bytes.data(), bytes.size()));
  if (engine) return engine;
  const std::string reason = logger.errorLine("no reason given", mark);
  const char* kind = saysOutOfMemory(reason) ? code::kOutOfMemory : code::kBadEngine;
  throw Failure(kind, path + " cannot be opened: " + reason);
}

}  // namespace rvos::tensorrt
