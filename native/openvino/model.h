// A graph that OpenVINO has compiled for this processor, with one request that runs it.
#pragma once

#include <atomic>
#include <map>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

#include "library.h"

namespace rvos {

/// A tensor in somebody else's memory.
struct OpenVinoTensor {
  std::string name;
  ov_element_type_e type;
  std::vector<int64_t> shape;
  void* data;
};

/// An output as the graph declares it; -1 where a run decides.
struct OpenVinoOutput {
  std::string name;
  ov_element_type_e type;
  std::vector<int64_t> shape;
};

/// The run was ended by `cancel`.
class OpenVinoCancelled : public std::runtime_error {
 public:
  OpenVinoCancelled() : std::runtime_error("the run was cancelled") {}
};

/// One run at a time. All but `cancel` is called by one thread at a time. Throws std::runtime_error in one line.
class OpenVinoModel {
 public:
  using Shapes = std::map<std::string, std::vector<int64_t>>;
  using Properties = std::map<std::string, std::string>;

  /// Reads an ONNX graph with its external data, fixes the shapes of the inputs named, and compiles it.
  static std::unique_ptr<OpenVinoModel> compile(std::shared_ptr<OpenVinoLibrary> library, const std::string& graph,
                                                const Shapes& shapes, const Properties& properties);
  /// What `exportTo` wrote, by the same version of the library.
  static std::unique_ptr<OpenVinoModel> import(std::shared_ptr<OpenVinoLibrary> library, const char* bytes,
                                               size_t length, const Properties& properties);
  ~OpenVinoModel();
  OpenVinoModel(const OpenVinoModel&) = delete;
  OpenVinoModel& operator=(const OpenVinoModel&) = delete;

  const std::vector<OpenVinoOutput>& outputs() const { return outputs_; }
  std::string property(const std::string& key) const;
  void exportTo(const std::string& file) const;

  /// Outputs that are given are written where they say; the others `output` tells until the next run. Throws
  /// OpenVinoCancelled.
  void run(const std::vector<OpenVinoTensor>& inputs, const std::vector<OpenVinoTensor>& outputs);
  /// Ends the run under way, from any thread; until `settle` one that begins ends at once.
  void cancel();
  /// Whoever may call `cancel` knows that the run has ended.
  void settle() { cancelled_ = false; }
  /// The output of the last run; the memory is the request's.
  OpenVinoTensor output(const std::string& name, size_t& bytes) const;

 private:
  OpenVinoModel(std::shared_ptr<OpenVinoLibrary> library, ov_compiled_model_t* compiled,
                std::unique_ptr<char[]> stored = nullptr);
  void set(const OpenVinoTensor& tensor);

  std::shared_ptr<OpenVinoLibrary> library_;
  /// Of an imported model: its weights are read where they stand in these bytes.
  std::unique_ptr<char[]> stored_;
  ov_compiled_model_t* compiled_;
  ov_infer_request_t* request_ = nullptr;
  std::vector<OpenVinoOutput> outputs_;
  std::atomic<bool> cancelled_{false};
};

}  // namespace rvos
