// What every part of native/tensorrt throws: an error code of the addon's contract and a message of one line.
#pragma once

#include <exception>
#include <new>
#include <stdexcept>
#include <string>

namespace rvos::tensorrt {

/// The codes of `NativeErrorCode` in src/native/tensorrt-addon.ts.
namespace code {
inline constexpr const char* kLibraryMissing = "LIBRARY_MISSING";
inline constexpr const char* kLibraryVersion = "LIBRARY_VERSION";
inline constexpr const char* kNoDevice = "NO_DEVICE";
inline constexpr const char* kDriverTooOld = "DRIVER_TOO_OLD";
inline constexpr const char* kBadGraph = "BAD_GRAPH";
inline constexpr const char* kBadProfile = "BAD_PROFILE";
inline constexpr const char* kBadTarget = "BAD_TARGET";
inline constexpr const char* kBadEngine = "BAD_ENGINE";
inline constexpr const char* kBadArgument = "BAD_ARGUMENT";
inline constexpr const char* kBuildFailed = "BUILD_FAILED";
inline constexpr const char* kCancelled = "CANCELLED";
inline constexpr const char* kOutOfMemory = "OUT_OF_MEMORY";
inline constexpr const char* kDiskFull = "DISK_FULL";
inline constexpr const char* kNotWritable = "NOT_WRITABLE";
inline constexpr const char* kDeviceFailed = "DEVICE_FAILED";
/// The process has lost the GPU: every further call fails.
inline constexpr const char* kDeviceLost = "DEVICE_LOST";
inline constexpr const char* kDisposed = "DISPOSED";
}  // namespace code

/// `text` on one line: runs of white space and control characters become one space.
inline std::string oneLine(const std::string& text) {
  std::string line;
  for (const char character : text) {
    if (static_cast<unsigned char>(character) > ' ' && character != 0x7f) {
      line += character;
    } else if (!line.empty() && line.back() != ' ') {
      line += ' ';
    }
  }
  if (!line.empty() && line.back() == ' ') line.pop_back();
  return line;
}

class Failure : public std::runtime_error {
 public:
  /// `code`: one of the constants above. The message is put on one line.
  Failure(const char* code, const std::string& message) : std::runtime_error(oneLine(message)), code_(code) {}

  const char* code() const noexcept { return code_; }

 private:
  const char* code_;
};

/// As a Failure whatever was thrown: std::bad_alloc is OUT_OF_MEMORY, all else has the code `otherwise`.
inline Failure toFailure(const std::exception_ptr& thrown, const char* otherwise) {
  try {
    std::rethrow_exception(thrown);
  } catch (const Failure& failure) {
    return failure;
  } catch (const std::bad_alloc&) {
    return Failure(code::kOutOfMemory, "there is not enough memory");
  } catch (const std::exception& error) {
    return Failure(otherwise, error.what());
  } catch (...) {
    return Failure(otherwise, "something that is no exception was thrown");
  }
}

}  // namespace rvos::tensorrt
