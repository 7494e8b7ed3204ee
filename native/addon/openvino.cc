// OpenVINO as JavaScript sees it: `OpenVinoLibrary` in src/native/openvino-library.ts. Objects made of functions that
// share what they work on; it is freed with the last of them.
#include <algorithm>
#include <cstring>
#include <memory>

#include "../openvino/model.h"
#include "addon.h"
#include "arguments.h"
#include "promise_job.h"

namespace rvos {

namespace {

/// What a model's functions share. Touched by JavaScript's thread, and by one job at a time.
struct HeldModel {
  std::unique_ptr<OpenVinoModel> model;
  bool busy = false;
};

using Function = std::function<Napi::Value(const Napi::CallbackInfo&)>;

void add(Napi::Object object, const char* name, Function function) {
  object.Set(name, Napi::Function::New(object.Env(), std::move(function), name));
}

/// Runs it, and an exception of the library becomes JavaScript's.
template <typename F>
auto guarded(Napi::Env env, F action) {
  try {
    return action();
  } catch (const Napi::Error&) {
    throw;
  } catch (const std::exception& error) {
    throw Napi::Error::New(env, error.what());
  }
}

std::string readText(const Napi::Value& value, const char* what) {
  if (!value.IsString()) throwType(value.Env(), std::string(what) + " must be a string");
  return value.As<Napi::String>().Utf8Value();
}

Napi::Object readObject(const Napi::Value& value, const char* what) {
  if (!value.IsObject()) throwType(value.Env(), std::string(what) + " must be an object");
  return value.As<Napi::Object>();
}

std::vector<int64_t> readShape(const Napi::Value& value, const std::string& what) {
  if (!value.IsArray()) throwType(value.Env(), what + " must be an array");
  const auto list = value.As<Napi::Array>();
  std::vector<int64_t> shape;
  for (uint32_t i = 0; i < list.Length(); ++i) shape.push_back(readExtent(list.Get(i), what));
  return shape;
}

const char* typeName(ov_element_type_e type) {
  switch (type) {
    case kOpenVinoF32:
      return "F32";
    case kOpenVinoI32:
      return "I32";
    case kOpenVinoI64:
      return "I64";
  }
  return "another";
}

size_t elementBytes(ov_element_type_e type) { return type == kOpenVinoI64 ? 8 : 4; }

/// { name, dtype, shape, data }: data is of the type and at least as long as the shape says.
OpenVinoTensor readTensor(const Napi::Value& value) {
  const Napi::Object tensor = readObject(value, "openVino: a tensor");
  const Napi::Env env = value.Env();
  const std::string name = readText(tensor.Get("name"), "openVino: a tensor's name");
  const std::vector<int64_t> shape = readShape(tensor.Get("shape"), "openVino: shape of " + name);
  const Napi::Value data = tensor.Get("data");
  if (!data.IsTypedArray()) throwType(env, "openVino: data of " + name + " must be a typed array");
  const auto array = data.As<Napi::TypedArray>();
  ov_element_type_e type;
  switch (array.TypedArrayType()) {
    case napi_float32_array:
      type = kOpenVinoF32;
      break;
    case napi_int32_array:
      type = kOpenVinoI32;
      break;
    case napi_bigint64_array:
      type = kOpenVinoI64;
      break;
    default:
      throwType(env, "openVino: data of " + name + " must be float32, int32 or int64");
  }
  size_t elements = 1;
  for (const int64_t size : shape) {
    elements = product(env, "openVino: size of " + name, {elements, static_cast<size_t>(size)});
  }
  if (array.ElementLength() < elements) {
    throwRange(env, "openVino: " + name + " has " + std::to_string(array.ElementLength()) + " elements, needs " +
                        std::to_string(elements));
  }
  auto* bytes = static_cast<uint8_t*>(array.ArrayBuffer().Data()) + array.ByteOffset();
  return {name, type, shape, bytes};
}

std::vector<OpenVinoTensor> readTensors(const Napi::Value& value, const char* what) {
  if (!value.IsArray()) throwType(value.Env(), std::string(what) + " must be an array");
  const auto list = value.As<Napi::Array>();
  std::vector<OpenVinoTensor> tensors;
  for (uint32_t i = 0; i < list.Length(); ++i) tensors.push_back(readTensor(list.Get(i)));
  return tensors;
}

Napi::Array shapeOf(Napi::Env env, const std::vector<int64_t>& shape) {
  Napi::Array sizes = Napi::Array::New(env, shape.size());
  for (uint32_t d = 0; d < shape.size(); ++d) sizes.Set(d, Napi::Number::New(env, static_cast<double>(shape[d])));
  return sizes;
}

Napi::Object described(Napi::Env env, const OpenVinoOutput& output) {
  Napi::Object object = Napi::Object::New(env);
  object.Set("name", output.name);
  object.Set("dtype", typeName(output.type));
  object.Set("shape", shapeOf(env, output.shape));
  return object;
}

/// A copy of an output that no memory was given for.
Napi::Object copied(Napi::Env env, const OpenVinoModel& model, const std::string& name) {
  size_t bytes = 0;
  const OpenVinoTensor tensor = model.output(name, bytes);
  const size_t elements = bytes / elementBytes(tensor.type);
  Napi::ArrayBuffer buffer = Napi::ArrayBuffer::New(env, bytes);
  if (bytes > 0) std::memcpy(buffer.Data(), tensor.data, bytes);
  Napi::Object object = described(env, {name, tensor.type, tensor.shape});
  if (tensor.type == kOpenVinoF32) object.Set("data", Napi::Float32Array::New(env, elements, buffer, 0));
  if (tensor.type == kOpenVinoI32) object.Set("data", Napi::Int32Array::New(env, elements, buffer, 0));
  if (tensor.type == kOpenVinoI64) object.Set("data", Napi::BigInt64Array::New(env, elements, buffer, 0));
  return object;
}

OpenVinoModel& idle(Napi::Env env, const HeldModel& held) {
  if (!held.model) throw Napi::Error::New(env, "openVino: the model was released");
  if (held.busy) throw Napi::Error::New(env, "openVino: the model is running");
  return *held.model;
}

/// infer(inputs, outputs): tensors in memory of the caller's → the outputs that no memory was given for.
Napi::Value infer(const Napi::CallbackInfo& info, const std::shared_ptr<HeldModel>& held) {
  OpenVinoModel& model = idle(info.Env(), *held);
  const auto inputs = readTensors(info[0], "openVino: inputs");
  const auto outputs = readTensors(info[1], "openVino: outputs");
  Napi::Array buffers = Napi::Array::New(info.Env(), 2);
  buffers.Set(0u, info[0]);
  buffers.Set(1u, info[1]);
  held->busy = true;
  // Runs on JavaScript's thread when the job has ended, however: a destructor of what the job holds.
  const auto ended = std::shared_ptr<void>(nullptr, [held](void*) {
    held->busy = false;
    if (held->model) held->model->settle();
  });
  return runJob(
      info.Env(), buffers, [&model, inputs, outputs] { model.run(inputs, outputs); },
      [&model, outputs, ended](Napi::Env env) -> Napi::Value {
        Napi::Array others = Napi::Array::New(env);
        uint32_t count = 0;
        for (const OpenVinoOutput& output : model.outputs()) {
          const auto same = [&](const OpenVinoTensor& tensor) { return tensor.name == output.name; };
          if (std::none_of(outputs.begin(), outputs.end(), same)) others.Set(count++, copied(env, model, output.name));
        }
        return others;
      });
}

Napi::Object modelObject(Napi::Env env, std::unique_ptr<OpenVinoModel> model) {
  auto held = std::make_shared<HeldModel>();
  held->model = std::move(model);
  Napi::Object object = Napi::Object::New(env);
  const auto& outputs = held->model->outputs();
  Napi::Array list = Napi::Array::New(env, outputs.size());
  for (uint32_t i = 0; i < outputs.size(); ++i) list.Set(i, described(env, outputs[i]));
  object.Set("outputs", list);
  add(object, "property", [held](const Napi::CallbackInfo& info) -> Napi::Value {
    const std::string key = readText(info[0], "openVino: the property");
    return Napi::String::New(info.Env(), guarded(info.Env(), [&] { return idle(info.Env(), *held).property(key); }));
  });
  add(object, "exportTo", [held](const Napi::CallbackInfo& info) -> Napi::Value {
    const std::string file = readText(info[0], "openVino: the file");
    OpenVinoModel& exported = idle(info.Env(), *held);
    held->busy = true;
    const auto ended = std::shared_ptr<void>(nullptr, [held](void*) { held->busy = false; });
    return runJob(
        info.Env(), Napi::Object::New(info.Env()), [&exported, file] { exported.exportTo(file); },
        [ended](Napi::Env env) { return env.Undefined(); });
  });
  add(object, "infer", [held](const Napi::CallbackInfo& info) { return infer(info, held); });
  add(object, "cancel", [held](const Napi::CallbackInfo& info) -> Napi::Value {
    if (held->model && held->busy) held->model->cancel();
    return info.Env().Undefined();
  });
  add(object, "release", [held](const Napi::CallbackInfo& info) -> Napi::Value {
    if (held->model) idle(info.Env(), *held);
    held->model.reset();
    return info.Env().Undefined();
  });
  return object;
}

/// A model that a job makes: { promise of the model's object }.
Napi::Value making(Napi::Env env, Napi::Object buffers, std::function<std::unique_ptr<OpenVinoModel>()> make) {
  auto made = std::make_shared<std::unique_ptr<OpenVinoModel>>();
  return runJob(
      env, buffers, [made, make] { *made = make(); },
      [made](Napi::Env env) -> Napi::Value { return modelObject(env, std::move(*made)); });
}

OpenVinoModel::Properties readProperties(const Napi::Value& value) {
  OpenVinoModel::Properties properties;
  for (const auto& [key, property] : readObject(value, "openVino: properties")) {
    properties[key.As<Napi::String>().Utf8Value()] =
        readText(static_cast<Napi::Value>(property), "openVino: a property");
  }
  return properties;
}

Napi::Value compileModel(const Napi::CallbackInfo& info, const std::shared_ptr<OpenVinoLibrary>& library) {
  const Napi::Object job = readObject(info[0], "openVino: the job");
  const std::string graph = readText(job.Get("graph"), "openVino: graph");
  OpenVinoModel::Shapes shapes;
  const Napi::Object wanted = readObject(job.Get("shapes"), "openVino: shapes");
  for (const auto& [name, value] : wanted) {
    const std::string key = name.As<Napi::String>().Utf8Value();
    shapes[key] = readShape(value, "openVino: shape of " + key);
  }
  const auto properties = readProperties(job.Get("properties"));
  return making(info.Env(), Napi::Object::New(info.Env()),
                [=] { return OpenVinoModel::compile(library, graph, shapes, properties); });
}

Napi::Value importModel(const Napi::CallbackInfo& info, const std::shared_ptr<OpenVinoLibrary>& library) {
  const Napi::Uint8Array bytes = readBytes(info[0], "openVino: the stored model", 1);
  const auto properties = readProperties(info[1]);
  Napi::Array buffers = Napi::Array::New(info.Env(), 1);
  buffers.Set(0u, bytes);
  return making(info.Env(), buffers, [library, properties, from = bytes.Data(), length = bytes.ByteLength()] {
    return OpenVinoModel::import(library, reinterpret_cast<const char*>(from), length, properties);
  });
}

}  // namespace

/// openVino(library, properties): opens it and sets the properties of its CPU plugin.
Napi::Value openVino(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  const std::string path = readText(info[0], "openVino: the library");
  const auto properties = readProperties(info[1]);
  const auto library = guarded(env, [&] {
    auto opened = OpenVinoLibrary::open(path);
    for (const auto& [key, value] : properties) opened->setProperty(key, value);
    return opened;
  });
  Napi::Object object = Napi::Object::New(env);
  object.Set("version", library->version());
  add(object, "property", [library](const Napi::CallbackInfo& call) -> Napi::Value {
    const std::string key = readText(call[0], "openVino: the property");
    return Napi::String::New(call.Env(), guarded(call.Env(), [&] { return library->property(key); }));
  });
  add(object, "compile", [library](const Napi::CallbackInfo& call) { return compileModel(call, library); });
  add(object, "importModel", [library](const Napi::CallbackInfo& call) { return importModel(call, library); });
  return object;
}

}  // namespace rvos
