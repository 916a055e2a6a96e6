// The numbers of a comparison against plain loops over whole matrices.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <random>

#include "analysis/difference.h"
#include "base/half.h"

namespace layerscope {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();

struct Matrices {
  std::int64_t rows = 0, width = 0;
  std::vector<double> a, b;
};

Matrices random_matrices(std::int64_t rows, std::int64_t width, double error) {
  std::mt19937_64 random(7);
  std::normal_distribution<float> normal;
  Matrices m{rows, width, {}, {}};
  for (std::int64_t i = 0; i < rows * width; ++i) {
    const float value = normal(random);
    m.b.push_back(value);
    m.a.push_back(static_cast<float>(value + error * normal(random)));
  }
  return m;
}

Difference gathered(const Matrices& m, DType grid = DType::kF32) {
  DifferenceSum sum(grid);
  const auto width = static_cast<std::size_t>(m.width);
  for (std::size_t row = 0; row < static_cast<std::size_t>(m.rows); ++row)
    sum.add(std::span(m.a).subspan(row * width, width), std::span(m.b).subspan(row * width, width));
  return sum.result();
}

TEST(Difference, EqualsPlainLoops) {
  const Matrices m = random_matrices(13, 17, 1e-3);
  const Difference found = gathered(m);
  double difference = 0, a2 = 0, b2 = 0, dot = 0, absolute = 0, largest = 0;
  std::vector<std::uint64_t> ulps;
  for (std::size_t i = 0; i < m.a.size(); ++i) {
    const double delta = m.a[i] - m.b[i];
    difference += delta * delta;
    a2 += m.a[i] * m.a[i];
    b2 += m.b[i] * m.b[i];
    dot += m.a[i] * m.b[i];
    absolute += std::abs(delta);
    largest = std::max(largest, std::abs(delta));
    std::uint64_t steps = 0;  // counted one by one, below
    if (m.a[i] * m.b[i] > 0) {
      const auto gap = std::abs(static_cast<float>(m.b[i])) * 0x1p-23F;
      steps = static_cast<std::uint64_t>(std::llround(std::abs(delta) / static_cast<double>(gap)));
      EXPECT_NEAR(static_cast<double>(ulps_between(m.a[i], m.b[i], DType::kF32)), static_cast<double>(steps),
                  static_cast<double>(steps) + 2);
    }
    ulps.push_back(ulps_between(m.a[i], m.b[i], DType::kF32));
  }
  EXPECT_EQ(found.tokens, 13);
  EXPECT_EQ(found.elements, 13 * 17);
  EXPECT_DOUBLE_EQ(found.rel_l2, std::sqrt(difference / b2));
  EXPECT_DOUBLE_EQ(found.max_abs, largest);
  EXPECT_NEAR(found.mean_abs, absolute / (13 * 17), 1e-15);
  EXPECT_NEAR(found.cosine, dot / std::sqrt(a2 * b2), 1e-14);
  EXPECT_EQ(found.max_ulps, *std::ranges::max_element(ulps));
  std::ranges::sort(ulps);
  const double median = static_cast<double>(ulps[ulps.size() / 2]);
  EXPECT_LE(found.median_ulps, median);
  EXPECT_GT(2 * found.median_ulps, median);
}

TEST(Difference, FindsTheWorstTokenAndItsElement) {
  Matrices m = random_matrices(9, 5, 1e-6);
  m.a[6 * 5 + 3] += 0.5;
  const Difference found = gathered(m);
  EXPECT_EQ(found.worst_token, 6);
  EXPECT_EQ(found.worst_dimension, 3);
  EXPECT_DOUBLE_EQ(found.worst_token_rel, relative_error(std::span(m.a).subspan(30, 5), std::span(m.b).subspan(30, 5)));
}

TEST(Difference, UlpsAreStepsFromFloatToFloat) {
  float value = 1;
  for (std::uint64_t steps = 0; steps < 5; ++steps) {
    EXPECT_EQ(ulps_between(1.0, static_cast<double>(value), DType::kF32), steps);
    value = std::nextafter(value, 2.0F);
  }
  const float least = std::numeric_limits<float>::denorm_min();
  EXPECT_EQ(ulps_between(static_cast<double>(-least), static_cast<double>(least), DType::kF32), 2U);
  EXPECT_EQ(ulps_between(0.0, -0.0, DType::kF32), 0U);
  EXPECT_EQ(ulps_between(1.0, 1.0 + 0x1p-7, DType::kBF16), 1U);
  EXPECT_EQ(ulps_between(1.0, 1.0 + 0x1p-10, DType::kF16), 1U);
  EXPECT_EQ(ulps_between(1.0, 1.0 + 0x1p-12, DType::kF16), 0U);  // the same once rounded
}

TEST(Difference, EqualRowsDifferByNothing) {
  Matrices m = random_matrices(4, 6, 0);
  const Difference found = gathered(m);
  EXPECT_EQ(found.rel_l2, 0);
  EXPECT_EQ(found.max_ulps, 0U);
  EXPECT_EQ(found.median_ulps, 0);
  EXPECT_EQ(found.worst_token, -1);
  EXPECT_DOUBLE_EQ(found.cosine, 1);
  std::ranges::fill(m.a, 0);
  m.b = m.a;
  EXPECT_EQ(gathered(m).cosine, 1);
  EXPECT_EQ(gathered(m).rel_l2, 0);
}

TEST(Difference, NothingIsFartherThanNoNumber) {
  Matrices m = random_matrices(3, 4, 1e-6);
  m.a[5] = std::nan("");
  const Difference found = gathered(m);
  EXPECT_EQ(found.rel_l2, kInfinity);
  EXPECT_EQ(found.max_abs, kInfinity);
  EXPECT_EQ(found.worst_token, 1);
  EXPECT_EQ(found.worst_dimension, 1);
  Matrices zero{1, 2, {1, 0}, {0, 0}};
  EXPECT_EQ(gathered(zero).rel_l2, kInfinity);
  EXPECT_EQ(gathered(zero).cosine, 0);
}

}  // namespace
}  // namespace layerscope
