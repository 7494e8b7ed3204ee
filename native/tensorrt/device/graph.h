// Work of a stream, captured once and replayed with one call.
#pragma once

#include <utility>

#include "stream.h"

namespace rvos::tensorrt::cuda {

class GraphExec {
 public:
  GraphExec() = default;
  GraphExec(GraphExec&& other) noexcept : exec_(std::exchange(other.exec_, nullptr)) {}
  GraphExec& operator=(GraphExec&& other) noexcept {
    std::swap(exec_, other.exec_);
    return *this;
  }
  ~GraphExec() {
    if (exec_ != nullptr) settle(cudaGraphExecDestroy(exec_));
  }

  explicit operator bool() const { return exec_ != nullptr; }
  void launch(const Stream& stream) const { check(cudaGraphLaunch(exec_, stream.get()), "cudaGraphLaunch"); }

  /// Captures what `work` queues in `stream`; nothing of it runs yet. Throws what went wrong; the stream is then out of
  /// capture and as it was before. Other threads go on calling CUDA meanwhile.
  template <typename Work>
  static GraphExec capture(const Stream& stream, Work&& work) {
    check(cudaStreamBeginCapture(stream.get(), cudaStreamCaptureModeThreadLocal), "cudaStreamBeginCapture");
    cudaGraph_t graph = nullptr;
    try {
      work();
    } catch (...) {
      settle(cudaStreamEndCapture(stream.get(), &graph));
      if (graph != nullptr) settle(cudaGraphDestroy(graph));
      throw;
    }
    check(cudaStreamEndCapture(stream.get(), &graph), "cudaStreamEndCapture");
    GraphExec captured;
    const cudaError_t status = cudaGraphInstantiateWithFlags(&captured.exec_, graph, 0);
    settle(cudaGraphDestroy(graph));
    check(status, "cudaGraphInstantiateWithFlags");
    return captured;
  }

 private:
  cudaGraphExec_t exec_ = nullptr;
};

}  // namespace rvos::tensorrt::cuda
