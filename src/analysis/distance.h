// Euclidean distances in float64, added up in an order that depends on the width alone.
#pragma once

#include <array>
#include <cstddef>

namespace layerscope {

/// Sum over i of (a[i] - b[i])^2, `width` elements each: eight interleaved sums, added as a tree at the end.
template <class A, class B>
[[nodiscard]] double squared_distance(const A* a, const B* b, std::size_t width) noexcept {
  constexpr std::size_t kLanes = 8;
  std::array<double, kLanes> sums{};
  std::size_t i = 0;
  for (; i + kLanes <= width; i += kLanes) {
    for (std::size_t lane = 0; lane < kLanes; ++lane) {
      const double difference = static_cast<double>(a[i + lane]) - static_cast<double>(b[i + lane]);
      sums[lane] += difference * difference;
    }
  }
  for (std::size_t lane = 0; i + lane < width; ++lane) {
    const double difference = static_cast<double>(a[i + lane]) - static_cast<double>(b[i + lane]);
    sums[lane] += difference * difference;
  }
  return ((sums[0] + sums[4]) + (sums[2] + sums[6])) + ((sums[1] + sums[5]) + (sums[3] + sums[7]));
}

}  // namespace layerscope
