#include "analysis/dissimilarity.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "analysis/cross_products.h"

namespace layerscope {
namespace {

/// [width, rows]: every vector less its mean, at length 1; zeros where nothing is left.
std::vector<double> unit_columns(const float* vectors, std::int64_t rows, std::int64_t width) {
  std::vector<double> out(static_cast<std::size_t>(rows * width));
  for (std::int64_t row = 0; row < rows; ++row) {
    const float* const from = vectors + row * width;
    const auto [low, high] = std::minmax_element(from, from + width);
    if (*low == *high) continue;
    const double mean = std::accumulate(from, from + width, 0.0) / static_cast<double>(width);
    double squares = 0;
    for (std::int64_t k = 0; k < width; ++k) squares += (double{from[k]} - mean) * (double{from[k]} - mean);
    const double length = std::sqrt(squares);
    for (std::int64_t k = 0; k < width; ++k)
      out[static_cast<std::size_t>(k * rows + row)] = (double{from[k]} - mean) / length;
  }
  return out;
}

}  // namespace

std::vector<float> dissimilarity_ranks(const float* vectors, std::int64_t rows, std::int64_t width) {
  const std::vector<double> units = unit_columns(vectors, rows, width);
  std::vector<double> correlation(static_cast<std::size_t>(rows * rows));
  add_cross_products(units.data(), rows, units.data(), rows, width, correlation.data());
  std::vector<double> pairs;
  pairs.reserve(static_cast<std::size_t>(rows * (rows - 1) / 2));
  for (std::int64_t a = 0; a < rows; ++a) {
    for (std::int64_t b = a + 1; b < rows; ++b)
      pairs.push_back(1 - correlation[static_cast<std::size_t>(a * rows + b)]);
  }
  std::vector<std::uint32_t> order(pairs.size());
  std::iota(order.begin(), order.end(), 0U);
  std::sort(order.begin(), order.end(), [&](std::uint32_t a, std::uint32_t b) { return pairs[a] < pairs[b]; });
  std::vector<float> ranks(pairs.size());
  for (std::size_t first = 0; first < order.size();) {
    std::size_t end = first + 1;
    while (end < order.size() && pairs[order[end]] == pairs[order[first]]) ++end;
    const auto rank = static_cast<float>(static_cast<double>(first + 1 + end) / 2);  // the mean of first + 1 ... end
    for (; first < end; ++first) ranks[order[first]] = rank;
  }
  return ranks;
}

double rank_correlation(std::span<const float> a, std::span<const float> b) {
  const double mean = (static_cast<double>(a.size()) + 1) / 2;
  double aa = 0, bb = 0, ab = 0;
  for (std::size_t k = 0; k < a.size(); ++k) {
    const double x = double{a[k]} - mean, y = double{b[k]} - mean;
    aa += x * x;
    bb += y * y;
    ab += x * y;
  }
  return aa > 0 && bb > 0 ? ab / std::sqrt(aa * bb) : std::numeric_limits<double>::quiet_NaN();
}

}  // namespace layerscope
