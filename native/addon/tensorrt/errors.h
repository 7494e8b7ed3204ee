// How failures reach JavaScript: an Error with the `code` of the Failure and its message.
#pragma once

#include <napi.h>

#include <exception>
#include <utility>

#include "../../tensorrt/failure.h"

namespace rvos::tensorrt {

/// On the JavaScript thread only.
Napi::Error toError(Napi::Env env, const Failure& failure);

/// Runs `work`, throwing what it throws as an Error of JavaScript. For the body of an exported function.
template <typename Work>
auto guarded(Napi::Env env, Work&& work) {
  try {
    return std::forward<Work>(work)();
  } catch (const Napi::Error&) {
    throw;
  } catch (...) {
    throw toError(env, toFailure(std::current_exception(), code::kBadArgument));
  }
}

}  // namespace rvos::tensorrt
