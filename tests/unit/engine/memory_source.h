// A checkpoint that a test makes up.
#pragma once

#include <algorithm>
#include <cstring>
#include <map>
#include <string>
#include <vector>

#include "checkpoint/source.h"

namespace layerscope::testing {

class Memory final : public TensorSource {
 public:
  void put(const std::string& name, Shape shape, DType dtype = DType::kF32, std::uint8_t fill = 0) {
    auto& bytes = data_[name];
    bytes.assign(static_cast<std::size_t>(shape.elements()) * dtype_size(dtype), std::byte{fill});
    drop(name);
    tensors_.push_back({.name = name, .view = {.dtype = dtype, .shape = shape, .data = bytes.data()}, .file = "m.st"});
    std::sort(tensors_.begin(), tensors_.end(), [](const auto& a, const auto& b) { return a.name < b.name; });
  }
  /// The same, of the values 0, 1, 2, ...
  void put_counted(const std::string& name, Shape shape) {
    put(name, shape);
    for (std::int64_t i = 0; i < shape.elements(); ++i) {
      const auto value = static_cast<float>(i);
      std::memcpy(data_[name].data() + static_cast<std::size_t>(i) * sizeof value, &value, sizeof value);
    }
  }
  void drop(const std::string& name) {
    std::erase_if(tensors_, [&](const SourceTensor& tensor) { return tensor.name == name; });
  }
  [[nodiscard]] const std::vector<SourceTensor>& tensors() const noexcept override { return tensors_; }

 private:
  std::map<std::string, std::vector<std::byte>> data_;
  std::vector<SourceTensor> tensors_;
};

}  // namespace layerscope::testing
