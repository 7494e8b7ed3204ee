// How fast each kernel was on this GPU, kept between builds: what has been timed once is not timed again. TensorRT-RTX
// times nothing while it builds, so there a cache is neither read nor written.
#pragma once

#include <memory>
#include <string>

#include "libraries/compat.h"

namespace rvos::tensorrt {

class TimingCache {
 public:
  /// Gives the builder what the file holds, or an empty cache if there is no file or TensorRT refuses it (another GPU or
  /// version). An empty path: no cache.
  TimingCache(nvinfer1::IBuilderConfig& config, std::string path);

  /// Writes what the builder knows now, by a temporary name and a rename. A build that worked does not fail for it: what
  /// went wrong, or an empty string, is returned.
  std::string keep() const;

 private:
  void write() const;

  const std::string path_;
#if !RVOS_TENSORRT_RTX
  std::unique_ptr<nvinfer1::ITimingCache> cache_;
#endif
};

}  // namespace rvos::tensorrt
