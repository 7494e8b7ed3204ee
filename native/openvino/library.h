// OpenVINO, opened while running: nothing of it is linked, so that the addon loads where there is none.
#pragma once

#include <memory>
#include <string>

#include "c_api.h"

namespace rvos {

/// The functions of one opened library and a core for its CPU plugin. The library stays open until the process ends: its
/// threads may still be leaving.
class OpenVinoLibrary {
 public:
  /// `path`: libopenvino_c of a version whose interface is known, with its siblings beside it. Throws
  /// std::runtime_error that says in one line why it cannot be used.
  static std::shared_ptr<OpenVinoLibrary> open(const std::string& path);
  ~OpenVinoLibrary();
  OpenVinoLibrary(const OpenVinoLibrary&) = delete;
  OpenVinoLibrary& operator=(const OpenVinoLibrary&) = delete;

  /// As "2026.4.1".
  const std::string& version() const { return version_; }
  const ov_core_t* core() const { return core_; }
  /// For all models that are compiled or imported from now on.
  void setProperty(const std::string& key, const std::string& value);
  /// Of the CPU plugin.
  std::string property(const std::string& key) const;

  /// Throws std::runtime_error with the library's own words unless `status` is OK; `what` failed.
  void check(ov_status_e status, const std::string& what) const;
  /// The text, and frees what the library gave.
  std::string take(char* text) const;

#define RVOS_OPENVINO_MEMBER(name, result, parameters) result(*name) parameters = nullptr;
  RVOS_OPENVINO_FUNCTIONS(RVOS_OPENVINO_MEMBER)
#undef RVOS_OPENVINO_MEMBER

 private:
  OpenVinoLibrary() = default;

  ov_core_t* core_ = nullptr;
  std::string version_;
};

}  // namespace rvos
