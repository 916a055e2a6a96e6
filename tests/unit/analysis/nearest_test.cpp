// The search against sums in long double, by sorting all rows: no code of the search's own.
#include "analysis/nearest.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <limits>
#include <random>
#include <string>

#include "base/half.h"

namespace layerscope {
namespace {

using Hits = std::vector<std::vector<Neighbour>>;

struct Vectors {
  std::vector<float> values;
  std::int64_t width = 0;
  [[nodiscard]] std::int64_t rows() const { return static_cast<std::int64_t>(values.size()) / width; }
  [[nodiscard]] VectorBlock block(std::int64_t first, std::int64_t count) const {
    return {
        .values = {DType::kF32, reinterpret_cast<const std::byte*>(values.data() + first * width), count, width, width},
        .numbers = {},
        .first = first};
  }
};

Vectors random_vectors(std::int64_t rows, std::int64_t width, unsigned seed) {
  std::mt19937 generator(seed);
  std::normal_distribution<float> normal;
  Vectors vectors{.values = std::vector<float>(static_cast<std::size_t>(rows * width)), .width = width};
  for (float& value : vectors.values) value = normal(generator);
  return vectors;
}

long double oracle_score(Metric metric, const float* a, const float* b, std::int64_t width) {
  long double dot = 0, aa = 0, bb = 0, apart = 0;
  for (std::int64_t i = 0; i < width; ++i) {
    const long double x = a[i], y = b[i];
    dot += x * y;
    aa += x * x;
    bb += y * y;
    apart += (x - y) * (x - y);
  }
  if (metric == Metric::kEuclidean) return -std::sqrt(apart);
  if (metric == Metric::kDot) return dot;
  return aa > 0 && bb > 0 ? dot / std::sqrt(aa * bb) : 0;
}

void expect_oracle(const Hits& hits, const Vectors& vectors, const Vectors& queries, Metric metric,
                   std::int64_t top_k) {
  ASSERT_EQ(static_cast<std::int64_t>(hits.size()), queries.rows());
  for (std::int64_t query = 0; query < queries.rows(); ++query) {
    std::vector<std::pair<long double, std::int64_t>> all;
    for (std::int64_t row = 0; row < vectors.rows(); ++row) {
      all.emplace_back(-oracle_score(metric, queries.values.data() + query * vectors.width,
                                     vectors.values.data() + row * vectors.width, vectors.width),
                       row);
    }
    std::sort(all.begin(), all.end());
    const auto& found = hits[static_cast<std::size_t>(query)];
    ASSERT_EQ(static_cast<std::int64_t>(found.size()), std::min(top_k, vectors.rows()));
    for (std::size_t rank = 0; rank < found.size(); ++rank) {
      EXPECT_EQ(found[rank].row, all[rank].second) << "query " << query << " rank " << rank;
      // What float64 sums of such terms may be off by.
      const float* const row = vectors.values.data() + found[rank].row * vectors.width;
      long double terms = 0;
      for (std::int64_t i = 0; i < vectors.width; ++i)
        terms += std::abs(
            static_cast<long double>(queries.values[static_cast<std::size_t>(query * vectors.width + i)]) * row[i]);
      const double unit = 0x1p-53 * static_cast<double>(vectors.width + 8);
      const double score = static_cast<double>(-all[rank].first);
      EXPECT_NEAR(found[rank].score, score, unit * std::max({1.0, std::abs(score), static_cast<double>(terms)}));
    }
  }
}

Hits search(std::span<const VectorBlock> blocks, const Vectors& queries, NearestOptions options,
            VectorCode code = VectorCode::kNumbers) {
  auto opened = NearestRows::open({blocks, queries.width, code}, options);
  EXPECT_TRUE(opened.ok());
  auto hits = (*opened)->find(queries.values);
  EXPECT_TRUE(hits.ok()) << hits.error().message;
  return hits.ok() ? *hits : Hits();
}

void expect_all(const Vectors& vectors, const Vectors& queries, std::int64_t top_k) {
  const VectorBlock block = vectors.block(0, vectors.rows());
  for (const Metric metric : {Metric::kCosine, Metric::kDot, Metric::kEuclidean}) {
    SCOPED_TRACE(kMetricNames[static_cast<std::size_t>(metric)]);
    const Hits hits = search(std::span(&block, 1), queries, {.metric = metric, .top_k = top_k, .threads = 2});
    expect_oracle(hits, vectors, queries, metric, top_k);
  }
}

TEST(Nearest, RandomVectorsOfManyShapes) {
  for (const std::int64_t width : {1, 3, 16, 61, 384}) {
    for (const std::int64_t rows : {1, 255, 256, 1000}) {
      for (const std::int64_t queries : {1, 4, 5, 17, 40}) {
        SCOPED_TRACE(std::to_string(width) + " x " + std::to_string(rows) + ", " + std::to_string(queries));
        expect_all(random_vectors(rows, width, 1), random_vectors(queries, width, 2), 7);
      }
    }
  }
}

TEST(Nearest, MoreQueriesThanOneProductTakes) { expect_all(random_vectors(700, 24, 3), random_vectors(600, 24, 4), 3); }

TEST(Nearest, EqualScoresRankByRow) {
  // Small integers: every sum is exact, and most rows stand many times.
  std::mt19937 generator(5);
  Vectors vectors{.values = std::vector<float>(2000 * 4), .width = 4},
      queries{.values = std::vector<float>(30 * 4), .width = 4};
  for (float& value : vectors.values) value = static_cast<float>(generator() % 3);
  for (float& value : queries.values) value = static_cast<float>(static_cast<int>(generator() % 5) - 2);
  const VectorBlock block = vectors.block(0, vectors.rows());
  for (const Metric metric : {Metric::kDot, Metric::kEuclidean}) {
    const Hits hits = search(std::span(&block, 1), queries, {.metric = metric, .top_k = 50, .threads = 2});
    expect_oracle(hits, vectors, queries, metric, 50);
  }
  Vectors copies{.values = {}, .width = 4};
  for (int i = 0; i < 1500; ++i) copies.values.insert(copies.values.end(), {0.1F, 0.2F, -0.3F, 0.7F});
  for (const auto& query : search(std::vector{copies.block(0, 1500)}, queries, {.top_k = 1500, .threads = 3})) {
    for (std::size_t rank = 0; rank < query.size(); ++rank) ASSERT_EQ(query[rank].row, static_cast<std::int64_t>(rank));
  }
}

TEST(Nearest, NearlyEqualScoresAreTold) {
  // Rows that differ from one another in the last bit of one element: float32 products cannot rank them.
  const Vectors base = random_vectors(1, 128, 6);
  Vectors vectors{.values = {}, .width = 128};
  std::mt19937 generator(7);
  for (int row = 0; row < 600; ++row) {
    std::vector<float> copy = base.values;
    for (int changes = 0; changes < 3; ++changes) {
      float& value = copy[generator() % 128];
      value = std::nextafter(value, generator() % 2 == 0 ? 9.0F : -9.0F);
    }
    vectors.values.insert(vectors.values.end(), copy.begin(), copy.end());
  }
  const VectorBlock block = vectors.block(0, vectors.rows());
  const Vectors queries = random_vectors(20, 128, 8);
  auto backend = make_cpu_backend({});
  for (const Metric metric : {Metric::kCosine, Metric::kDot, Metric::kEuclidean}) {
    const Hits hits = search(std::span(&block, 1), queries, {.metric = metric, .top_k = 100, .threads = 2});
    EXPECT_EQ(hits, nearest_rows_reference(**backend, {std::span(&block, 1), 128}, queries.values, metric, 100));
    if (metric == Metric::kDot) expect_oracle(hits, vectors, queries, metric, 100);
  }
}

TEST(Nearest, MagnitudesBeyondFloat32Products) {
  std::mt19937 generator(9);
  Vectors vectors = random_vectors(800, 32, 10), queries = random_vectors(24, 32, 11);
  const auto scale = [&](Vectors& of) {
    for (std::int64_t row = 0; row < of.rows(); ++row) {
      const int exponent = static_cast<int>(generator() % 120) - 60;
      for (std::int64_t i = 0; i < of.width; ++i)
        of.values[static_cast<std::size_t>(row * of.width + i)] *= std::ldexp(1.0F, exponent);
    }
  };
  scale(vectors);
  scale(queries);
  for (int row = 0; row < 40; ++row) {  // beyond what squares in float32 can hold, subnormal, and nothing
    float* const at = vectors.values.data() + row * 20 * 32;
    for (int i = 0; i < 32; ++i) at[i] *= row % 3 == 0 ? 0.0F : row % 3 == 1 ? 0x1p60F : 0x1p-60F;
  }
  std::fill_n(queries.values.begin(), 32, 0.0F);
  for (int i = 0; i < 32; ++i) queries.values[static_cast<std::size_t>(32 + i)] = 0x1p-149F;
  const VectorBlock block = vectors.block(0, vectors.rows());
  auto backend = make_cpu_backend({});
  for (const Metric metric : {Metric::kCosine, Metric::kDot, Metric::kEuclidean}) {
    const Hits hits = search(std::span(&block, 1), queries, {.metric = metric, .top_k = 30, .threads = 2});
    EXPECT_EQ(hits, nearest_rows_reference(**backend, {std::span(&block, 1), 32}, queries.values, metric, 30));
  }
}

TEST(Nearest, CancellationWithinARow) {
  // Huge elements that cancel in the product: its float32 error is far above what is left.
  Vectors vectors = random_vectors(600, 64, 12);
  for (std::int64_t row = 0; row < vectors.rows(); ++row) {
    float* const at = vectors.values.data() + row * 64;
    at[3] = at[7] = 4096.0F + static_cast<float>(row % 5);
  }
  Vectors queries = random_vectors(24, 64, 13);
  for (std::int64_t row = 0; row < queries.rows(); ++row) {
    queries.values[static_cast<std::size_t>(row * 64 + 3)] = 1000;
    queries.values[static_cast<std::size_t>(row * 64 + 7)] = -1000;
  }
  expect_all(vectors, queries, 25);
}

TEST(Nearest, BlocksThreadsAndInstructionSetsChangeNothing) {
  const Vectors vectors = random_vectors(1500, 48, 14), queries = random_vectors(33, 48, 15);
  const VectorBlock whole = vectors.block(0, 1500);
  const std::vector<VectorBlock> parts = {vectors.block(900, 600), vectors.block(0, 1), vectors.block(1, 899)};
  const Hits expected = search(std::span(&whole, 1), queries, {.threads = 1});
  for (const int threads : {1, 2, 3, 4}) EXPECT_EQ(search(parts, queries, {.threads = threads}), expected);
  for (const std::string& isa : cpu_isas())
    EXPECT_EQ(search(parts, queries, {.threads = 2, .isa = isa}), expected) << isa;
}

TEST(Nearest, RowsCarryTheirNumbers) {
  const Vectors vectors = random_vectors(400, 8, 16), queries = random_vectors(6, 8, 17);
  std::vector<std::int64_t> even, odd;
  Vectors halves[2] = {{.values = {}, .width = 8}, {.values = {}, .width = 8}};
  for (std::int64_t row = 0; row < 400; ++row) {
    (row % 2 == 0 ? even : odd).push_back(row);
    auto& half = halves[row % 2].values;
    half.insert(half.end(), vectors.values.begin() + row * 8, vectors.values.begin() + (row + 1) * 8);
  }
  std::vector<VectorBlock> blocks = {halves[0].block(0, 200), halves[1].block(0, 200)};
  blocks[0].numbers = even;
  blocks[1].numbers = odd;
  const Hits hits = search(blocks, queries, {.metric = Metric::kDot, .threads = 2});
  expect_oracle(hits, vectors, queries, Metric::kDot, 10);
}

TEST(Nearest, EveryStoredType) {
  const std::int64_t width = 40;
  const Vectors vectors = random_vectors(500, width, 18), queries = random_vectors(20, width, 19);
  const auto expect = [&](DType dtype, VectorCode code, std::int64_t stored, const std::vector<std::uint8_t>& bytes,
                          const Vectors& means) {
    const VectorBlock block{.values = {dtype, reinterpret_cast<const std::byte*>(bytes.data()), 500, stored, stored},
                            .numbers = {}};
    const Hits hits = search(std::span(&block, 1), queries, {.metric = Metric::kDot, .threads = 2}, code);
    expect_oracle(hits, means, queries, Metric::kDot, 10);
  };
  for (const DType dtype : {DType::kF16, DType::kBF16}) {
    std::vector<std::uint8_t> bytes(vectors.values.size() * 2);
    Vectors means = vectors;
    for (std::size_t i = 0; i < means.values.size(); ++i) {
      const bool f16 = dtype == DType::kF16;
      const std::uint16_t half = f16 ? float_to_f16(vectors.values[i]) : float_to_bf16(vectors.values[i]);
      std::memcpy(bytes.data() + 2 * i, &half, 2);
      means.values[i] = f16 ? f16_to_float(half) : bf16_to_float(half);
    }
    expect(dtype, VectorCode::kNumbers, width, bytes, means);
  }
  for (const DType dtype : {DType::kI8, DType::kU8}) {
    std::vector<std::uint8_t> bytes(vectors.values.size()), bits(500 * 5);
    Vectors means = vectors, ones = vectors, signs = vectors;
    std::mt19937 generator(20);
    const int shift = dtype == DType::kI8 ? 128 : 0;
    for (std::size_t i = 0; i < bytes.size(); ++i) {
      bytes[i] = static_cast<std::uint8_t>(generator());
      means.values[i] = dtype == DType::kI8 ? static_cast<float>(static_cast<std::int8_t>(bytes[i])) : bytes[i];
      const bool one = generator() % 2 == 0;
      if (one) bits[i / 8] = static_cast<std::uint8_t>(bits[i / 8] | 1U << (7 - i % 8));
      ones.values[i] = one ? 1.0F : 0.0F;
      signs.values[i] = one ? 1.0F : -1.0F;
    }
    for (std::uint8_t& byte : bits) byte = static_cast<std::uint8_t>(byte - shift);
    expect(dtype, VectorCode::kNumbers, width, bytes, means);
    expect(dtype, VectorCode::kBits, 5, bits, ones);
    expect(dtype, VectorCode::kSigns, 5, bits, signs);
  }
}

TEST(Nearest, ValuesThatAreNoNumbersAreNamed) {
  for (const float bad : {std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity()}) {
    Vectors vectors = random_vectors(900, 12, 21), queries = random_vectors(3, 12, 22);
    vectors.values[700 * 12 + 11] = bad;
    vectors.values[31 * 12] = bad;
    const VectorBlock block = vectors.block(0, 900);
    for (const int threads : {1, 4}) {
      auto search = NearestRows::open({std::span(&block, 1), 12}, {.threads = threads});
      auto hits = (*search)->find(queries.values);
      ASSERT_FALSE(hits.ok());
      EXPECT_NE(hits.error().message.find("row 31 "), std::string::npos) << hits.error().message;
      queries.values[25] = bad;
      EXPECT_NE((*search)->find(queries.values).error().message.find("query 2 "), std::string::npos);
      queries.values[25] = 0;
    }
  }
}

TEST(Nearest, NothingToFind) {
  const Vectors queries = random_vectors(3, 12, 23);
  const Hits none = search({}, queries, {});
  ASSERT_EQ(none.size(), 3U);
  EXPECT_TRUE(none[0].empty() && none[2].empty());
  const Vectors vectors = random_vectors(5, 12, 24);
  EXPECT_EQ(search(std::vector{vectors.block(0, 5)}, queries, {.top_k = 1'000'000})[1].size(), 5U);
}

TEST(Nearest, RescoringRanksTheCandidatesAnew) {
  const std::vector<std::vector<float>> rows = {{1, 0}, {0, 2}, {3, 0}};
  const std::vector<float> query = {1, 0.5F};
  const std::vector<Neighbour> ranked =
      rescored(Metric::kDot, query, {{9, 0}, {8, 1}, {7, 2}}, 2,
               [&](std::int64_t row) { return std::span(rows[static_cast<std::size_t>(row)]); });
  EXPECT_EQ(ranked, (std::vector<Neighbour>{{3, 2}, {1, 0}}));
}

}  // namespace
}  // namespace layerscope
