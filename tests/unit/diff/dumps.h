// Dumps as another engine writes them, made of a tiny model's own states.
#pragma once

#include <cstring>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "layerscope/tensor.h"
#include "support/safetensors_bytes.h"

namespace layerscope::test {

struct DumpTensor {
  std::string dtype;
  std::vector<std::int64_t> shape;
  std::string bytes;
};
using DumpTensors = std::map<std::string, DumpTensor>;

template <class T>
std::string raw(const std::vector<T>& values) {
  return {reinterpret_cast<const char*>(values.data()), values.size() * sizeof(T)};
}

inline DumpTensor floats(std::vector<std::int64_t> shape, const std::vector<float>& values) {
  return {"F32", std::move(shape), raw(values)};
}
inline DumpTensor integers(std::vector<std::int64_t> shape, const std::vector<std::int64_t>& values) {
  return {"I64", std::move(shape), raw(values)};
}

inline std::string shape_text(const std::vector<std::int64_t>& shape) {
  std::string text;
  for (const std::int64_t dim : shape) text += (text.empty() ? "" : ",") + std::to_string(dim);
  return "[" + text + "]";
}

inline std::string dump_bytes(const DumpTensors& tensors) {
  std::string header, data;
  for (const auto& [name, tensor] : tensors) {
    const std::size_t begin = data.size();
    data += tensor.bytes;
    header += (header.empty() ? "" : ",") +
              ("\"" + name + "\":{\"dtype\":\"" + tensor.dtype + "\",\"shape\":" + shape_text(tensor.shape) +
               ",\"data_offsets\":[" + std::to_string(begin) + "," + std::to_string(data.size()) + "]}");
  }
  header = "{" + header + "}";
  return length_bytes(header.size()) + header + data;
}

}  // namespace layerscope::test
