// See values.h.
#include "values.h"

#include <cmath>
#include <limits>

#include "../../tensorrt/failure.h"

namespace rvos::tensorrt {

namespace {

[[noreturn]] void refuse(const std::string& what, const char* expected) {
  throw Failure(code::kBadArgument, what + " must be " + expected);
}

/// A whole number within `Integer`.
template <typename Integer>
Integer readInteger(const Napi::Value& value, const std::string& what) {
  if (!value.IsNumber()) refuse(what, "a whole number");
  const double number = value.As<Napi::Number>().DoubleValue();
  // 2^53: larger ones are not whole numbers of JavaScript.
  constexpr double kLargest = sizeof(Integer) > 4 ? 9007199254740992.0 : 2147483647.0;
  if (!(std::abs(number) <= kLargest) || number != std::floor(number)) refuse(what, "a whole number");
  return static_cast<Integer>(number);
}

template <typename Integer>
std::vector<Integer> readIntegerList(const Napi::Value& value, const std::string& what) {
  if (!value.IsArray()) refuse(what, "a list of whole numbers");
  const auto array = value.As<Napi::Array>();
  std::vector<Integer> list;
  for (uint32_t i = 0; i < array.Length(); ++i) {
    list.push_back(readInteger<Integer>(array.Get(i), what + "[" + std::to_string(i) + "]"));
  }
  return list;
}

Profile readProfile(const Napi::Value& value, const std::string& what) {
  const Napi::Object record = readObject(value, what);
  const Napi::Array names = record.GetPropertyNames();
  Profile profile;
  for (uint32_t i = 0; i < names.Length(); ++i) {
    const std::string name = names.Get(i).ToString();
    const std::string where = what + "." + name;
    const Napi::Object range = readObject(record.Get(name), where);
    profile[name] = {readIntegerList<std::int64_t>(range.Get("min"), where + ".min"),
                     readIntegerList<std::int64_t>(range.Get("opt"), where + ".opt"),
                     readIntegerList<std::int64_t>(range.Get("max"), where + ".max")};
  }
  return profile;
}

Napi::Array shapeToJs(Napi::Env env, const std::vector<std::int64_t>& shape) {
  Napi::Array array = Napi::Array::New(env, shape.size());
  for (uint32_t i = 0; i < shape.size(); ++i) array.Set(i, static_cast<double>(shape[i]));
  return array;
}

}  // namespace

std::string readString(const Napi::Value& value, const std::string& what) {
  if (!value.IsString()) refuse(what, "a string");
  const std::string text = value.As<Napi::String>().Utf8Value();
  if (text.empty() || text.find('\0') != std::string::npos) refuse(what, "a string that is not empty");
  return text;
}

std::string readOptionalString(const Napi::Value& value, const std::string& what) {
  return value.IsUndefined() ? "" : readString(value, what);
}

Napi::Object readObject(const Napi::Value& value, const std::string& what) {
  if (!value.IsObject() || value.IsArray()) refuse(what, "an object");
  return value.As<Napi::Object>();
}

std::vector<int> readIntegers(const Napi::Value& value, const std::string& what) {
  return value.IsUndefined() ? std::vector<int>{} : readIntegerList<int>(value, what);
}

std::vector<Profile> readProfiles(const Napi::Value& value, const std::string& what) {
  if (!value.IsArray()) refuse(what, "a list of profiles");
  const auto array = value.As<Napi::Array>();
  std::vector<Profile> profiles;
  for (uint32_t i = 0; i < array.Length(); ++i) {
    profiles.push_back(readProfile(array.Get(i), what + "[" + std::to_string(i) + "]"));
  }
  return profiles;
}

Napi::Array tensorsToJs(Napi::Env env, const std::vector<TensorDescription>& tensors) {
  Napi::Array array = Napi::Array::New(env, tensors.size());
  uint32_t position = 0;
  for (const TensorDescription& tensor : tensors) {
    Napi::Object entry = Napi::Object::New(env);
    entry.Set("name", tensor.name);
    entry.Set("mode", tensor.input ? "input" : "output");
    entry.Set("dtype", tensor.dtype);
    entry.Set("shape", shapeToJs(env, tensor.shape));
    array.Set(position++, entry);
  }
  return array;
}

Napi::Array profilesToJs(Napi::Env env, const std::vector<Profile>& profiles) {
  Napi::Array array = Napi::Array::New(env, profiles.size());
  uint32_t position = 0;
  for (const Profile& profile : profiles) {
    Napi::Object record = Napi::Object::New(env);
    for (const auto& [name, range] : profile) {
      Napi::Object entry = Napi::Object::New(env);
      entry.Set("min", shapeToJs(env, range.min));
      entry.Set("opt", shapeToJs(env, range.opt));
      entry.Set("max", shapeToJs(env, range.max));
      record.Set(name, entry);
    }
    array.Set(position++, record);
  }
  return array;
}

Napi::Array stringsToJs(Napi::Env env, const std::vector<std::string>& strings) {
  Napi::Array array = Napi::Array::New(env, strings.size());
  uint32_t position = 0;
  for (const std::string& text : strings) array.Set(position++, text);
  return array;
}

}  // namespace rvos::tensorrt
