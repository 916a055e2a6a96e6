// Which rows a float32 product cannot rule out.
//
// For a query q of length |q| let p be the computed product of q/|q|, rounded to float32, with a row c. Summed in any
// order, |p - q.c/|q|| <= E |c| with E = 2 (n + 16) u, u = 2^-24: n - 1 additions, n products and the rounding of q/|q|
// make (n + 2) u (1 + O(nu)) (Higham 2002, Accuracy and Stability of Numerical Algorithms, section 3.1); the rest
// covers the length of c and the bounds below being float32 themselves. Every metric's "the score is at least s" is a
// lower bound of q.c/|q| that is linear in terms of the row, so that one comparison a pair decides.
//
// The bound needs lengths far from overflow and underflow. Queries and rows beyond 2^-30 ... 2^30 are never ruled out.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "analysis/metric.h"

namespace layerscope {

/// What a row adds to the comparison.
struct RowTerms {
  float scale = 1;    ///< of the query's threshold: |c| for cosine
  float squares = 0;  ///< of the query's factor: |c|^2 for euclidean
  float margin = 0;   ///< added: -E |c|, or minus infinity for a row that is not ruled out
  bool finite = true;
};

/// A float32 sum of products in sixteen lanes.
[[nodiscard]] float sum_of_products(std::span<const float> a, std::span<const float> b) noexcept;

class CandidateFilter {
 public:
  /// Queries are compared in groups of this many.
  static constexpr std::size_t kGroup = 16;

  CandidateFilter(Metric metric, std::size_t width) noexcept;

  /// Appends a query of the length `norm`; returns 1 / |q| if products may be trusted, else 0.
  [[nodiscard]] double add_query(double norm);
  /// Fills the last group with queries that have no candidates.
  void fill_group();
  /// From now on only scores of at least `score` are wanted; it never falls.
  void raise(std::size_t query, double score) noexcept;

  /// `squares`: the row's sum_of_products with itself.
  [[nodiscard]] RowTerms row_terms(std::span<const float> row, float squares) const noexcept;
  /// Bit i: query first + i may have its product with this row above its threshold. `products` holds kGroup of them.
  [[nodiscard]] std::uint32_t candidates(const float* products, std::size_t first, const RowTerms& row) const noexcept;

 private:
  Metric metric_;
  double slack_;  // E
  std::vector<double> norms_;
  std::vector<float> thresholds_, factors_;
};

}  // namespace layerscope
