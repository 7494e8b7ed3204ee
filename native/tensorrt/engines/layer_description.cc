// See layer_description.h.
#include "layer_description.h"

#include <algorithm>
#include <cctype>
#include <map>

namespace rvos::tensorrt {

namespace {

/// Reads a JSON string from its opening quote on and leaves `position` behind the closing one. Escapes other than \uXXXX
/// are undone; those do not occur in names that matter here and stay as they are.
std::string readQuoted(std::string_view json, std::size_t& position) {
  std::string text;
  for (++position; position < json.size() && json[position] != '"'; ++position) {
    if (json[position] != '\\' || position + 1 >= json.size()) {
      text += json[position];
      continue;
    }
    const char escaped = json[++position];
    if (escaped == 'u') text += '\\';
    text += escaped == 'n' ? '\n' : escaped == 't' ? '\t' : escaped == 'r' ? '\r' : escaped;
  }
  ++position;
  return text;
}

std::size_t skipSpace(std::string_view json, std::size_t position) {
  while (position < json.size() && std::isspace(static_cast<unsigned char>(json[position])) != 0) ++position;
  return position;
}

/// The members of the outermost object whose values are strings. Members of objects within it are passed over.
std::map<std::string, std::string> stringMembers(std::string_view json) {
  std::map<std::string, std::string> members;
  int depth = 0;
  for (std::size_t position = 0; position < json.size();) {
    const char character = json[position];
    if (character != '"') {
      if (character == '{' || character == '[') ++depth;
      if (character == '}' || character == ']') --depth;
      ++position;
      continue;
    }
    const std::string key = readQuoted(json, position);
    const std::size_t colon = skipSpace(json, position);
    if (depth != 1 || colon >= json.size() || json[colon] != ':') continue;
    position = skipSpace(json, colon + 1);
    if (position < json.size() && json[position] == '"') members.emplace(key, readQuoted(json, position));
  }
  return members;
}

std::string lowerCase(std::string text) {
  std::transform(text.begin(), text.end(), text.begin(),
                 [](unsigned char character) { return std::tolower(character); });
  return text;
}

/// How TensorRT's fused attention has been called: `_gemm_mha_v2` layers (kernels `fmha_…`, `mha_…`) up to now, and
/// attention layers of their own.
bool namesFusedAttention(const std::string& text) {
  const std::string lower = lowerCase(text);
  for (const char* mark : {"mha_v", "fmha", "flash_attention", "flashattention", "multiheadattention", "_mha_"}) {
    if (lower.find(mark) != std::string::npos) return true;
  }
  return false;
}

}  // namespace

LayerDescription describeLayer(std::string_view json) {
  std::map<std::string, std::string> members = stringMembers(json);
  LayerDescription layer;
  layer.name = members["Name"];
  layer.type = members["LayerType"];
  if (layer.name.empty() && layer.type.empty()) {
    // Less than detailed verbosity: a name in quotes, or bare.
    std::size_t position = skipSpace(json, 0);
    layer.name = position < json.size() && json[position] == '"' ? readQuoted(json, position) : std::string(json);
  }
  for (const char* member : {"Name", "LayerType", "ParameterType", "TacticName", "AttentionType"}) {
    layer.fusedAttention = layer.fusedAttention || namesFusedAttention(members[member]);
  }
  layer.fusedAttention = layer.fusedAttention || namesFusedAttention(layer.name);
  return layer;
}

}  // namespace rvos::tensorrt
