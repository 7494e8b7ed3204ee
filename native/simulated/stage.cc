// See stage.h.
#include "stage.h"

#include <algorithm>
#include <cstring>
#include <map>
#include <mutex>
#include <set>
#include <utility>

#include "../tensorrt/failure.h"
#include "device_memory.h"
#include "engine_file.h"
#include "streams.h"

namespace rvos::simulated {

namespace {

using tensorrt::Activations;
using tensorrt::Failure;
using tensorrt::HostTensor;
using tensorrt::HostTensors;
using tensorrt::StageContext;
using tensorrt::StageEngine;
using tensorrt::StageShape;
using tensorrt::StageType;
namespace code = tensorrt::code;

StageType typeOf(const std::string& dtype) {
  if (dtype == "float32") return StageType::Float32;
  if (dtype == "float16") return StageType::Float16;
  if (dtype == "int32") return StageType::Int32;
  if (dtype == "int64") return StageType::Int64;
  return StageType::Other;
}

/// Activations are one stage's alone while it runs; what it leaves there is worthless.
class ActivationUse {
 public:
  explicit ActivationUse(const Activations& activations) : data_(activations.data) {
    const std::lock_guard<std::mutex> lock(mutex());
    if (!inUse().insert(data_).second) throw IllegalAddress("two stages use the same activations");
    const auto memory = resolveDevice(activations.data, activations.bytes);
    std::memset(memory.data, 0xff, memory.bytes);
  }
  ~ActivationUse() {
    const std::lock_guard<std::mutex> lock(mutex());
    inUse().erase(data_);
  }

 private:
  static std::mutex& mutex() {
    static std::mutex* const instance = new std::mutex;
    return *instance;
  }
  static std::set<void*>& inUse() {
    static std::set<void*>* const instance = new std::set<void*>;
    return *instance;
  }
  void* data_;
};

struct Shared {
  std::string path;
  EngineFile file;
  std::shared_ptr<StageRunner> runner;

  const GraphTensor& tensor(const char* name) const {
    const auto found = std::find_if(file.tensors.begin(), file.tensors.end(),
                                    [&](const GraphTensor& tensor) { return tensor.name == name; });
    if (found == file.tensors.end()) throw Failure(code::kBadEngine, path + " has no tensor " + name);
    return *found;
  }
};

bool within(const InputRange& range, const StageShape& shape) {
  if (static_cast<int>(range.least.size()) != shape.rank) return false;
  for (int i = 0; i < shape.rank; ++i) {
    if (shape.axes[i] < range.least[i] || shape.axes[i] > range.most[i]) return false;
  }
  return true;
}

/// How a context stands: queued work refers to the very state it was queued with.
struct ContextState {
  std::shared_ptr<const Shared> engine;
  int profile;
  Activations activations;
  std::map<std::string, StageShape> shapes;
  std::map<std::string, void*> bindings;
};

void runStage(const ContextState& state) {
  StageCall call;
  call.engine = state.engine->path;
  call.profile = state.profile;
  const ActivationUse use(state.activations);
  for (const GraphTensor& tensor : state.engine->file.tensors) {
    if (!tensor.input) continue;
    HostTensor& input = call.inputs[tensor.name];
    const StageShape& shape = state.shapes.at(tensor.name);
    input.type = typeOf(tensor.dtype);
    input.shape.assign(shape.axes.begin(), shape.axes.begin() + shape.rank);
    const auto memory = resolveDevice(state.bindings.at(tensor.name), input.elements() * bytesOf(input.type));
    input.data.assign(memory.data, memory.data + memory.bytes);
  }
  const HostTensors outputs = state.engine->runner->run(call);
  for (const auto& [name, output] : outputs) {
    const GraphTensor& tensor = state.engine->tensor(name.c_str());
    if (tensor.input || typeOf(tensor.dtype) != output.type) throw IllegalAddress("a stage gave another type");
    const auto memory = resolveDevice(state.bindings.at(name), output.data.size());
    std::memcpy(memory.data, output.data.data(), memory.bytes);
  }
}

class Context final : public StageContext {
 public:
  explicit Context(ContextState state) : state_(std::make_shared<ContextState>(std::move(state))) {}

  void setShape(const char* input, const StageShape& shape) override {
    const GraphTensor& tensor = state_->engine->tensor(input);
    bool fits = tensor.input && static_cast<int>(tensor.shape.size()) == shape.rank;
    for (int i = 0; fits && i < shape.rank; ++i) fits = tensor.shape[i] == -1 || tensor.shape[i] == shape.axes[i];
    for (const InputRange& range : state_->engine->file.ranges) {
      if (range.profile == state_->profile && range.input == input) fits = fits && within(range, shape);
    }
    if (!fits) throw Failure(code::kBadEngine, std::string("the engine does not take this shape of ") + input);
    changed().shapes[input] = shape;
  }

  void bind(const char* tensor, void* data) override {
    state_->engine->tensor(tensor);
    changed().bindings[tensor] = data;
  }

  void enqueue(cudaStream_t stream) override {
    for (const GraphTensor& tensor : state_->engine->file.tensors) {
      const bool shaped = !tensor.input || state_->shapes.count(tensor.name) > 0;
      if (!shaped || state_->bindings.count(tensor.name) == 0) {
        throw Failure(code::kDeviceFailed, "the stage's tensor " + tensor.name + " was not set");
      }
    }
    const cudaError_t status = simulated::enqueue(stream, "stage", [queued = std::weak_ptr<ContextState>(state_)] {
      const auto state = queued.lock();
      if (!state) throw IllegalAddress("a context was changed or destroyed before its work was done");
      runStage(*state);
    });
    if (status != cudaSuccess) throw Failure(code::kDeviceFailed, "the stage could not be queued");
  }

 private:
  /// What was queued with the state before must not run any more.
  ContextState& changed() {
    state_ = std::make_shared<ContextState>(*state_);
    return *state_;
  }

  std::shared_ptr<ContextState> state_;
};

class Engine final : public StageEngine {
 public:
  explicit Engine(std::shared_ptr<const Shared> shared) : shared_(std::move(shared)) {}

  size_t activationBytes(int profile) const override {
    const auto& ranges = shared_->file.ranges;
    const bool known = std::any_of(ranges.begin(), ranges.end(), [&](const auto& range) { return range.profile == profile; });
    if (known) return kScratchBytes;
    throw Failure(code::kBadEngine, shared_->path + " has no optimization profile " + std::to_string(profile));
  }
  StageType type(const char* tensor) const override { return typeOf(shared_->tensor(tensor).dtype); }
  StageShape shape(const char* tensor) const override {
    StageShape shape;
    for (const int64_t extent : shared_->tensor(tensor).shape) shape.axes[shape.rank++] = extent;
    return shape;
  }
  const std::string& path() const override { return shared_->path; }

  std::unique_ptr<StageContext> createContext(int profile, Activations activations, cudaStream_t) override {
    if (capturing()) throw Failure(code::kDeviceFailed, "a context cannot be made during a capture");
    if (activations.bytes < kScratchBytes) throw Failure(code::kBadEngine, "too little memory for activations");
    return std::make_unique<Context>(ContextState{shared_, profile, activations, {}, {}});
  }

 private:
  std::shared_ptr<const Shared> shared_;
};

}  // namespace

std::shared_ptr<StageEngine> openStage(const std::string& path, std::shared_ptr<StageRunner> runner) {
  return std::make_shared<Engine>(std::make_shared<const Shared>(Shared{path, readEngine(path), std::move(runner)}));
}

}  // namespace rvos::simulated
