// How alike two vectors are, in float64: the meaning of a score, shared by everything that ranks.
#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

namespace layerscope {

/// Greater is nearer: distances count as negative (sentence_transformers 6.2, util/similarity.py).
enum class Metric : std::uint8_t { kCosine, kDot, kEuclidean };

inline constexpr std::array<std::string_view, 3> kMetricNames = {"cosine", "dot", "euclidean"};

[[nodiscard]] inline std::optional<Metric> metric_from_name(std::string_view name) noexcept {
  const auto* const found = std::find(kMetricNames.begin(), kMetricNames.end(), name);
  if (found == kMetricNames.end()) return std::nullopt;
  return static_cast<Metric>(found - kMetricNames.begin());
}

/// Sums in float64, in an order that depends on the width alone: eight lanes, then pairs of them, then what is left.
[[nodiscard]] double dot_product(std::span<const float> a, std::span<const float> b) noexcept;
[[nodiscard]] double squared_distance(std::span<const float> a, std::span<const float> b) noexcept;
[[nodiscard]] inline double norm_of(std::span<const float> a) noexcept { return std::sqrt(dot_product(a, a)); }

/// The score of two vectors of one width; `norm` is norm_of(query). A vector of zeros has the cosine 0 to everything.
[[nodiscard]] inline double similarity_score(Metric metric, std::span<const float> query, double norm,
                                             std::span<const float> row) noexcept {
  if (metric == Metric::kEuclidean) return 0.0 - std::sqrt(squared_distance(query, row));
  const double dot = dot_product(query, row);
  if (metric == Metric::kDot) return dot;
  const double norms = norm * norm_of(row);
  return norms > 0 ? dot / norms : 0.0;
}

}  // namespace layerscope
