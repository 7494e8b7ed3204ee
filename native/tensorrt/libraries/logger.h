// What TensorRT says while it works for one builder or runtime. Messages may come from any of its threads.
#pragma once

#include <cstdint>
#include <fstream>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "compat.h"

namespace rvos::tensorrt {

class Logger final : public nvinfer1::ILogger {
 public:
  /// An empty logger. Its memory is never given back, only used again once nobody holds it: TensorRT keeps a reference to
  /// the first logger it is given for as long as any of its objects lives, whoever made that object.
  static std::shared_ptr<Logger> create();

  /// From now on every message, the most detailed too, is a line of this file. Throws NOT_WRITABLE.
  void record(const std::string& path);

  void log(Severity severity, const char* message) noexcept override;

  /// Errors in the order they came, each on one line.
  std::vector<std::string> errors() const;
  std::vector<std::string> warnings() const;

  /// How many errors have come so far: what came before a call is not its reason.
  std::uint64_t mark() const;

  /// The errors that came after `mark` as one line; `otherwise` if there are none.
  std::string errorLine(const std::string& otherwise, std::uint64_t mark = 0) const;

  /// Largest "Max Scratch Memory" that was logged, in bytes.
  std::optional<std::int64_t> scratchBytes() const;

 private:
  void clear();
  /// Under the mutex.
  void noteError(std::string message);

  mutable std::mutex mutex_;
  struct Noted {
    std::string message;
    /// Which error it was when it came last.
    std::uint64_t number;
  };
  std::vector<Noted> errors_;
  std::uint64_t seen_ = 0;
  std::vector<std::string> warnings_;
  std::optional<std::int64_t> scratchBytes_;
  std::ofstream record_;
};

/// Whether TensorRT's words mean that memory ran out, on the host or the device.
bool saysOutOfMemory(const std::string& words);

}  // namespace rvos::tensorrt
