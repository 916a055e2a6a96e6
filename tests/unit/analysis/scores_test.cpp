#include "analysis/scores.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <random>

#include <gtest/gtest.h>

namespace layerscope {
namespace {

constexpr float kRuledOut = -std::numeric_limits<float>::infinity();

std::vector<float> random_scores(std::size_t count, unsigned seed) {
  std::mt19937 generator(seed);
  std::normal_distribution<float> normal(0, 3);
  std::vector<float> scores(count);
  for (float& score : scores) score = normal(generator);
  return scores;
}

std::vector<double> softmax(const std::vector<float>& scores) {
  std::vector<double> out(scores.size());
  probabilities(scores, distribution(scores), out);
  return out;
}

double divergence_of(const std::vector<float>& p, const std::vector<float>& q) {
  return divergence({p, distribution(p)}, softmax(p), {q, distribution(q)});
}

TEST(Scores, ByHand) {
  const std::vector<float> scores{0.0F, std::log(2.0F), std::log(5.0F)};  // probabilities 1/8, 2/8, 5/8
  const Distribution of = distribution(scores);
  EXPECT_NEAR(of.log_sum_exp, std::log(8.0), 1e-7);
  EXPECT_NEAR(of.entropy, -(std::log(1 / 8.0) / 8 + 2 * std::log(2 / 8.0) / 8 + 5 * std::log(5 / 8.0) / 8), 1e-7);
  EXPECT_NEAR(of.probability(scores[2]), 5 / 8.0, 1e-7);
  EXPECT_NEAR(divergence_of(scores, {0, 0, 0}), std::log(3.0) - of.entropy, 1e-12);
  EXPECT_EQ(divergence_of(scores, scores), 0);
}

TEST(Scores, EqualScoresHaveTheHighestEntropy) {
  const std::vector<float> equal(1000, -7.5F);
  EXPECT_NEAR(distribution(equal).entropy, std::log(1000.0), 1e-12);
}

TEST(Scores, LargeScoresDoNotOverflow) {
  const std::vector<float> scores{1e30F, 3e38F, -3e38F};
  const Distribution of = distribution(scores);
  EXPECT_EQ(of.log_sum_exp, double{3e38F});
  EXPECT_EQ(of.entropy, 0);
  EXPECT_EQ(of.probability(scores[2]), 0);
}

TEST(Scores, RuledOutEntries) {
  const std::vector<float> scores{kRuledOut, 1, kRuledOut, 1};
  const Distribution of = distribution(scores);
  EXPECT_NEAR(of.entropy, std::log(2.0), 1e-12);
  EXPECT_EQ(softmax(scores), (std::vector<double>{0, of.probability(1), 0, of.probability(1)}));
  EXPECT_EQ(divergence_of(scores, scores), 0);
  EXPECT_EQ(divergence_of({0, 0, 0, 0}, scores), std::numeric_limits<double>::infinity());
  EXPECT_EQ(rank_of(scores, 0), 2);
  EXPECT_EQ(rank_of(scores, 2), 3);
}

TEST(Scores, TiesGoToTheLowerId) {
  const std::vector<float> scores{2, 5, 5, 1, 5, 2};
  EXPECT_EQ(top_scores(scores, 4), (std::vector<ScoredId>{{1, 5}, {2, 5}, {4, 5}, {0, 2}}));
  EXPECT_EQ(best_id(scores), 1);
  EXPECT_EQ(top_scores(scores, 0).size(), 0U);
  EXPECT_EQ(top_scores(scores, 100).size(), scores.size());
}

TEST(Scores, TopAndRankAgreeWithSorting) {
  for (const unsigned seed : {1U, 2U, 3U}) {
    std::vector<float> scores = random_scores(501, seed);
    for (float& score : scores) score = std::round(score * 4) / 4;  // many ties
    std::vector<std::int32_t> order(scores.size());
    std::iota(order.begin(), order.end(), 0);
    std::stable_sort(order.begin(), order.end(), [&](std::int32_t a, std::int32_t b) {
      return scores[static_cast<std::size_t>(a)] > scores[static_cast<std::size_t>(b)];
    });
    EXPECT_EQ(best_id(scores), order.front());
    for (const std::size_t count : {1U, 2U, 7U, 500U, 501U}) {
      const std::vector<ScoredId> top = top_scores(scores, count);
      ASSERT_EQ(top.size(), count);
      for (std::size_t k = 0; k < count; ++k) ASSERT_EQ(top[k].id, order[k]) << seed << " " << count << " " << k;
    }
    for (std::size_t rank = 0; rank < order.size(); ++rank)
      ASSERT_EQ(rank_of(scores, order[rank]), static_cast<std::int64_t>(rank));
  }
}

TEST(Scores, AgreeWithTheFormulas) {
  const std::vector<float> a = random_scores(3000, 4);
  const std::vector<float> b = random_scores(3000, 5);
  const std::vector<double> p = softmax(a);
  const std::vector<double> q = softmax(b);
  double entropy = 0;
  double kl = 0;
  for (std::size_t k = 0; k < p.size(); ++k) {
    entropy -= p[k] * std::log(p[k]);
    kl += p[k] * std::log(p[k] / q[k]);
  }
  EXPECT_NEAR(std::accumulate(p.begin(), p.end(), 0.0), 1, 1e-12);
  EXPECT_NEAR(distribution(a).entropy, entropy, 1e-12);
  EXPECT_NEAR(divergence_of(a, b), kl, 1e-11);
}

}  // namespace
}  // namespace layerscope
