// See fields.h.
#include "fields.h"

#include <cmath>
#include <utility>

#include "../../tensorrt/failure.h"

namespace rvos::tensorrt {

namespace {

[[noreturn]] void refuse(const std::string& what, const std::string& expected) {
  throw Failure(code::kBadArgument, what + " must be " + expected);
}

template <typename Array>
Array readArray(const Napi::Value& value, const std::string& what, size_t length, napi_typedarray_type type,
                const char* name) {
  if (!value.IsTypedArray() || value.As<Napi::TypedArray>().TypedArrayType() != type) {
    refuse(what, std::string("a ") + name);
  }
  const Array array = value.As<Array>();
  if (array.ElementLength() < length) {
    throw Failure(code::kBadArgument, what + " has " + std::to_string(array.ElementLength()) + " elements, needs " +
                                          std::to_string(length));
  }
  return array;
}

}  // namespace

Fields::Fields(const Napi::Value& value, std::string what) : what_(std::move(what)) {
  if (!value.IsObject() || value.IsArray()) refuse(what_, "an object");
  object_ = value.As<Napi::Object>();
}

std::string Fields::what(const char* field) const { return what_ + "." + field; }

bool Fields::has(const char* field) const { return !object_.Get(field).IsUndefined(); }

int64_t Fields::whole(const char* field, int64_t least, int64_t most) const {
  return readWhole(object_.Get(field), what(field), least, most);
}

int Fields::integer(const char* field, int least, int most) const {
  return static_cast<int>(whole(field, least, most));
}

bool Fields::flag(const char* field) const {
  const Napi::Value value = object_.Get(field);
  if (!value.IsBoolean()) refuse(what(field), "a boolean");
  return value.As<Napi::Boolean>().Value();
}

std::string Fields::text(const char* field) const {
  const Napi::Value value = object_.Get(field);
  if (!value.IsString()) refuse(what(field), "a string");
  std::string text = value.As<Napi::String>().Utf8Value();
  if (text.empty() || text.find('\0') != std::string::npos) refuse(what(field), "a string that is not empty");
  return text;
}

std::vector<float> Fields::triple(const char* field) const {
  const Napi::Array array = list(field);
  if (array.Length() != 3) refuse(what(field), "three numbers");
  std::vector<float> numbers;
  for (uint32_t i = 0; i < 3; ++i) {
    const Napi::Value value = array.Get(i);
    if (!value.IsNumber() || !std::isfinite(value.As<Napi::Number>().DoubleValue())) {
      refuse(place(what(field), i), "a finite number");
    }
    numbers.push_back(value.As<Napi::Number>().FloatValue());
  }
  return numbers;
}

Fields Fields::object(const char* field) const { return Fields(object_.Get(field), what(field)); }

Napi::Array Fields::list(const char* field) const {
  const Napi::Value value = object_.Get(field);
  if (!value.IsArray()) refuse(what(field), "an array");
  return value.As<Napi::Array>();
}

std::string place(const std::string& list, uint32_t index) { return list + "[" + std::to_string(index) + "]"; }

Napi::Uint8Array readBytes(const Napi::Value& value, const std::string& what, size_t length) {
  return readArray<Napi::Uint8Array>(value, what, length, napi_uint8_array, "Uint8Array");
}

Napi::Float32Array readFloats(const Napi::Value& value, const std::string& what, size_t length) {
  return readArray<Napi::Float32Array>(value, what, length, napi_float32_array, "Float32Array");
}

Napi::BigInt64Array readLongs(const Napi::Value& value, const std::string& what, size_t length) {
  return readArray<Napi::BigInt64Array>(value, what, length, napi_bigint64_array, "BigInt64Array");
}

int64_t readWhole(const Napi::Value& value, const std::string& what, int64_t least, int64_t most) {
  const double number = value.IsNumber() ? value.As<Napi::Number>().DoubleValue() : std::nan("");
  if (!(number >= static_cast<double>(least) && number <= static_cast<double>(most)) || number != std::floor(number)) {
    refuse(what, "a whole number from " + std::to_string(least) + " to " + std::to_string(most));
  }
  return static_cast<int64_t>(number);
}

}  // namespace rvos::tensorrt
