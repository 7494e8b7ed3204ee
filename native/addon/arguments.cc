// See arguments.h.
#include "arguments.h"

#include <cmath>

namespace rvos {

namespace {

std::string atLeast(const std::string& what, const char* unit, size_t length, size_t required) {
  return what + " has " + std::to_string(length) + " " + unit + ", needs " + std::to_string(required);
}

double readFinite(const Napi::Value& value, const std::string& what) {
  if (!value.IsNumber()) throwType(value.Env(), what + " must be a number");
  const double number = value.As<Napi::Number>().DoubleValue();
  if (!std::isfinite(number)) throwRange(value.Env(), what + " must be finite");
  return number;
}

bool isTyped(const Napi::Value& value, napi_typedarray_type type) {
  return value.IsTypedArray() && value.As<Napi::TypedArray>().TypedArrayType() == type;
}

}  // namespace

void throwType(Napi::Env env, const std::string& message) { throw Napi::TypeError::New(env, message); }

void throwRange(Napi::Env env, const std::string& message) { throw Napi::RangeError::New(env, message); }

size_t product(Napi::Env env, const std::string& what, std::initializer_list<size_t> factors) {
  constexpr size_t kLimit = size_t{1} << 53;
  size_t result = 1;
  for (const size_t factor : factors) {
    if (factor != 0 && result > kLimit / factor) throwRange(env, what + " is too large");
    result *= factor;
  }
  return result;
}

int readExtent(const Napi::Value& value, const std::string& what) {
  if (!value.IsNumber()) throwType(value.Env(), what + " must be a number");
  const double number = value.As<Napi::Number>().DoubleValue();
  if (!(number >= 1 && number <= kMaxExtent) || number != std::floor(number)) {
    throwRange(value.Env(), what + " must be an integer from 1 to " + std::to_string(kMaxExtent));
  }
  return static_cast<int>(number);
}

size_t maskBytes(Napi::Env env, const std::string& what, int height, int width) {
  const int64_t pixels = static_cast<int64_t>(height) * width;
  if (pixels > kMaxMaskPixels) {
    throwRange(env, what + " has more than " + std::to_string(kMaxMaskPixels) + " pixels");
  }
  return static_cast<size_t>((pixels + 7) / 8);
}

Napi::Uint8Array readBytes(const Napi::Value& value, const std::string& what, size_t length) {
  if (!isTyped(value, napi_uint8_array)) throwType(value.Env(), what + " must be a Uint8Array");
  const auto array = value.As<Napi::Uint8Array>();
  if (array.ByteLength() < length) throwRange(value.Env(), atLeast(what, "bytes", array.ByteLength(), length));
  return array;
}

JobArguments::JobArguments(const Napi::CallbackInfo& info, const char* name) : name_(name) {
  if (!info[0].IsObject()) throwType(info.Env(), name_ + ": expected an object of arguments");
  job_ = info[0].As<Napi::Object>();
}

std::string JobArguments::what(const char* field) const { return name_ + ": " + field; }

int JobArguments::extent(const char* field) const { return readExtent(job_.Get(field), what(field)); }

bool JobArguments::flag(const char* field) const {
  const Napi::Value value = job_.Get(field);
  if (!value.IsBoolean()) throwType(env(), what(field) + " must be a boolean");
  return value.As<Napi::Boolean>().Value();
}

double JobArguments::number(const char* field) const { return readFinite(job_.Get(field), what(field)); }

std::vector<float> JobArguments::triple(const char* field) const {
  const Napi::Array array = list(field);
  if (array.Length() != 3) throwRange(env(), what(field) + " must have 3 numbers");
  std::vector<float> result;
  for (uint32_t i = 0; i < 3; ++i) result.push_back(static_cast<float>(readFinite(array.Get(i), what(field))));
  return result;
}

Napi::Uint8Array JobArguments::bytes(const char* field, size_t length) const {
  return readBytes(job_.Get(field), what(field), length);
}

Napi::Float32Array JobArguments::floats(const char* field, size_t length) const {
  const Napi::Value value = job_.Get(field);
  if (!isTyped(value, napi_float32_array)) throwType(env(), what(field) + " must be a Float32Array");
  const auto array = value.As<Napi::Float32Array>();
  if (array.ElementLength() < length) {
    throwRange(env(), atLeast(what(field), "floats", array.ElementLength(), length));
  }
  return array;
}

Napi::TypedArray JobArguments::halvesOrFloats(const char* field, size_t length) const {
  const Napi::Value value = job_.Get(field);
  if (!isTyped(value, napi_uint16_array) && !isTyped(value, napi_float32_array)) {
    throwType(env(), what(field) + " must be a Uint16Array or a Float32Array");
  }
  const auto array = value.As<Napi::TypedArray>();
  if (array.ElementLength() < length) {
    throwRange(env(), atLeast(what(field), "elements", array.ElementLength(), length));
  }
  return array;
}

std::vector<int32_t> JobArguments::integers(const char* field, size_t length, int32_t lowest, int32_t highest) const {
  const Napi::Value value = job_.Get(field);
  if (!isTyped(value, napi_int32_array)) throwType(env(), what(field) + " must be an Int32Array");
  const auto array = value.As<Napi::Int32Array>();
  if (array.ElementLength() != length) {
    throwRange(env(), atLeast(what(field), "integers", array.ElementLength(), length) + " exactly");
  }
  std::vector<int32_t> result(array.Data(), array.Data() + length);
  for (const int32_t element : result) {
    if (element < lowest || element > highest) {
      throwRange(env(), what(field) + " must lie within " + std::to_string(lowest) + " to " + std::to_string(highest));
    }
  }
  return result;
}

int JobArguments::choice(const char* field, std::initializer_list<const char*> choices) const {
  const Napi::Value value = job_.Get(field);
  const std::string text = value.IsString() ? value.As<Napi::String>().Utf8Value() : "";
  std::string names;
  int place = 0;
  for (const char* name : choices) {
    if (value.IsString() && text == name) return place;
    names += (place == 0 ? "" : ", ") + std::string(name);
    ++place;
  }
  throwType(env(), what(field) + " must be one of " + names);
}

bool JobArguments::has(const char* field) const { return !job_.Get(field).IsUndefined(); }

Napi::Array JobArguments::list(const char* field) const {
  const Napi::Value value = job_.Get(field);
  if (!value.IsArray()) throwType(env(), what(field) + " must be an array");
  return value.As<Napi::Array>();
}

}  // namespace rvos
