// Checked reading of arguments. Every reader throws a JavaScript TypeError (wrong kind) or RangeError (wrong size)
// whose message names the function, the argument and what was expected.
#pragma once

#include <napi.h>

#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <string>
#include <vector>

namespace rvos {

/// Longest side in pixels, and most frames or kernel weights. Products of three of them and a 4 fit in 63 bits.
constexpr int kMaxExtent = 1 << 19;
/// Most pixels of a mask (16,384 × 16,384): what a stored size can make a decoder allocate.
constexpr int64_t kMaxMaskPixels = int64_t{1} << 28;

[[noreturn]] void throwType(Napi::Env env, const std::string& message);
[[noreturn]] void throwRange(Napi::Env env, const std::string& message);

/// Product of extents that were each checked; throws RangeError if it does not fit in 53 bits.
size_t product(Napi::Env env, const std::string& what, std::initializer_list<size_t> factors);

/// An integer within 1…kMaxExtent.
int readExtent(const Napi::Value& value, const std::string& what);

/// Bytes of a bit-packed mask; RangeError when it has more than kMaxMaskPixels pixels.
size_t maskBytes(Napi::Env env, const std::string& what, int height, int width);

/// A Uint8Array (or Buffer) of at least `length` bytes.
Napi::Uint8Array readBytes(const Napi::Value& value, const std::string& what, size_t length);

/// The one object argument of a job, read field by field.
class JobArguments {
 public:
  JobArguments(const Napi::CallbackInfo& info, const char* name);

  Napi::Env env() const { return job_.Env(); }
  int extent(const char* field) const;
  bool flag(const char* field) const;
  /// A finite number.
  double number(const char* field) const;
  /// An array of three finite numbers.
  std::vector<float> triple(const char* field) const;
  Napi::Uint8Array bytes(const char* field, size_t length) const;
  Napi::Float32Array floats(const char* field, size_t length) const;
  /// A Uint16Array (float16 bits) or a Float32Array of at least `length` elements.
  Napi::TypedArray halvesOrFloats(const char* field, size_t length) const;
  /// A copy of an Int32Array of exactly `length` elements within lowest…highest.
  std::vector<int32_t> integers(const char* field, size_t length, int32_t lowest, int32_t highest) const;
  /// The place of a string among `choices`.
  int choice(const char* field, std::initializer_list<const char*> choices) const;
  /// Whether the field is there.
  bool has(const char* field) const;
  Napi::Array list(const char* field) const;
  std::string what(const char* field) const;

 private:
  Napi::Object job_;
  std::string name_;
};

}  // namespace rvos
