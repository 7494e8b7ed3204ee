// Checked reading of the runtime's arguments. Every reader throws BAD_ARGUMENT whose message names the field and what was
// expected.
#pragma once

#include <napi.h>

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace rvos::tensorrt {

/// An object read field by field; `what` is where it stands, as `batch.windows[1]`.
class Fields {
 public:
  Fields(const Napi::Value& value, std::string what);

  Napi::Env env() const { return object_.Env(); }
  std::string what(const char* field) const;
  bool has(const char* field) const;
  Napi::Value value(const char* field) const { return object_.Get(field); }
  int64_t whole(const char* field, int64_t least, int64_t most) const;
  int integer(const char* field, int least = 0, int most = 1 << 30) const;
  bool flag(const char* field) const;
  std::string text(const char* field) const;
  /// Three finite numbers.
  std::vector<float> triple(const char* field) const;
  Fields object(const char* field) const;
  Napi::Array list(const char* field) const;

 private:
  Napi::Object object_;
  std::string what_;
};

std::string place(const std::string& list, uint32_t index);

/// At least `length` elements; the message names both lengths.
Napi::Uint8Array readBytes(const Napi::Value& value, const std::string& what, size_t length);
Napi::Float32Array readFloats(const Napi::Value& value, const std::string& what, size_t length);
Napi::BigInt64Array readLongs(const Napi::Value& value, const std::string& what, size_t length);
int64_t readWhole(const Napi::Value& value, const std::string& what, int64_t least, int64_t most);

}  // namespace rvos::tensorrt
