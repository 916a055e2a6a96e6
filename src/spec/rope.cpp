#include "spec/rope.h"

#include <algorithm>
#include <cmath>

namespace layerscope {

std::vector<float> rotation_powers(double theta, std::int64_t dims) {
  std::vector<float> powers(static_cast<std::size_t>((dims + 1) / 2));
  for (std::size_t j = 0; j < powers.size(); ++j)
    powers[j] = std::pow(static_cast<float>(theta), static_cast<float>(2 * j) / static_cast<float>(dims));
  return powers;
}

std::vector<float> plain_frequencies(double theta, std::int64_t dims) {
  std::vector<float> inverse = rotation_powers(theta, dims);
  for (float& value : inverse) value = 1.0F / value;
  return inverse;
}

bool length_independent(const Rope& rope) noexcept {
  return std::holds_alternative<FixedFrequencies>(rope.frequencies);
}

FixedFrequencies frequencies_for(const Rope& rope, std::int64_t length) {
  if (const auto* fixed = std::get_if<FixedFrequencies>(&rope.frequencies)) return *fixed;
  if (const auto* dynamic = std::get_if<DynamicFrequencies>(&rope.frequencies)) {
    if (length <= dynamic->trained) return {.inverse = plain_frequencies(dynamic->theta, 2 * rope.pairs)};
    const double dims = 2.0 * static_cast<double>(rope.pairs);
    const float stretch =
        static_cast<float>(dynamic->factor) * static_cast<float>(length) / static_cast<float>(dynamic->trained) -
        static_cast<float>(dynamic->factor - 1.0);
    const auto grown = static_cast<float>(std::pow(static_cast<double>(stretch), dims / (dims - 2.0)));
    return {.inverse = plain_frequencies(static_cast<float>(dynamic->theta) * grown, 2 * rope.pairs)};
  }
  const auto& two = std::get<LongFrequencies>(rope.frequencies);
  return {.inverse = length > two.trained ? two.long_inverse : two.short_inverse, .magnitude = two.magnitude};
}

}  // namespace layerscope
