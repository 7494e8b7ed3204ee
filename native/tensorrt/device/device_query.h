// The GPUs of this machine, by the CUDA runtime alone.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace rvos::tensorrt {

struct Device {
  int index = 0;
  std::string name;
  /// 90 for 9.0
  int computeCapability = 0;
  std::int64_t totalBytes = 0;
  /// Nothing where the GPU does not tell.
  std::optional<std::int64_t> freeBytes;
  int multiprocessors = 0;
};

struct DeviceQuery {
  std::vector<Device> devices;
  /// GPUs that do not answer, each with the reason.
  std::vector<std::string> problems;
  /// Newest CUDA the driver supports, `13.0`.
  std::string driverCudaVersion;
};

/// Throws NO_DEVICE or DRIVER_TOO_OLD with the reason if there is no GPU that CUDA can use. Starts nothing on any GPU.
void requireDevice();
/// The same as an answer.
bool hasDevice();

/// At least one device; one that does not answer hides no other. Asking for free memory makes a CUDA context on each of them.
/// Throws NO_DEVICE or DRIVER_TOO_OLD with the reason, DEVICE_FAILED if none answers.
DeviceQuery queryDevices();

/// `13.0` for CUDA's 13000.
inline std::string cudaVersionName(int version) {
  return std::to_string(version / 1000) + "." + std::to_string(version % 1000 / 10);
}

}  // namespace rvos::tensorrt
