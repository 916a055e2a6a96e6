#include "spec/spec.h"

namespace layerscope {

bool reads_encoder(const Step& step) noexcept {
  const auto* attention = std::get_if<Attention>(&step.mixer);
  return attention != nullptr && attention->keys == KeySource::kEncoder;
}

std::vector<Block> repeat(std::int64_t count, const Block& block) {
  return std::vector<Block>(static_cast<std::size_t>(count), block);
}

}  // namespace layerscope
