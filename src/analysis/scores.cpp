#include "analysis/scores.h"

#include <algorithm>
#include <cmath>

namespace layerscope {
namespace {

/// Higher scores first, then lower ids.
bool goes_before(const ScoredId& a, const ScoredId& b) noexcept {
  return a.score > b.score || (a.score == b.score && a.id < b.id);
}

}  // namespace

double Distribution::probability(float score) const noexcept { return std::exp(log_probability(score)); }

// With d = score - highest, Z = sum exp(d) and T = sum exp(d) d: log_sum_exp = highest + ln Z, entropy = ln Z - T / Z.
Distribution distribution(std::span<const float> scores) noexcept {
  const double highest = *std::max_element(scores.begin(), scores.end());
  double sum = 0;
  double weighted = 0;
  for (const float score : scores) {
    const double difference = double{score} - highest;
    const double power = std::exp(difference);
    if (power == 0) continue;
    sum += power;
    weighted += power * difference;
  }
  const double log_sum = std::log(sum);
  return {highest + log_sum, std::max(0.0, log_sum - weighted / sum)};
}

std::vector<ScoredId> top_scores(std::span<const float> scores, std::size_t count) {
  std::vector<ScoredId> top;  // a heap with the last of the best at its front
  count = std::min(count, scores.size());
  top.reserve(count);
  for (std::size_t id = 0; id < scores.size() && count > 0; ++id) {
    if (top.size() == count) {
      if (!(scores[id] > top.front().score)) continue;
      std::pop_heap(top.begin(), top.end(), goes_before);
      top.pop_back();
    }
    top.push_back({static_cast<std::int32_t>(id), scores[id]});
    std::push_heap(top.begin(), top.end(), goes_before);
  }
  std::sort_heap(top.begin(), top.end(), goes_before);
  return top;
}

std::int32_t best_id(std::span<const float> scores) noexcept {
  return static_cast<std::int32_t>(std::max_element(scores.begin(), scores.end()) - scores.begin());
}

std::int64_t rank_of(std::span<const float> scores, std::int32_t id) noexcept {
  const auto at = static_cast<std::size_t>(id);
  const float own = scores[at];
  const auto higher = [own](float score) { return score > own; };
  const std::span<const float> lower_ids = scores.first(at);
  return std::count_if(scores.begin(), scores.end(), higher) + std::count(lower_ids.begin(), lower_ids.end(), own);
}

void probabilities(std::span<const float> scores, const Distribution& of, std::span<double> out) noexcept {
  std::transform(scores.begin(), scores.end(), out.begin(), [&](float score) { return of.probability(score); });
}

double divergence(const ScoreRow& p, std::span<const double> p_probabilities, const ScoreRow& q) noexcept {
  double sum = 0;
  for (std::size_t id = 0; id < p_probabilities.size(); ++id) {
    if (p_probabilities[id] == 0) continue;
    sum += p_probabilities[id] * (p.of.log_probability(p.scores[id]) - q.of.log_probability(q.scores[id]));
  }
  return std::max(0.0, sum);
}

}  // namespace layerscope
