// See onnx_signature.h. Protobuf's wire format as far as it is needed: fields of other numbers are skipped.
#include "onnx_signature.h"

#include <functional>

#include "../tensorrt/failure.h"

namespace rvos::simulated {

namespace {

using tensorrt::Failure;
namespace code = tensorrt::code;

[[noreturn]] void damaged() { throw Failure(code::kBadGraph, "the file is no ONNX graph, or is damaged"); }

struct Bytes {
  const char* at;
  const char* end;
  std::string text() const { return {at, end}; }
};

uint64_t readVarint(Bytes& from) {
  uint64_t value = 0;
  for (int shift = 0; shift < 64; shift += 7) {
    if (from.at == from.end) damaged();
    const auto byte = static_cast<uint8_t>(*from.at++);
    value |= static_cast<uint64_t>(byte & 0x7f) << shift;
    if (byte < 0x80) return value;
  }
  damaged();
}

/// Calls with the number of each field and its bytes, or, for numbers, its value.
void eachField(Bytes message, const std::function<void(uint64_t field, Bytes bytes, uint64_t value)>& visit) {
  const auto skip = [&](uint64_t length) {
    if (length > static_cast<uint64_t>(message.end - message.at)) damaged();
    const Bytes bytes{message.at, message.at + length};
    message.at += length;
    return bytes;
  };
  while (message.at != message.end) {
    const uint64_t tag = readVarint(message);
    switch (tag & 7) {
      case 0: visit(tag >> 3, {}, readVarint(message)); break;
      case 1: skip(8); break;
      case 2: {
        const Bytes bytes = skip(readVarint(message));
        visit(tag >> 3, bytes, 0);
        break;
      }
      case 5: skip(4); break;
      default: damaged();
    }
  }
}

std::string dtypeName(uint64_t type) {
  switch (type) {
    case 1: return "float32";
    case 6: return "int32";
    case 7: return "int64";
    case 9: return "bool";
    case 10: return "float16";
    default: return "other";
  }
}

int64_t readExtent(Bytes dimension) {
  int64_t extent = -1;
  eachField(dimension, [&](uint64_t field, Bytes, uint64_t value) {
    if (field == 1) extent = static_cast<int64_t>(value);
  });
  return extent;
}

/// ValueInfoProto: name 1, type 2 → TypeProto: tensor_type 1 → elem_type 1, shape 2 → dim 1.
GraphTensor readTensor(Bytes info, bool input) {
  GraphTensor tensor;
  tensor.input = input;
  const auto readShape = [&](uint64_t field, Bytes bytes, uint64_t) {
    if (field == 1) tensor.shape.push_back(readExtent(bytes));
  };
  const auto readTensorType = [&](uint64_t field, Bytes bytes, uint64_t value) {
    if (field == 1) tensor.dtype = dtypeName(value);
    if (field == 2) eachField(bytes, readShape);
  };
  eachField(info, [&](uint64_t field, Bytes bytes, uint64_t) {
    if (field == 1) tensor.name = bytes.text();
    if (field == 2) {
      eachField(bytes, [&](uint64_t kind, Bytes type, uint64_t) {
        if (kind == 1) eachField(type, readTensorType);
      });
    }
  });
  return tensor;
}

}  // namespace

std::vector<GraphTensor> readSignature(const std::string& onnx) {
  std::vector<GraphTensor> tensors;
  // ModelProto: graph 7 → GraphProto: input 11, output 12.
  eachField({onnx.data(), onnx.data() + onnx.size()}, [&](uint64_t field, Bytes graph, uint64_t) {
    if (field != 7) return;
    eachField(graph, [&](uint64_t part, Bytes info, uint64_t) {
      if (part == 11 || part == 12) tensors.push_back(readTensor(info, part == 11));
    });
  });
  if (tensors.empty()) damaged();
  return tensors;
}

}  // namespace rvos::simulated
