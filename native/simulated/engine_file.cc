// See engine_file.h.
#include "engine_file.h"

#include <cstddef>
#include <fstream>
#include <iterator>
#include <sstream>

#include "../tensorrt/failure.h"

namespace rvos::simulated {

namespace {

using tensorrt::Failure;
constexpr const char* kMagic = "rvos simulated engine 1";

}  // namespace

std::string readWholeFile(const std::string& path, const char* code) {
  std::ifstream file(path, std::ios::binary);
  if (!file.is_open()) throw Failure(code, "cannot read " + path);
  std::string bytes{std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
  if (file.bad()) throw Failure(code, "cannot read " + path);
  return bytes;
}

std::string writeEngine(const EngineFile& engine) {
  std::ostringstream text;
  text << kMagic << "\nprofiles " << engine.profiles << '\n';
  for (const InputRange& range : engine.ranges) {
    text << "range " << range.profile << ' ' << range.input;
    for (const int64_t extent : range.least) text << ' ' << extent;
    for (const int64_t extent : range.most) text << ' ' << extent;
    text << '\n';
  }
  for (const GraphTensor& tensor : engine.tensors) {
    text << "tensor " << (tensor.input ? "input" : "output") << ' ' << tensor.dtype << ' ' << tensor.name;
    for (const int64_t extent : tensor.shape) text << ' ' << extent;
    text << '\n';
  }
  text << "weights " << engine.weights.size() << "\ngraph " << engine.graph.size() << '\n' << engine.graph << engine.weights;
  return text.str();
}

EngineFile readEngine(const std::string& path) {
  const std::string bytes = readWholeFile(path, tensorrt::code::kBadEngine);
  const auto damaged = [&] { return Failure(tensorrt::code::kBadEngine, path + " is damaged or no engine"); };
  std::istringstream text(bytes);
  std::string line;
  if (!std::getline(text, line) || line != kMagic) throw damaged();
  EngineFile engine;
  size_t weights = 0;
  while (std::getline(text, line)) {
    std::istringstream words(line);
    std::string key;
    words >> key >> std::ws;
    if (key == "profiles") {
      std::getline(words, engine.profiles);
    } else if (key == "range") {
      InputRange range;
      words >> range.profile >> range.input;
      for (int64_t extent; words >> extent;) range.most.push_back(extent);
      const auto middle = range.most.begin() + static_cast<std::ptrdiff_t>(range.most.size() / 2);
      range.least.assign(range.most.begin(), middle);
      range.most.erase(range.most.begin(), middle);
      engine.ranges.push_back(range);
    } else if (key == "tensor") {
      GraphTensor tensor;
      std::string mode;
      words >> mode >> tensor.dtype >> tensor.name;
      tensor.input = mode == "input";
      for (int64_t extent; words >> extent;) tensor.shape.push_back(extent);
      engine.tensors.push_back(tensor);
    } else if (key == "weights") {
      words >> weights;
    } else if (key == "graph") {
      size_t graph = 0;
      words >> graph;
      const auto at = static_cast<size_t>(text.tellg());
      if (bytes.size() - at != graph + weights) throw damaged();
      engine.graph = bytes.substr(at, graph);
      engine.weights = bytes.substr(at + graph);
      return engine;
    } else {
      throw damaged();
    }
  }
  throw damaged();
}

}  // namespace rvos::simulated
