// See output_file.h.
#include "output_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "failure.h"

namespace rvos::tensorrt {

namespace {

/// Linux writes at most 2 GiB at a time.
constexpr std::size_t kChunk = std::size_t{1} << 24;

}  // namespace

OutputFile::OutputFile(const std::string& path) : path_(path) {
  descriptor_ = open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
  if (descriptor_ < 0) fail(errno);
}

OutputFile::~OutputFile() {
  if (descriptor_ < 0) return;
  struct stat own{};
  struct stat named{};
  // Somebody may have removed the file and made another one of the same name.
  const bool same = fstat(descriptor_, &own) == 0 && S_ISREG(own.st_mode) && stat(path_.c_str(), &named) == 0 &&
                    own.st_dev == named.st_dev && own.st_ino == named.st_ino;
  close(descriptor_);
  if (!finished_ && same) unlink(path_.c_str());
}

void OutputFile::remove(const std::string& path) {
  struct stat status{};
  if (stat(path.c_str(), &status) == 0 && S_ISREG(status.st_mode)) unlink(path.c_str());
}

void OutputFile::write(const void* data, std::size_t bytes) {
  const char* position = static_cast<const char*>(data);
  while (bytes > 0) {
    const ssize_t written = ::write(descriptor_, position, std::min(bytes, kChunk));
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) fail(errno);
    if (written == 0) fail(ENOSPC);
    position += written;
    bytes -= static_cast<std::size_t>(written);
  }
}

void OutputFile::finish() {
  // Some file systems find out only now that there is no room. Pipes and devices cannot be synchronised: EINVAL.
  if (fsync(descriptor_) != 0 && errno != EINVAL) fail(errno);
  finished_ = true;
}

void OutputFile::fail(int error) const {
  const std::string reason = path_ + ": " + std::strerror(error);
  if (error == ENOSPC || error == EDQUOT) {
    throw Failure(code::kDiskFull, "no room to write " + reason + "; free some, or choose another folder");
  }
  throw Failure(code::kNotWritable, "cannot write " + reason);
}

}  // namespace rvos::tensorrt
