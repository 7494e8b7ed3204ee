// See errors.h.
#include "errors.h"

#include <new>

namespace rvos::tensorrt {

Napi::Error toError(Napi::Env env, const Failure& failure) {
  Napi::Error error = Napi::Error::New(env, failure.what());
  error.Set("code", failure.code());
  return error;
}

Failure toFailure(const std::exception_ptr& thrown, const char* otherwise) {
  try {
    std::rethrow_exception(thrown);
  } catch (const Failure& failure) {
    return failure;
  } catch (const std::bad_alloc&) {
    return Failure(code::kOutOfMemory, "there is not enough memory");
  } catch (const std::exception& error) {
    return Failure(otherwise, error.what());
  } catch (...) {
    return Failure(otherwise, "something that is no exception was thrown");
  }
}

}  // namespace rvos::tensorrt
