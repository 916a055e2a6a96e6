// k-means and the silhouette against scikit-learn (tests/oracle/make_clusters.py), and what must hold beyond it.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <optional>
#include <set>
#include <string>

#include "analysis/blocks.h"
#include "analysis/kmeans.h"
#include "analysis/kmeans_seeding.h"
#include "analysis/random.h"
#include "analysis/silhouette.h"
#include "base/json.h"

namespace layerscope {
namespace {

using ::testing::HasSubstr;

double number(const Json& json) { return json.real() != nullptr ? *json.real() : static_cast<double>(*json.integer()); }

template <class T>
std::vector<T> flat(const Json& table) {
  std::vector<T> values;
  for (const Json& row : *table.array()) {
    for (const Json& value : *row.array()) values.push_back(static_cast<T>(number(value)));
  }
  return values;
}

std::vector<float> cloud(std::size_t rows, std::size_t width, std::size_t groups, std::uint64_t seed) {
  SplitMix64 random(seed);
  std::vector<float> middles(groups * width), values;
  for (float& value : middles) value = static_cast<float>(4 * random.unit());
  for (std::size_t row = 0; row < rows; ++row) {
    const std::size_t group = random.below(groups);
    for (std::size_t i = 0; i < width; ++i)
      values.push_back(middles[group * width + i] + static_cast<float>(random.unit()));
  }
  return values;
}

KMeans clusters_of(const std::vector<float>& values, std::size_t width, const KMeansOptions& options) {
  auto found = k_means({values, width}, options);
  EXPECT_TRUE(found) << found.error().message;
  return found ? std::move(found).value() : KMeans();
}

TEST(KMeans, EqualsScikitLearn) {
  const Json file =
      read_json_file(std::string(LAYERSCOPE_SOURCE_DIR) + "/tests/data/clusters.json", ErrorCode::kRuntime).value();
  for (const Json& one : *file.find("cases")->array()) {
    SCOPED_TRACE(*one.find("name")->string());
    const std::vector<float> points = flat<float>(*one.find("points"));
    const std::size_t width = one.find("points")->array()->front().array()->size();
    KMeansOptions options;
    options.centres = flat<double>(*one.find("begin"));
    options.k = options.centres.size() / width;
    options.max_iterations = static_cast<std::size_t>(*one.find("max_iterations")->integer());
    const KMeans found = clusters_of(points, width, options);
    std::vector<std::uint32_t> labels;
    for (const Json& label : *one.find("labels")->array())
      labels.push_back(static_cast<std::uint32_t>(*label.integer()));
    EXPECT_EQ(found.labels, labels);
    EXPECT_NEAR(found.inertia, number(*one.find("inertia")), 1e-6 * found.inertia);
    const std::vector<double> centres = flat<double>(*one.find("centres"));
    ASSERT_EQ(found.centres.size(), centres.size());
    for (std::size_t i = 0; i < centres.size(); ++i)
      EXPECT_NEAR(found.centres[i], centres[i], 1e-9 * std::max(1.0, std::abs(centres[i])));
    const auto apart = silhouette({points, width}, found.labels, found.k, 0, 2);
    ASSERT_TRUE(apart);
    const Json& expected = *one.find("silhouette");
    ASSERT_EQ(apart->has_value(), !expected.is_null());
    if (*apart) {
      EXPECT_NEAR((*apart)->mean, number(expected), 1e-9);
      EXPECT_EQ((*apart)->rows, labels.size());
    }
  }
}

TEST(KMeans, GivesTheSameBitsOnAnyNumberOfThreads) {
  constexpr std::size_t kWidth = 13, kRows = 3 * kBlockRows + 77;
  const std::vector<float> values = cloud(kRows, kWidth, 9, 5);
  const KMeans alone = clusters_of(values, kWidth, {.k = 12, .seed = 3, .threads = 1, .centres = {}});
  const auto apart = silhouette({values, kWidth}, alone.labels, 12, 3, 1, 1000).value();
  EXPECT_TRUE(alone.converged);
  EXPECT_EQ(apart->rows, 1000U);
  for (int threads = 2; threads <= 4; ++threads) {
    const KMeans found = clusters_of(values, kWidth, {.k = 12, .seed = 3, .threads = threads, .centres = {}});
    EXPECT_EQ(found.labels, alone.labels);
    EXPECT_EQ(found.iterations, alone.iterations);
    EXPECT_EQ(std::memcmp(&found.inertia, &alone.inertia, sizeof(double)), 0);
    EXPECT_EQ(std::memcmp(found.centres.data(), alone.centres.data(), alone.centres.size() * sizeof(double)), 0);
    EXPECT_EQ(silhouette({values, kWidth}, found.labels, 12, 3, threads, 1000).value()->mean, apart->mean);
  }
  const KMeans other = clusters_of(values, kWidth, {.k = 12, .seed = 4, .centres = {}});
  EXPECT_NE(other.labels, alone.labels);
}

// Every row is with its nearest centre, the lower of two; every centre is the mean of its rows; sums are what they say.
TEST(KMeans, EndsWhereNothingMoves) {
  constexpr std::size_t kWidth = 5, kRows = 30'000, kClusters = 8;
  const std::vector<float> values = cloud(kRows, kWidth, 6, 1);
  const KMeans found = clusters_of(values, kWidth, {.k = kClusters, .centres = {}});
  ASSERT_TRUE(found.converged);
  std::vector<double> means(kClusters * kWidth);
  std::vector<std::size_t> sizes(kClusters);
  double inertia = 0;
  for (std::size_t row = 0; row < kRows; ++row) {
    std::vector<double> distances(kClusters);
    for (std::size_t centre = 0; centre < kClusters; ++centre) {
      for (std::size_t i = 0; i < kWidth; ++i) {
        const double x = static_cast<double>(values[row * kWidth + i]) - found.centres[centre * kWidth + i];
        distances[centre] += x * x;
      }
    }
    const auto nearest = std::min_element(distances.begin(), distances.end());
    EXPECT_EQ(found.labels[row], static_cast<std::uint32_t>(nearest - distances.begin()));
    EXPECT_NEAR(found.distances[row], *nearest, 1e-12);
    inertia += *nearest;
    ++sizes[found.labels[row]];
    for (std::size_t i = 0; i < kWidth; ++i)
      means[found.labels[row] * kWidth + i] += static_cast<double>(values[row * kWidth + i]);
  }
  EXPECT_EQ(found.sizes, sizes);
  EXPECT_NEAR(found.inertia, inertia, 1e-9 * inertia);
  EXPECT_GT(*std::ranges::max_element(sizes), 4096U);  // summed in more than one piece
  for (std::size_t i = 0; i < means.size(); ++i)
    EXPECT_NEAR(found.centres[i], means[i] / static_cast<double>(sizes[i / kWidth]), 1e-11);
}

TEST(KMeans, FindsGroupsThatAreFarApart) {
  constexpr std::size_t kWidth = 4, kGroups = 20, kEach = 30;
  std::vector<float> values;
  SplitMix64 random(8);
  for (std::size_t row = 0; row < kGroups * kEach; ++row) {
    for (std::size_t i = 0; i < kWidth; ++i) {
      const std::size_t group = row % kGroups;
      values.push_back(static_cast<float>(100 * (i == group % kWidth ? group + 1 : 0)) +
                       static_cast<float>(random.unit()));
    }
  }
  for (std::uint64_t seed = 0; seed < 10; ++seed) {
    const KMeans found = clusters_of(values, kWidth, {.k = kGroups, .seed = seed, .centres = {}});
    EXPECT_EQ(found.sizes, std::vector<std::size_t>(kGroups, kEach)) << seed;
    for (std::size_t row = kGroups; row < found.labels.size(); ++row)
      EXPECT_EQ(found.labels[row], found.labels[row % kGroups]);
  }
}

// The definition, written out: draw by share of the squared distances, take the best of 2 + ln k.
TEST(KMeans, BeginsWithTheBestOfTheRowsDrawn) {
  constexpr std::size_t kWidth = 3, kRows = 400, kClusters = 25, kDraws = 5;
  const std::vector<float> values = cloud(kRows, kWidth, 30, 11);
  const auto distance = [&](std::size_t a, std::size_t b) {
    double sum = 0;
    for (std::size_t i = 0; i < kWidth; ++i)
      sum += std::pow(static_cast<double>(values[a * kWidth + i]) - static_cast<double>(values[b * kWidth + i]), 2);
    return sum;
  };
  SplitMix64 random(6), same(6);
  std::vector<std::size_t> centres = {random.below(kRows)};
  const auto potential = [&](std::optional<std::size_t> further, std::size_t rows) {
    double sum = 0;
    for (std::size_t row = 0; row < rows; ++row) {
      double least = further ? distance(row, *further) : std::numeric_limits<double>::infinity();
      for (const std::size_t centre : centres) least = std::min(least, distance(row, centre));
      sum += least;
    }
    return sum;
  };
  while (centres.size() < kClusters) {
    std::vector<std::size_t> drawn;
    for (std::size_t draw = 0; draw < kDraws; ++draw) {
      const double mark = random.unit() * potential({}, kRows);
      std::size_t row = 0;
      while (potential({}, row + 1) <= mark) ++row;
      drawn.push_back(row);
    }
    centres.push_back(*std::ranges::min_element(drawn, {}, [&](std::size_t row) { return potential(row, kRows); }));
  }
  EXPECT_EQ(k_means_plus_plus({values, kWidth}, kClusters, same, 2).value(), centres);
}

TEST(KMeans, GivesEqualRowsAndEqualDistancesToTheLowerCentre) {
  const KMeans found = clusters_of({-1, 0, 1}, 1, {.k = 2, .centres = {-1, 1}});
  EXPECT_EQ(found.labels, (std::vector<std::uint32_t>{0, 0, 1}));
  const KMeans same = clusters_of({2, 2, 2, 7}, 1, {.k = 2, .centres = {}});
  EXPECT_EQ(same.labels[0], same.labels[1]);
  EXPECT_EQ(same.labels[1], same.labels[2]);
  EXPECT_NE(same.labels[2], same.labels[3]);
  EXPECT_EQ(same.inertia, 0);
}

TEST(KMeans, RefusesWhatHasNoAnswer) {
  const auto refusal = [](const std::vector<float>& values, std::size_t width, std::size_t k, ErrorCode code) {
    const auto found = k_means({values, width}, {.k = k, .centres = {}});
    if (found) return std::string("clustered");
    EXPECT_EQ(found.error().code, code);
    return found.error().message;
  };
  EXPECT_THAT(refusal({}, 3, 1, ErrorCode::kUsage), HasSubstr("no rows"));
  EXPECT_THAT(refusal({1, 2, 3}, 1, 0, ErrorCode::kUsage), HasSubstr("1 to 3"));
  EXPECT_THAT(refusal({1, 2, 3}, 1, 4, ErrorCode::kUsage), HasSubstr("4 clusters of 3 rows"));
  EXPECT_THAT(refusal({1, 2, 1, 2, 1, 2}, 2, 2, ErrorCode::kUsage), HasSubstr("only 1 of 3 rows are distinct"));
  EXPECT_EQ(refusal({1, 2, 1, 2, 1, 2}, 2, 1, ErrorCode::kUsage), "clustered");
  const float nan = std::numeric_limits<float>::quiet_NaN(), infinity = std::numeric_limits<float>::infinity();
  EXPECT_THAT(refusal({1, 2, nan, 4}, 2, 2, ErrorCode::kRuntime), HasSubstr("vector 1 "));
  EXPECT_THAT(refusal({1, 2, 3, -infinity}, 1, 2, ErrorCode::kRuntime), HasSubstr("vector 3 "));
}

TEST(KMeans, KeepsEveryDistinctRowApartWhereThereIsRoom) {
  const std::vector<float> values = cloud(40, 3, 4, 2);
  const KMeans found = clusters_of(values, 3, {.k = 40, .centres = {}});
  EXPECT_EQ(found.inertia, 0);
  EXPECT_EQ(std::set<std::uint32_t>(found.labels.begin(), found.labels.end()).size(), 40U);
  EXPECT_FALSE(silhouette({values, 3}, found.labels, 40, 0, 1).value());
}

TEST(KMeans, NamesTheNearestRowsOfACentre) {
  const KMeans found = clusters_of({0, 1, 2, 1, 50, 50}, 1, {.k = 2, .centres = {0, 50}});
  const auto nearest = nearest_rows(found, 3);
  EXPECT_EQ(nearest, (std::vector<std::vector<std::size_t>>{{1, 3, 0}, {4, 5}}));
  EXPECT_TRUE(nearest_rows(found, 0)[0].empty());
}

}  // namespace
}  // namespace layerscope
