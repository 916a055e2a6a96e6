#include "spec/rope.h"

#include <algorithm>
#include <cmath>

namespace layerscope {

std::vector<float> rotation_powers(double theta, std::int64_t dims) {
  std::vector<float> powers(static_cast<std::size_t>(dims / 2));
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
    const double dims = 2.0 * static_cast<double>(rope.pairs);
    const double stretch =
        static_cast<double>(std::max(length, dynamic->trained)) / static_cast<double>(dynamic->trained);
    const double grown = std::pow(dynamic->factor * stretch - (dynamic->factor - 1.0), dims / (dims - 2.0));
    return {.inverse = plain_frequencies(dynamic->theta * (stretch > 1.0 ? grown : 1.0), 2 * rope.pairs),
            .magnitude = 1};
  }
  const auto& two = std::get<LongFrequencies>(rope.frequencies);
  return {.inverse = length > two.trained ? two.long_inverse : two.short_inverse, .magnitude = two.magnitude};
}

}  // namespace layerscope
