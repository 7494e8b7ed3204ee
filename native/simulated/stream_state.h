// What streams, events and graphs of the simulated device are made of.
#pragma once

#include <cuda_runtime.h>

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>
#include <random>
#include <thread>
#include <utility>
#include <vector>

#include "streams.h"

namespace rvos::simulated {

struct Step {
  const char* kind;
  Operation run;
};

struct DeviceState {
  std::mutex mutex;
  cudaError_t status = cudaSuccess;
  std::atomic<uint64_t> seed{0};
  std::atomic<unsigned> delay{0};
  std::atomic<unsigned> failingCaptures{0};
  StreamCounters counters;
  uint64_t streams = 0;
};

/// Never destroyed: threads of the device may outlive static objects.
DeviceState& device();

/// Runs one operation unless the device has failed already.
void runStep(const Step& step);

}  // namespace rvos::simulated

struct SimulatedEvent {
  struct State {
    std::mutex mutex;
    std::condition_variable reached;
    uint64_t recorded = 0;
    uint64_t completed = 0;
    std::chrono::steady_clock::time_point time;

    void wait(uint64_t version) {
      std::unique_lock<std::mutex> lock(mutex);
      reached.wait(lock, [&] { return completed >= version; });
    }
  };
  unsigned flags = 0;
  std::shared_ptr<State> state = std::make_shared<State>();
};

struct SimulatedGraph {
  std::vector<rvos::simulated::Step> steps;
};

struct SimulatedGraphExec {
  std::shared_ptr<const std::vector<rvos::simulated::Step>> steps;
};

struct SimulatedStream {
  SimulatedStream();
  ~SimulatedStream();

  void push(rvos::simulated::Step step);
  void drain();
  /// Waits a while, sometimes.
  void dawdle();

  /// Set while captured.
  std::unique_ptr<SimulatedGraph> graph;
  bool captureBroken = false;

 private:
  void work();

  uint64_t number_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<rvos::simulated::Step> queue_;
  bool busy_ = false;
  bool closing_ = false;
  uint64_t seed_ = 0;
  std::mt19937_64 random_;
  std::thread thread_;
};
