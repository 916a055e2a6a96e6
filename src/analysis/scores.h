// Numbers over one row of scores: one score for every entry of a vocabulary, before softmax.
//
// Sums run in float64 and in the order of the ids, so they depend on the row alone. Scores may be -infinity (an id that
// is ruled out: its probability is 0); at least one is finite, and none is +infinity or NaN.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace layerscope {

/// What softmax needs of a row, and what it says of the row as a whole.
struct Distribution {
  double log_sum_exp = 0;  ///< ln of the sum of exp(score)
  double entropy = 0;      ///< -sum p ln p of softmax, in nats
  /// ln of the probability of an entry with this score.
  [[nodiscard]] double log_probability(float score) const noexcept { return double{score} - log_sum_exp; }
  /// The probability of an entry with this score.
  [[nodiscard]] double probability(float score) const noexcept;
};
/// One pass for both numbers: `scores` is not empty.
[[nodiscard]] Distribution distribution(std::span<const float> scores) noexcept;

struct ScoredId {
  std::int32_t id = 0;
  float score = 0;
  friend bool operator==(const ScoredId&, const ScoredId&) = default;
};
/// The `count` highest scores, highest first; the lower id goes before an equal score. All of them, where there are
/// fewer. O(size) for a small count.
[[nodiscard]] std::vector<ScoredId> top_scores(std::span<const float> scores, std::size_t count);
/// The id that top_scores puts first.
[[nodiscard]] std::int32_t best_id(std::span<const float> scores) noexcept;

/// How many entries top_scores would put before `id`: 0 is the first.
[[nodiscard]] std::int64_t rank_of(std::span<const float> scores, std::int32_t id) noexcept;

/// Softmax of a row, [size] float64.
void probabilities(std::span<const float> scores, const Distribution& of, std::span<double> out) noexcept;

/// One row of scores with everything that divergence() needs of it.
struct ScoreRow {
  std::span<const float> scores;
  Distribution of;
};
/// KL(p ‖ q) = sum p (ln p - ln q) in nats, never below 0, and 0 where both rows hold the same scores.
/// `p_probabilities` is the softmax of p (a caller with many q makes it once). Infinite where q rules out what p does
/// not.
[[nodiscard]] double divergence(const ScoreRow& p, std::span<const double> p_probabilities, const ScoreRow& q) noexcept;

}  // namespace layerscope
