// Values of the contract's builder part between JavaScript and C++. What is not of the contract's form is BAD_ARGUMENT.
#pragma once

#include <napi.h>

#include <string>
#include <vector>

#include "../../tensorrt/engines/tensor_description.h"

namespace rvos::tensorrt {

/// `what` names the value in messages.
std::string readString(const Napi::Value& value, const std::string& what);
Napi::Object readObject(const Napi::Value& value, const std::string& what);

/// Absent gives the empty string.
std::string readOptionalString(const Napi::Value& value, const std::string& what);

/// Absent gives an empty list.
std::vector<int> readIntegers(const Napi::Value& value, const std::string& what);

std::vector<Profile> readProfiles(const Napi::Value& value, const std::string& what);

Napi::Array tensorsToJs(Napi::Env env, const std::vector<TensorDescription>& tensors);
Napi::Array profilesToJs(Napi::Env env, const std::vector<Profile>& profiles);
Napi::Array stringsToJs(Napi::Env env, const std::vector<std::string>& strings);

}  // namespace rvos::tensorrt
