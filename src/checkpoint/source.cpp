#include "checkpoint/source.h"

#include <algorithm>

namespace layerscope {

const SourceTensor* TensorSource::find(std::string_view name) const noexcept {
  const std::vector<SourceTensor>& all = tensors();
  const auto found = std::ranges::lower_bound(
      all, name, {}, [](const SourceTensor& tensor) -> std::string_view { return tensor.name; });
  return found != all.end() && found->name == name ? &*found : nullptr;
}

}  // namespace layerscope
