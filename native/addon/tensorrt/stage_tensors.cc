// See stage_tensors.h.
#include "stage_tensors.h"

#include <cstring>
#include <string>
#include <utility>

#include "../../tensorrt/failure.h"
#include "fields.h"

namespace rvos::tensorrt {

namespace {

struct Kind {
  const char* name;
  StageType type;
  napi_typedarray_type array;
};

constexpr Kind kKinds[] = {{"float32", StageType::Float32, napi_float32_array},
                           {"float16", StageType::Float16, napi_uint16_array},
                           {"int32", StageType::Int32, napi_int32_array},
                           {"int64", StageType::Int64, napi_bigint64_array}};

const Kind& kindOf(const std::string& name, const std::string& what) {
  for (const Kind& kind : kKinds) {
    if (name == kind.name) return kind;
  }
  throw Failure(code::kBadArgument, what + " is " + name + ", must be float32, float16, int32 or int64");
}

const Kind& kindOf(StageType type) {
  for (const Kind& kind : kKinds) {
    if (kind.type == type) return kind;
  }
  return kKinds[0];
}

HostTensor readTensor(const Napi::Value& value, const std::string& what) {
  constexpr int64_t kMostElements = int64_t{1} << 40;
  const Fields fields(value, what);
  const Kind& kind = kindOf(fields.text("dtype"), fields.what("dtype"));
  HostTensor tensor;
  tensor.type = kind.type;
  int64_t elements = 1;
  const Napi::Array shape = fields.list("shape");
  for (uint32_t i = 0; i < shape.Length(); ++i) {
    const int64_t extent = readWhole(shape.Get(i), place(fields.what("shape"), i), 0, 1 << 30);
    tensor.shape.push_back(extent);
    elements *= extent;
    if (elements > kMostElements) throw Failure(code::kBadArgument, fields.what("shape") + " is too large");
  }
  const Napi::Value data = fields.value("data");
  if (!data.IsTypedArray() || data.As<Napi::TypedArray>().TypedArrayType() != kind.array) {
    throw Failure(code::kBadArgument, fields.what("data") + " is no typed array that holds " + kind.name);
  }
  const auto array = data.As<Napi::TypedArray>();
  if (array.ElementLength() != static_cast<size_t>(elements)) {
    throw Failure(code::kBadArgument, fields.what("data") + " has " + std::to_string(array.ElementLength()) +
                                          " elements, its shape " + std::to_string(elements));
  }
  const auto* bytes = static_cast<const uint8_t*>(array.ArrayBuffer().Data()) + array.ByteOffset();
  tensor.data.assign(bytes, bytes + array.ByteLength());
  return tensor;
}

}  // namespace

HostTensors readTensors(const Napi::Value& value, const std::string& what) {
  if (!value.IsObject() || value.IsArray()) throw Failure(code::kBadArgument, what + " must be an object");
  const Napi::Object record = value.As<Napi::Object>();
  const Napi::Array names = record.GetPropertyNames();
  HostTensors tensors;
  for (uint32_t i = 0; i < names.Length(); ++i) {
    const std::string name = names.Get(i).ToString();
    tensors[name] = readTensor(record.Get(name), what + "." + name);
  }
  return tensors;
}

Napi::Object tensorsToJs(Napi::Env env, const HostTensors& tensors) {
  Napi::Object record = Napi::Object::New(env);
  for (const auto& [name, tensor] : tensors) {
    const Kind& kind = kindOf(tensor.type);
    Napi::ArrayBuffer buffer = Napi::ArrayBuffer::New(env, tensor.data.size());
    if (!tensor.data.empty()) std::memcpy(buffer.Data(), tensor.data.data(), tensor.data.size());
    napi_value array;
    const napi_status status =
        napi_create_typedarray(env, kind.array, tensor.data.size() / bytesOf(tensor.type), buffer, 0, &array);
    if (status != napi_ok) throw Napi::Error::New(env);
    Napi::Array shape = Napi::Array::New(env, tensor.shape.size());
    for (uint32_t i = 0; i < tensor.shape.size(); ++i) shape.Set(i, static_cast<double>(tensor.shape[i]));
    Napi::Object entry = Napi::Object::New(env);
    entry.Set("dtype", kind.name);
    entry.Set("shape", shape);
    entry.Set("data", Napi::Value(env, array));
    record.Set(name, entry);
  }
  return record;
}

}  // namespace rvos::tensorrt
