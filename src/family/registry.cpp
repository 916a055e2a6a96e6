#include "family/registry.h"

#include <algorithm>
#include <array>

namespace layerscope {

std::span<const Family* const> families() {
  static constexpr std::array kFamilies = {&kBert, &kDeberta, &kGpt2, &kLlama, &kMistral, &kQwen, &kT5};
  return kFamilies;
}

const Family* family_of(std::string_view model_type) {
  for (const Family* family : families()) {
    const auto types = family->model_types;
    if (std::find(types.begin(), types.end(), model_type) != types.end()) return family;
  }
  return nullptr;
}

}  // namespace layerscope
