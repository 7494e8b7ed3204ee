// See timing_cache.h.
#include "timing_cache.h"

#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <iterator>
#include <utility>
#include <vector>

#include "failure.h"
#include "output_file.h"

namespace rvos::tensorrt {

#if RVOS_TENSORRT_RTX

TimingCache::TimingCache(nvinfer1::IBuilderConfig& config, std::string path) : path_(std::move(path)) {
  static_cast<void>(config);
}

void TimingCache::write() const {}

#else

TimingCache::TimingCache(nvinfer1::IBuilderConfig& config, std::string path) : path_(std::move(path)) {
  if (path_.empty()) return;
  std::ifstream file(path_, std::ios::binary);
  const std::vector<char> bytes{std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
  cache_.reset(config.createTimingCache(bytes.data(), bytes.size()));
  if (cache_ && config.setTimingCache(*cache_, false)) return;
  cache_.reset(config.createTimingCache(nullptr, 0));
  if (cache_ && !config.setTimingCache(*cache_, false)) cache_.reset();
}

void TimingCache::write() const {
  if (!cache_) return;
  const std::unique_ptr<nvinfer1::IHostMemory> bytes(cache_->serialize());
  if (!bytes) return;
  static std::atomic<unsigned> number{0};
  const std::string temporary = path_ + "." + std::to_string(getpid()) + "." + std::to_string(number++) + ".tmp";
  OutputFile file(temporary);
  file.write(bytes->data(), bytes->size());
  file.finish();
  if (std::rename(temporary.c_str(), path_.c_str()) != 0) {
    const std::string reason = std::strerror(errno);
    unlink(temporary.c_str());
    throw Failure(code::kNotWritable, "cannot write " + path_ + ": " + reason);
  }
}

#endif

std::string TimingCache::keep() const {
  try {
    write();
    return "";
  } catch (const Failure& failure) {
    return std::string("the timing cache was not kept: ") + failure.what();
  }
}

}  // namespace rvos::tensorrt
