// See model.h.
#include "model.h"

#include <cstring>
#include <utility>

namespace rvos {

namespace {

/// Frees with a function of the library when it goes out of scope.
template <typename T>
class Owned {
 public:
  explicit Owned(void (*release)(T*)) : release_(release) {}
  ~Owned() {
    if (value_) release_(value_);
  }
  Owned(const Owned&) = delete;
  Owned& operator=(const Owned&) = delete;
  T** out() { return &value_; }
  T* get() const { return value_; }
  T* give() { return std::exchange(value_, nullptr); }

 private:
  void (*release_)(T*);
  T* value_ = nullptr;
};

void reshape(const OpenVinoLibrary& library, const ov_model_t* model, const OpenVinoModel::Shapes& shapes) {
  if (shapes.empty()) return;
  std::vector<const char*> names;
  std::vector<std::vector<ov_dimension_t>> dimensions;
  std::vector<ov_partial_shape_t> partial;
  for (const auto& [name, shape] : shapes) {
    names.push_back(name.c_str());
    std::vector<ov_dimension_t>& sizes = dimensions.emplace_back();
    for (const int64_t size : shape) sizes.push_back({size, size});
  }
  for (auto& sizes : dimensions) {
    const auto rank = static_cast<int64_t>(sizes.size());
    partial.push_back({{rank, rank}, sizes.data()});
  }
  library.check(library.model_reshape(model, names.data(), partial.data(), names.size()), "its shapes");
}

}  // namespace

std::unique_ptr<OpenVinoModel> OpenVinoModel::compile(std::shared_ptr<OpenVinoLibrary> library,
                                                      const std::string& graph, const Shapes& shapes,
                                                      const Properties& properties) {
  const OpenVinoLibrary& api = *library;
  Owned<ov_model_t> model(api.model_free);
  api.check(api.core_read_model(api.core(), graph.c_str(), nullptr, model.out()), graph);
  reshape(api, model.get(), shapes);
  for (const auto& [key, value] : properties) library->setProperty(key, value);
  Owned<ov_compiled_model_t> compiled(api.compiled_model_free);
  api.check(api.core_compile_model(api.core(), model.get(), "CPU", 0, compiled.out()), graph);
  return std::unique_ptr<OpenVinoModel>(new OpenVinoModel(std::move(library), compiled.give()));
}

std::unique_ptr<OpenVinoModel> OpenVinoModel::import(std::shared_ptr<OpenVinoLibrary> library, const char* bytes,
                                                     size_t length, const Properties& properties) {
  const OpenVinoLibrary& api = *library;
  for (const auto& [key, value] : properties) library->setProperty(key, value);
  Owned<ov_compiled_model_t> compiled(api.compiled_model_free);
  std::unique_ptr<char[]> stored(new char[length]);
  std::memcpy(stored.get(), bytes, length);
  api.check(api.core_import_model(api.core(), stored.get(), length, "CPU", compiled.out()), "the stored model");
  return std::unique_ptr<OpenVinoModel>(new OpenVinoModel(std::move(library), compiled.give(), std::move(stored)));
}

OpenVinoModel::OpenVinoModel(std::shared_ptr<OpenVinoLibrary> library, ov_compiled_model_t* compiled,
                             std::unique_ptr<char[]> stored)
    : library_(std::move(library)), stored_(std::move(stored)), compiled_(compiled) {
  const OpenVinoLibrary& api = *library_;
  try {
    size_t count = 0;
    api.check(api.compiled_model_outputs_size(compiled_, &count), "its outputs");
    for (size_t i = 0; i < count; ++i) {
      Owned<ov_output_const_port_t> port(api.output_const_port_free);
      api.check(api.compiled_model_output_by_index(compiled_, i, port.out()), "an output");
      OpenVinoOutput& output = outputs_.emplace_back();
      char* name = nullptr;
      api.check(api.port_get_any_name(port.get(), &name), "an output's name");
      output.name = api.take(name);
      api.check(api.port_get_element_type(port.get(), &output.type), "an output's type");
      ov_partial_shape_t shape{};
      api.check(api.port_get_partial_shape(port.get(), &shape), "an output's shape");
      for (int64_t d = 0; d < shape.rank.max && shape.dims; ++d) {
        output.shape.push_back(shape.dims[d].min == shape.dims[d].max ? shape.dims[d].max : -1);
      }
      api.partial_shape_free(&shape);
    }
    api.check(api.compiled_model_create_infer_request(compiled_, &request_), "a request");
  } catch (...) {
    api.compiled_model_free(compiled_);
    throw;
  }
}

OpenVinoModel::~OpenVinoModel() {
  library_->infer_request_free(request_);
  library_->compiled_model_free(compiled_);
}

std::string OpenVinoModel::property(const std::string& key) const {
  char* value = nullptr;
  library_->check(library_->compiled_model_get_property(compiled_, key.c_str(), &value), key);
  return library_->take(value);
}

void OpenVinoModel::exportTo(const std::string& file) const {
  library_->check(library_->compiled_model_export_model(compiled_, file.c_str()), file);
}

void OpenVinoModel::run(const std::vector<OpenVinoTensor>& inputs, const std::vector<OpenVinoTensor>& outputs) {
  const OpenVinoLibrary& api = *library_;
  for (const OpenVinoTensor& tensor : inputs) set(tensor);
  for (const OpenVinoTensor& tensor : outputs) set(tensor);
  if (cancelled_) throw OpenVinoCancelled();
  api.check(api.infer_request_start_async(request_), "a run");
  // One that came between the question and the start would have ended nothing.
  if (cancelled_) api.infer_request_cancel(request_);
  const ov_status_e status = api.infer_request_wait(request_);
  if (status == kOpenVinoCancelled || (cancelled_ && status != kOpenVinoOk)) throw OpenVinoCancelled();
  api.check(status, "a run");
}

void OpenVinoModel::cancel() {
  cancelled_ = true;
  library_->infer_request_cancel(request_);
}

void OpenVinoModel::set(const OpenVinoTensor& tensor) {
  const OpenVinoLibrary& api = *library_;
  std::vector<int64_t> sizes = tensor.shape;
  const ov_shape_t shape{static_cast<int64_t>(sizes.size()), sizes.data()};
  Owned<ov_tensor_t> view(api.tensor_free);
  api.check(api.tensor_create_from_host_ptr(tensor.type, shape, tensor.data, view.out()), tensor.name);
  api.check(api.infer_request_set_tensor(request_, tensor.name.c_str(), view.get()), tensor.name);
}

OpenVinoTensor OpenVinoModel::output(const std::string& name, size_t& bytes) const {
  const OpenVinoLibrary& api = *library_;
  Owned<ov_tensor_t> tensor(api.tensor_free);
  api.check(api.infer_request_get_tensor(request_, name.c_str(), tensor.out()), name);
  OpenVinoTensor found{name, kOpenVinoF32, {}, nullptr};
  api.check(api.tensor_get_element_type(tensor.get(), &found.type), name);
  ov_shape_t shape{};
  api.check(api.tensor_get_shape(tensor.get(), &shape), name);
  found.shape.assign(shape.dims, shape.dims + shape.rank);
  api.shape_free(&shape);
  api.check(api.tensor_get_byte_size(tensor.get(), &bytes), name);
  api.check(api.tensor_data(tensor.get(), &found.data), name);
  return found;
}

}  // namespace rvos
