// Work on libuv's thread pool behind a promise. The buffers it reads and writes are referenced until it has ended; they
// must not be transferred or resized meanwhile. The work itself sees plain memory only, never JavaScript.
#pragma once

#include <napi.h>

#include <functional>
#include <initializer_list>

namespace rvos {

/// Resolves to undefined, or rejects with an Error if `work` throws a std::exception.
Napi::Promise runJob(Napi::Env env, std::initializer_list<Napi::Value> buffers, std::function<void()> work);

/// The same for any number of buffers; resolves to what `result` makes, back on JavaScript's thread.
Napi::Promise runJob(Napi::Env env, Napi::Object buffers, std::function<void()> work,
                     std::function<Napi::Value(Napi::Env)> result);

}  // namespace rvos
