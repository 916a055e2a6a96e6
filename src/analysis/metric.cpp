#include "analysis/metric.h"

#include <cstring>

namespace layerscope {
namespace {

/// Sum of term(a, b) over elements, `term` for doubles and for four of them side by side.
template <class Term>
double sum_of(std::span<const float> a, std::span<const float> b, const Term& term) noexcept {
  using Floats [[gnu::vector_size(16)]] = float;
  using Doubles [[gnu::vector_size(32)]] = double;
  constexpr std::size_t kLanes = 4;
  const auto load = [](const float* from, Doubles& into) {
    Floats lanes;
    std::memcpy(&lanes, from, sizeof(lanes));
    into = __builtin_convertvector(lanes, Doubles);
  };
  const float *x = a.data(), *y = b.data();
  const std::size_t width = a.size();
  Doubles low{}, high{}, left, right;
  std::size_t i = 0;
  for (; i + 2 * kLanes <= width; i += 2 * kLanes) {
    load(x + i, left);
    load(y + i, right);
    term(left, right, low);
    load(x + i + kLanes, left);
    load(y + i + kLanes, right);
    term(left, right, high);
  }
  low += high;
  double sum = (low[0] + low[1]) + (low[2] + low[3]);
  for (; i < width; ++i) term(static_cast<double>(x[i]), static_cast<double>(y[i]), sum);
  return sum;
}

}  // namespace

double dot_product(std::span<const float> a, std::span<const float> b) noexcept {
  return sum_of(a, b, [](const auto& left, const auto& right, auto& sum) { sum += left * right; });
}

double squared_distance(std::span<const float> a, std::span<const float> b) noexcept {
  return sum_of(a, b, [](const auto& left, const auto& right, auto& sum) {
    const auto difference = left - right;
    sum += difference * difference;
  });
}

}  // namespace layerscope
