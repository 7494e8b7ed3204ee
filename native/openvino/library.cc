// See library.h.
#include "library.h"

#include <algorithm>
#include <stdexcept>

#ifdef _WIN32
#include <windows.h>
#else
#include <dlfcn.h>
#endif

namespace rvos {

namespace {

/// The C API is extended within a year's versions and may change with the next.
constexpr int kKnownMajor = 2026;

#ifdef _WIN32
void* openFile(const std::string& path, std::string& problem) {
  void* handle = LoadLibraryExA(path.c_str(), nullptr, LOAD_WITH_ALTERED_SEARCH_PATH);
  if (!handle) problem = "error " + std::to_string(GetLastError());
  return handle;
}
void* symbol(void* handle, const char* name) {
  return reinterpret_cast<void*>(GetProcAddress(static_cast<HMODULE>(handle), name));
}
#else
void* openFile(const std::string& path, std::string& problem) {
  void* handle = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (!handle) problem = dlerror();
  return handle;
}
void* symbol(void* handle, const char* name) { return dlsym(handle, name); }
#endif

/// "2026.4.1-22982-…" → "2026.4.1"
std::string shortVersion(const std::string& build) { return build.substr(0, build.find('-')); }

/// Its messages are several lines, of which those that name its source files tell a user nothing.
std::string oneLine(const std::string& text) {
  std::string line;
  for (size_t at = 0; at < text.size();) {
    const size_t end = std::min(text.find('\n', at), text.size());
    const std::string part = text.substr(at, end - at);
    if (!part.empty() && part.rfind("Exception from ", 0) != 0) line += (line.empty() ? "" : " ") + part;
    at = end + 1;
  }
  return line;
}

}  // namespace

std::shared_ptr<OpenVinoLibrary> OpenVinoLibrary::open(const std::string& path) {
  std::shared_ptr<OpenVinoLibrary> library(new OpenVinoLibrary());
  std::string problem;
  void* handle = openFile(path, problem);
  if (!handle) throw std::runtime_error("it cannot be opened: " + problem);
#define RVOS_OPENVINO_LOAD(name, result, parameters)                                                              \
  library->name = reinterpret_cast<result(*) parameters>(symbol(handle, "ov_" #name));                  \
  if (!library->name) throw std::runtime_error("it has no ov_" #name ": it is no OpenVINO of 2026");
  RVOS_OPENVINO_FUNCTIONS(RVOS_OPENVINO_LOAD)
#undef RVOS_OPENVINO_LOAD

  ov_version_t version{};
  library->check(library->get_openvino_version(&version), "its version");
  library->version_ = shortVersion(version.buildNumber ? version.buildNumber : "");
  library->version_free(&version);
  if (library->version_.rfind(std::to_string(kKnownMajor) + ".", 0) != 0) {
    throw std::runtime_error("it is of version " + library->version_ + ", and rvos knows " +
                             std::to_string(kKnownMajor));
  }
  library->check(library->core_create(&library->core_), "its core");
  // Asked of the plugin: without one there is no answer.
  library->property("FULL_DEVICE_NAME");
  return library;
}

OpenVinoLibrary::~OpenVinoLibrary() {
  if (core_) core_free(core_);
}

void OpenVinoLibrary::setProperty(const std::string& key, const std::string& value) {
  check(core_set_property(core_, "CPU", key.c_str(), value.c_str()), key);
}

std::string OpenVinoLibrary::property(const std::string& key) const {
  char* value = nullptr;
  check(core_get_property(core_, "CPU", key.c_str(), &value), "its CPU plugin");
  return take(value);
}

void OpenVinoLibrary::check(ov_status_e status, const std::string& what) const {
  if (status == kOpenVinoOk) return;
  const char* told = get_last_err_msg ? get_last_err_msg() : nullptr;
  const std::string reason = told ? oneLine(told) : "";
  throw std::runtime_error(what + ": " + (reason.empty() ? "status " + std::to_string(status) : reason));
}

std::string OpenVinoLibrary::take(char* text) const {
  if (!text) return "";
  std::string copy(text);
  free(text);
  return copy;
}

}  // namespace rvos
