#include <algorithm>
#include <array>
#include <cmath>
#include <random>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "analysis/alignment.h"
#include "analysis/cross_products.h"
#include "analysis/dissimilarity.h"
#include "analysis/eigenvalues.h"
#include "analysis/layer_sums.h"
#include "base/json.h"

namespace layerscope {
namespace {

struct Case {
  std::string name;
  std::int64_t rows = 0;
  std::vector<std::int64_t> widths;
  std::vector<std::vector<float>> layers;
  Json expected;
  [[nodiscard]] std::vector<const float*> pointers() const {
    std::vector<const float*> out;
    for (const std::vector<float>& layer : layers) out.push_back(layer.data());
    return out;
  }
};

double number(const Json& json) { return json.real() ? *json.real() : static_cast<double>(*json.integer()); }
double at(const Json& list, std::size_t k) { return number(list.array()->at(k)); }

std::vector<Case> cases() {
  const Json all =
      read_json_file(std::string(LAYERSCOPE_SOURCE_DIR) + "/tests/data/similarity/cases.json", ErrorCode::kRuntime)
          .value();
  std::vector<Case> out;
  for (const Json& json : *all.array()) {
    Case one{*json.find("name")->string(), *json.find("rows")->integer(), {}, {}, json};
    for (const Json& width : *json.find("widths")->array()) one.widths.push_back(*width.integer());
    for (const Json& layer : *json.find("layers")->array()) {
      one.layers.emplace_back();
      for (const Json& value : *layer.array()) one.layers.back().push_back(static_cast<float>(number(value)));
    }
    out.push_back(std::move(one));
  }
  return out;
}

/// Vectors come in pieces of `piece`.
LayerAlignment gathered(const Case& one, std::int64_t piece, int threads) {
  CrossMoments moments(one.widths, threads);
  for (std::int64_t first = 0; first < one.rows; first += piece) {
    std::vector<const float*> from;
    for (std::size_t k = 0; k < one.layers.size(); ++k) from.push_back(one.layers[k].data() + first * one.widths[k]);
    EXPECT_TRUE(moments.add(from, std::min(piece, one.rows - first)));
  }
  return moments.finish().value();
}

std::vector<float> noise(std::size_t count, unsigned seed, float mean = 0) {
  std::mt19937 generator(seed);
  std::normal_distribution<float> normal(mean, 1);
  std::vector<float> out(count);
  for (float& value : out) value = normal(generator);
  return out;
}

void expect_alignment(const Case& one, const LayerAlignment& found) {
  const std::size_t layers = one.layers.size();
  for (std::size_t a = 0; a < layers; ++a) {
    EXPECT_NEAR(found.effective_rank[a], at(*one.expected.find("effective_rank"), a), 1e-6) << one.name << " " << a;
    for (std::size_t b = 0; b < layers; ++b) {
      const double cka = at(one.expected.find("cka")->array()->at(a), b);
      EXPECT_NEAR(found.cka[a * layers + b], cka, 1e-9) << one.name << " " << a << " " << b;
    }
  }
}

TEST(Similarity, AlignmentIsThatOfNumpy) {
  for (const Case& one : cases()) {
    expect_alignment(one, gathered(one, one.rows, 1));
    const auto sampled = align_sample(one.layers, one.widths, one.rows, 2);
    ASSERT_TRUE(sampled);
    expect_alignment(one, *sampled);
  }
}

TEST(Similarity, SumsAreThoseOfNumpy) {
  for (const Case& one : cases()) {
    for (std::size_t k = 0; k < one.layers.size(); ++k) {
      LayerSums sums(one.widths[k]);
      EXPECT_EQ(sums.add(one.layers[k].data(), 5), -1);
      EXPECT_EQ(sums.add(one.layers[k].data() + 5 * one.widths[k], one.rows - 5), -1);
      EXPECT_NEAR(sums.mean_norm(), at(*one.expected.find("norm"), k), 1e-9 * sums.mean_norm()) << one.name;
      EXPECT_NEAR(sums.anisotropy(), at(*one.expected.find("anisotropy"), k), 1e-9) << one.name;
      if (k == 0 || one.widths[k] != one.widths[k - 1]) continue;
      CosineSum cosine;
      cosine.add(one.layers[k - 1].data(), one.layers[k].data(), one.rows, one.widths[k]);
      EXPECT_NEAR(cosine.mean(), at(*one.expected.find("cosine"), k - 1), 1e-9) << one.name;
    }
  }
}

TEST(Similarity, RankCorrelationsAreThoseOfScipy) {
  for (const Case& one : cases()) {
    std::vector<std::vector<float>> ranks;
    for (std::size_t k = 0; k < one.layers.size(); ++k)
      ranks.push_back(dissimilarity_ranks(one.layers[k].data(), one.rows, one.widths[k]));
    for (std::size_t a = 0; a < ranks.size(); ++a) {
      for (std::size_t b = 0; b < ranks.size(); ++b) {
        const double rsa = at(one.expected.find("rsa")->array()->at(a), b);
        EXPECT_NEAR(rank_correlation(ranks[a], ranks[b]), rsa, 1e-6) << one.name << " " << a << " " << b;
      }
    }
  }
}

TEST(Similarity, RanksShareTies) {
  // Rows 0 and 2 are one vector, row 3 does not vary: it correlates with nothing.
  const std::vector<float> rows{1, 2, 4, 3, 2, 1, 1, 2, 4, 5, 5, 5};
  const std::vector<float> ranks = dissimilarity_ranks(rows.data(), 4, 3);
  EXPECT_EQ(ranks, (std::vector<float>{5.5, 1, 3, 5.5, 3, 3}));
  EXPECT_TRUE(std::isnan(rank_correlation(std::vector<float>{2, 2, 2}, std::vector<float>{1, 2, 3})));
}

TEST(Similarity, PiecesAndThreadsChangeNoBit) {
  Case one{"noise", 5003, {7, 19}, {noise(5003 * 7, 1, 3), noise(5003 * 19, 2)}, {}};
  const LayerAlignment whole = gathered(one, one.rows, 1);
  for (const auto& [piece, threads] : {std::pair{1, 2}, {300, 3}, {2048, 1}}) {
    const LayerAlignment found = gathered(one, piece, threads);
    EXPECT_EQ(found.cka, whole.cka);
    EXPECT_EQ(found.effective_rank, whole.effective_rank);
  }
  const auto sampled = align_sample(one.layers, one.widths, 300, 1);
  const auto threaded = align_sample(one.layers, one.widths, 300, 3);
  EXPECT_EQ(sampled->cka, threaded->cka);
}

TEST(Similarity, AlignmentSeesNoTurnNoScaleNoShiftNoOrder) {
  constexpr std::int64_t kRows = 300, kWidth = 8;
  Case one{"turned", kRows, {kWidth, kWidth, kWidth, kWidth}, {noise(kRows * kWidth, 3)}, {}};
  const std::vector<float>& x = one.layers.front();
  std::vector<float> turned, permuted;
  for (std::int64_t row = 0; row < kRows; ++row) {
    const float* const from = x.data() + row * kWidth;
    for (std::int64_t k = 0; k < kWidth; k += 2) {  // a rotation of each plane, and everything scaled and shifted
      turned.push_back(7 * (0.6F * from[k] - 0.8F * from[k + 1]) + 40);
      turned.push_back(7 * (0.8F * from[k] + 0.6F * from[k + 1]) - 9);
    }
    for (std::int64_t k = 0; k < kWidth; ++k) permuted.push_back(from[(k * 3 + 1) % kWidth]);
  }
  one.layers.push_back(turned);
  one.layers.push_back(permuted);
  one.layers.push_back(noise(kRows * kWidth, 4));
  const LayerAlignment found = gathered(one, kRows, 1);
  EXPECT_NEAR(found.cka[1], 1, 1e-6);
  EXPECT_NEAR(found.cka[2], 1, 1e-12);
  EXPECT_LT(found.cka[3], 0.1);
  EXPECT_NEAR(found.effective_rank[1], found.effective_rank[0], 1e-5);

  Case backwards = one;
  for (std::vector<float>& layer : backwards.layers) {
    for (std::int64_t row = 0; row < kRows / 2; ++row)
      std::swap_ranges(layer.begin() + row * kWidth, layer.begin() + (row + 1) * kWidth,
                       layer.begin() + (kRows - 1 - row) * kWidth);
  }
  const LayerAlignment other = gathered(backwards, kRows, 1);
  for (std::size_t k = 0; k < found.cka.size(); ++k) EXPECT_NEAR(other.cka[k], found.cka[k], 1e-12);
}

TEST(Similarity, WhatDoesNotVaryHasNoAlignment) {
  Case one{"constant", 500, {3, 4}, {std::vector<float>(1500, 0.1F), noise(2000, 5)}, {}};
  for (const LayerAlignment& found : {gathered(one, 500, 1), align_sample(one.layers, one.widths, 500, 1).value()}) {
    EXPECT_TRUE(std::isnan(found.cka[0]) && std::isnan(found.cka[1]) && std::isnan(found.effective_rank[0]));
    EXPECT_NEAR(found.cka[3], 1, 1e-12);
  }
  one.rows = 1;
  EXPECT_TRUE(std::isnan(gathered(one, 1, 1).cka[3]));
  EXPECT_TRUE(std::isnan(LayerSums(3).mean_norm()) && std::isnan(LayerSums(3).anisotropy()));
}

TEST(Similarity, ValuesThatAreNotFiniteAreSeen) {
  const std::vector<float> rows{1, 2, 3, INFINITY, 5, 6};
  EXPECT_EQ(LayerSums(2).add(rows.data(), 3), 1);
}

TEST(Similarity, BytesAreCounted) {
  EXPECT_EQ(CrossMoments::bytes(std::vector<std::int64_t>{10, 20}), 8U * (100 + 200 + 400));
  EXPECT_FALSE(CrossMoments::bytes(std::vector<std::int64_t>{std::int64_t{1} << 40, 8}));
  EXPECT_FALSE(sample_alignment_bytes(3, std::int64_t{1} << 40));
}

TEST(CrossProducts, AreThoseOfPlainLoops) {
  for (const auto& [x_width, y_width, rows] : {std::array{1, 1, 1}, {8, 16, 128}, {9, 33, 300}, {40, 5, 129}}) {
    std::vector<double> x, y;
    for (const float value : noise(static_cast<std::size_t>(x_width * rows), 6)) x.push_back(value);
    for (const float value : noise(static_cast<std::size_t>(y_width * rows), 7)) y.push_back(value);
    std::vector<double> found(static_cast<std::size_t>(x_width * y_width), 0.5), expected = found;
    add_cross_products(x.data(), x_width, y.data(), y_width, rows, found.data());
    cross_products_reference(x.data(), x_width, y.data(), y_width, rows, expected.data());
    EXPECT_EQ(found, expected);
  }
}

TEST(Eigenvalues, OfKnownMatrices) {
  EXPECT_TRUE(symmetric_eigenvalues({}, 0).empty());
  EXPECT_NEAR(symmetric_eigenvalues({7}, 1).front(), 7, 1e-14);
  // The second difference: 2 - 2 cos(k pi / (n + 1)).
  constexpr std::int64_t kSize = 50;
  std::vector<double> matrix(kSize * kSize);
  for (std::size_t k = 0; k < kSize; ++k) {
    matrix[k * kSize + k] = 2;
    if (k > 0) matrix[k * kSize + k - 1] = -1;
  }
  const std::vector<double> values = symmetric_eigenvalues(matrix, kSize);
  for (std::size_t k = 0; k < kSize; ++k)
    EXPECT_NEAR(values[k], 2 - 2 * std::cos(static_cast<double>(k + 1) * M_PI / (kSize + 1)), 1e-13);
}

TEST(Eigenvalues, SumsOfPowersAreThoseOfTheMatrix) {
  constexpr std::int64_t kSize = 23;
  std::vector<double> matrix(kSize * kSize);
  const std::vector<float> values = noise(kSize * kSize, 8);
  double trace = 0, squares = 0, largest = 0;
  for (std::size_t a = 0; a < kSize; ++a) {
    for (std::size_t b = 0; b <= a; ++b) {
      matrix[a * kSize + b] = values[a * kSize + b];
      squares += (a == b ? 1 : 2) * matrix[a * kSize + b] * matrix[a * kSize + b];
    }
    trace += matrix[a * kSize + a];
  }
  double sum = 0, powers = 0;
  for (const double value : symmetric_eigenvalues(matrix, kSize)) {
    sum += value;
    powers += value * value;
    largest = std::max(largest, std::abs(value));
  }
  EXPECT_NEAR(sum, trace, 1e-13 * largest * kSize);
  EXPECT_NEAR(powers, squares, 1e-12 * squares);
  EXPECT_NEAR(effective_rank({4, 4, 4, 0, 1e-18}), 3, 1e-12);
  EXPECT_TRUE(std::isnan(effective_rank({0, 0})));
}

}  // namespace
}  // namespace layerscope
