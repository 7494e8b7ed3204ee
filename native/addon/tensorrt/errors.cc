// See errors.h.
#include "errors.h"

namespace rvos::tensorrt {

Napi::Error toError(Napi::Env env, const Failure& failure) {
  Napi::Error error = Napi::Error::New(env, failure.what());
  error.Set("code", failure.code());
  return error;
}

}  // namespace rvos::tensorrt
