#include "analysis/affine_fit.h"

#include <algorithm>
#include <cmath>
#include <random>

#include <gtest/gtest.h>

namespace layerscope {
namespace {

constexpr std::size_t kWidth = 5;

struct Pair {
  std::vector<float> x, target;
  double weight = 1;
};

/// Inputs around a mean far from 0, targets by a map of whole numbers plus noise.
std::vector<Pair> pairs(std::size_t count, float noise, unsigned seed) {
  std::mt19937 generator(seed);
  std::normal_distribution<float> normal(0, 1);
  std::vector<Pair> all(count);
  for (Pair& pair : all) {
    for (std::size_t k = 0; k < kWidth; ++k) pair.x.push_back(normal(generator) + 3);
    for (std::size_t k = 0; k < kWidth; ++k) {
      const float turned = 2 * pair.x[(k + 1) % kWidth] - pair.x[k] + static_cast<float>(k);
      pair.target.push_back(pair.x[k] + turned + noise * normal(generator));
    }
    pair.weight = 0.5 + std::abs(double{pair.x[0]});
  }
  return all;
}

std::vector<WeightedPair> borrowed(const std::vector<Pair>& all) {
  std::vector<WeightedPair> out;
  for (const Pair& pair : all) out.push_back({pair.x.data(), pair.target.data(), pair.weight});
  return out;
}

ResidualMoments moments_of(const std::vector<Pair>& all) {
  ResidualMoments moments(kWidth);
  moments.add(borrowed(all));
  return moments;
}

/// The error as its definition says it.
double plain_error(const std::vector<Pair>& all, const ResidualMap* map) {
  double sum = 0;
  for (const Pair& pair : all) {
    for (std::size_t out = 0; out < kWidth; ++out) {
      double rest = double{pair.target[out]} - double{pair.x[out]};
      for (std::size_t in = 0; in < kWidth && map != nullptr; ++in)
        rest -= double{map->turn[out * kWidth + in]} * double{pair.x[in]};
      if (map != nullptr) rest -= double{map->shift[out]};
      sum += pair.weight * rest * rest;
    }
  }
  return sum / static_cast<double>(all.size());
}

TEST(AffineFit, FindsTheMapBehindExactPairs) {
  const auto map = ResidualFit::solve(moments_of(pairs(40, 0, 1)), 0);
  ASSERT_TRUE(map);
  for (std::size_t out = 0; out < kWidth; ++out) {
    EXPECT_NEAR(map->shift[out], static_cast<float>(out), 1e-3);
    for (std::size_t in = 0; in < kWidth; ++in) {
      const float expected = in == out ? -1.0F : in == (out + 1) % kWidth ? 2.0F : 0.0F;
      EXPECT_NEAR(map->turn[out * kWidth + in], expected, 1e-4);
    }
  }
}

TEST(AffineFit, ErrorIsThatOfTheDefinition) {
  const std::vector<Pair> all = pairs(30, 0.5F, 2);
  const auto map = ResidualFit::solve(moments_of(all), 0.1);
  EXPECT_NEAR(ResidualFit::error(moments_of(all), &*map), plain_error(all, &*map), 1e-9);
  EXPECT_NEAR(ResidualFit::error(moments_of(all), nullptr), plain_error(all, nullptr), 1e-9);
}

TEST(AffineFit, NoOtherMapIsBetter) {
  const std::vector<Pair> all = pairs(30, 1, 3);
  auto map = ResidualFit::solve(moments_of(all), 0);
  const double best = plain_error(all, &*map);
  for (float* const value : {&map->turn[0], &map->turn[7], &map->shift[2]}) {
    for (const float step : {-0.01F, 0.01F}) {
      *value += step;
      EXPECT_GT(plain_error(all, &*map), best);
      *value -= step;
    }
  }
}

TEST(AffineFit, ALargeRidgeLeavesAShift) {
  const std::vector<Pair> all = pairs(30, 0, 4);
  const auto map = ResidualFit::solve(moments_of(all), 1e12);
  for (const float turn : map->turn) EXPECT_NEAR(turn, 0, 1e-6);
  EXPECT_LT(plain_error(all, &*map), plain_error(all, nullptr));
}

TEST(AffineFit, FewerPairsThanElements) {
  const std::vector<Pair> one = pairs(1, 0, 5);
  const auto map = ResidualFit::solve(moments_of(one), 0.1);
  ASSERT_TRUE(map);
  EXPECT_LT(plain_error(one, &*map), 1e-9);
  EXPECT_FALSE(ResidualFit::solve(ResidualMoments(kWidth), 0.1));
}

TEST(AffineFit, CallsDoNotMatter) {
  const std::vector<Pair> all = pairs(23, 1, 7);
  const std::vector<WeightedPair> whole = borrowed(all);
  ResidualMoments pieces(kWidth);
  for (std::size_t first = 0, count = 1; first < whole.size(); first += count, ++count)
    pieces.add(std::span(whole).subspan(first, std::min(count, whole.size() - first)));
  const auto a = ResidualFit::solve(moments_of(all), 0.01);
  const auto b = ResidualFit::solve(pieces, 0.01);
  EXPECT_EQ(a->turn, b->turn);
  EXPECT_EQ(a->shift, b->shift);
}

TEST(AffineFit, MomentsAddUp) {
  const std::vector<Pair> all = pairs(20, 1, 6);
  ResidualMoments first = moments_of({all.begin(), all.begin() + 7});
  first.add(moments_of({all.begin() + 7, all.end()}));
  EXPECT_EQ(first.pairs(), 20);
  EXPECT_NEAR(ResidualFit::error(first, nullptr), plain_error(all, nullptr), 1e-9);
}

}  // namespace
}  // namespace layerscope
