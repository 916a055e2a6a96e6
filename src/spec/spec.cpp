#include "spec/spec.h"

#include <bit>
#include <cmath>

namespace layerscope {

bool reads_encoder(const Step& step) noexcept {
  const auto* attention = std::get_if<Attention>(&step.mixer);
  return attention != nullptr && attention->keys == KeySource::kEncoder;
}

bool reads_block_input(const Step& step) noexcept { return step.reads == Step::Reads::kBlockInput; }

std::vector<Block> repeat(std::int64_t count, const Block& block) {
  return std::vector<Block>(static_cast<std::size_t>(count), block);
}

std::vector<float> alibi_slopes(std::int64_t heads, double max_bias) {
  if (heads > kMostSlopes) return {};
  const auto whole = static_cast<std::int64_t>(std::bit_floor(static_cast<std::uint64_t>(heads)));
  const auto power = [max_bias](std::int64_t count, std::int64_t exponent) {
    const double base = std::exp2(-max_bias / static_cast<double>(count));
    return static_cast<float>(std::pow(static_cast<double>(static_cast<float>(base)), static_cast<double>(exponent)));
  };
  std::vector<float> slopes;
  for (std::int64_t i = 1; i <= whole; ++i) slopes.push_back(power(whole, i));
  for (std::int64_t i = 1; static_cast<std::int64_t>(slopes.size()) < heads; i += 2)
    slopes.push_back(power(2 * whole, i));
  return slopes;
}

}  // namespace layerscope
