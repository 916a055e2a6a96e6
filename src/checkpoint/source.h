// Where weights come from: tensor names to views. The engine knows this interface and no file format.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "layerscope/tensor.h"

namespace layerscope {

/// One stored tensor.
struct SourceTensor {
  std::string name;
  TensorView view;   ///< alive as long as the source; may be unaligned
  std::string file;  ///< base name of the file that holds it, for messages
};

/// A set of named tensors, each name once.
class TensorSource {
 public:
  virtual ~TensorSource() = default;
  /// Sorted by name.
  [[nodiscard]] virtual const std::vector<SourceTensor>& tensors() const noexcept = 0;
  /// The tensor of that name, or null.
  [[nodiscard]] const SourceTensor* find(std::string_view name) const noexcept;
};

}  // namespace layerscope
