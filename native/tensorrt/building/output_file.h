// A file that is there complete or not at all: whatever has not been finished is removed.
#pragma once

#include <cstddef>
#include <string>

namespace rvos::tensorrt {

class OutputFile {
 public:
  /// Creates or empties the file. Throws NOT_WRITABLE, DISK_FULL.
  explicit OutputFile(const std::string& path);
  /// Removes the file, if it is a regular one, unless `finish` was reached.
  ~OutputFile();

  OutputFile(const OutputFile&) = delete;
  OutputFile& operator=(const OutputFile&) = delete;

  /// Throws DISK_FULL, NOT_WRITABLE.
  void write(const void* data, std::size_t bytes);

  /// Everything is on the disk when this returns. Throws DISK_FULL, NOT_WRITABLE.
  void finish();

  /// Removes a file that was finished and is not wanted any more; devices are left alone.
  static void remove(const std::string& path);

 private:
  [[noreturn]] void fail(int error) const;

  const std::string path_;
  int descriptor_ = -1;
  bool finished_ = false;
};

}  // namespace rvos::tensorrt
