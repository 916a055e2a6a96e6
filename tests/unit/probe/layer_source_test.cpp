#include <limits>
#include <set>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "probe/joined_layers.h"
#include "probe/layer_source.h"
#include "probe/similarity.h"
#include "probe/vector_sample.h"

namespace layerscope {
namespace {

using ::testing::HasSubstr;

/// Rows of one site two wide: each vector is (row, position). A block holds `together` rows.
class FakeSource final : public LayerSource {
 public:
  FakeSource(std::string path, std::vector<std::pair<std::int64_t, std::int64_t>> rows, std::size_t together)
      : path_(std::move(path)), rows_(std::move(rows)), together_(together) {
    sites_.push_back({.name = "embed", .width = 2, .hf_index = 0});
  }
  const std::string& path() const noexcept override { return path_; }
  const std::vector<StoredSite>& sites() const noexcept override { return sites_; }
  Result<bool> next(LayerBlock& block) override {
    block.clear();
    block.values.resize(1);
    for (std::size_t k = 0; k < together_ && at_ < rows_.size(); ++k, ++at_) {
      const auto [number, count] = rows_[at_];
      block.rows.push_back({number, block.vectors(), count});
      for (std::int64_t position = 0; position < count; ++position) {
        block.positions.push_back(static_cast<std::int32_t>(position));
        block.values[0].push_back(static_cast<float>(number));
        block.values[0].push_back(static_cast<float>(position));
      }
    }
    return !block.rows.empty();
  }

 private:
  std::string path_;
  std::vector<StoredSite> sites_;
  std::vector<std::pair<std::int64_t, std::int64_t>> rows_;
  std::size_t together_, at_ = 0;
};

std::vector<std::int64_t> common_rows(FakeSource& a, FakeSource& b, std::int64_t& unmatched) {
  JoinedLayers joined(a, &b);
  std::vector<std::int64_t> numbers;
  LayerBlock block;
  while (joined.next(block).value()) {
    EXPECT_EQ(block.values.size(), 2U);
    EXPECT_EQ(block.values[0], block.values[1]);
    for (const LayerRow& row : block.rows) {
      numbers.push_back(row.number);
      for (std::int64_t k = 0; k < row.count; ++k) {
        const auto vector = static_cast<std::size_t>(2 * (row.first + k));
        EXPECT_EQ(block.values[0][vector], static_cast<float>(row.number));
        EXPECT_EQ(block.values[0][vector + 1], static_cast<float>(k));
      }
    }
  }
  unmatched = joined.unmatched();
  return numbers;
}

TEST(JoinedLayers, TakeTheRowsThatBothHave) {
  for (const std::size_t together : {1U, 2U, 9U}) {
    FakeSource a("a", {{0, 2}, {1, 1}, {4, 3}, {7, 0}, {9, 1}}, together);
    FakeSource b("b", {{1, 1}, {2, 5}, {4, 3}, {7, 0}, {9, 1}}, 2);
    std::int64_t unmatched = 0;
    EXPECT_EQ(common_rows(a, b, unmatched), (std::vector<std::int64_t>{1, 4, 7, 9}));
    EXPECT_EQ(unmatched, 2);
  }
}

TEST(JoinedLayers, RefuseARowWithOtherVectors) {
  FakeSource a("one", {{3, 2}}, 1), b("other", {{3, 4}}, 1);
  JoinedLayers joined(a, &b);
  LayerBlock block;
  const auto more = joined.next(block);
  ASSERT_FALSE(more);
  EXPECT_EQ(more.error().code, ErrorCode::kUsage);
  EXPECT_THAT(more.error().message, HasSubstr("other: row 3 has 4 vectors where one has 2"));
}

std::vector<std::vector<float>> sampled(std::int64_t capacity, std::uint64_t seed, std::size_t together) {
  FakeSource source("a", {{0, 40}, {2, 10}, {3, 50}}, together);
  VectorSample sample(capacity, seed, {2});
  LayerBlock block;
  while (source.next(block).value()) sample.add(block);
  EXPECT_EQ(sample.rows(), std::min<std::int64_t>(capacity, 100));
  return sample.take();
}

TEST(VectorSample, IsTheSameHoweverVectorsCome) {
  const auto some = sampled(20, 1, 1);
  EXPECT_EQ(some, sampled(20, 1, 3));
  EXPECT_NE(some, sampled(20, 2, 3));
  std::set<std::pair<float, float>> seen;
  for (std::size_t k = 0; k < some[0].size(); k += 2) {
    const std::pair<float, float> vector{some[0][k], some[0][k + 1]};
    EXPECT_TRUE(seen.empty() || *seen.rbegin() < vector);  // by row and position, none twice
    seen.insert(vector);
  }
  EXPECT_EQ(seen.size(), 20U);
  // A smaller sample is part of a larger one.
  const auto fewer = sampled(5, 1, 2);
  for (std::size_t k = 0; k < fewer[0].size(); k += 2) EXPECT_TRUE(seen.contains({fewer[0][k], fewer[0][k + 1]}));
  EXPECT_EQ(sampled(1000, 1, 2)[0].size(), 200U);
}

TEST(Similarity, SizesAreSaidBeforeAnythingIsRead) {
  EXPECT_EQ(similarity_bytes({384, 384}, 0), 3U * 384 * 384 * 8);
  EXPECT_EQ(similarity_bytes({384, 384}, 10), 2U * 384 * 4 * 10 + 3U * 100 * 8);
  EXPECT_EQ(similarity_bytes({2, 2}, 1000), 2U * 2 * 4 * 1000 + 3U * 4 * 8);
  EXPECT_FALSE(
      similarity_bytes({std::numeric_limits<std::int32_t>::max(), 2}, std::numeric_limits<std::int64_t>::max()));
  FakeSource a("folder", {{0, 3}}, 1);
  const auto report = measure_similarity(a, nullptr, {.vectors = std::int64_t{1} << 40});
  ASSERT_FALSE(report);
  EXPECT_EQ(report.error().code, ErrorCode::kResource);
  EXPECT_THAT(report.error().message, HasSubstr("folder: the products of 1 layers up to 2 wide take"));
  LayerBlock block;
  EXPECT_TRUE(a.next(block).value());
}

TEST(Similarity, SitesWithOtherVectorsDoNotGoTogether) {
  StoredSite tokens{.name = "embed", .width = 2}, pooled{.name = "final", .unit = StoredUnit::kPooled, .width = 2};
  StoredSite decoder{.name = "dec.embed", .stack = StackId::kDecoder, .width = 2};
  EXPECT_TRUE(check_side_by_side("run", {tokens, tokens}));
  EXPECT_FALSE(check_side_by_side("run", {tokens, pooled}));
  EXPECT_FALSE(check_side_by_side("run", {tokens, decoder}));
  decoder.unit = StoredUnit::kPooled;
  EXPECT_TRUE(check_side_by_side("run", {pooled, decoder}));
}

}  // namespace
}  // namespace layerscope
