#include "probe/given_layers.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <numeric>

#include "probe/gather.h"

namespace layerscope {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

RowsView view(const std::vector<float>& values, std::int64_t width) {
  const auto rows = static_cast<std::int64_t>(values.size()) / width;
  return {DType::kF32, reinterpret_cast<const std::byte*>(values.data()), rows, width, width};
}

TEST(GivenLayers, EveryVectorIsARowAndComesOnce) {
  const std::int64_t rows = 3000;  // of more elements than a block takes
  std::vector<float> wide(static_cast<std::size_t>(rows) * 400), narrow(static_cast<std::size_t>(rows));
  std::iota(wide.begin(), wide.end(), 0.0F);
  std::iota(narrow.begin(), narrow.end(), 0.0F);
  auto source = given_layers("arrays", {{"a", 3, view(wide, 400)}, {"b", std::nullopt, view(narrow, 1)}});
  ASSERT_TRUE(source) << source.error().message;
  ASSERT_EQ((*source)->sites().size(), 2U);
  EXPECT_EQ((*source)->sites()[0].hf_index, 3);
  LayerBlock block;
  std::vector<float> seen_wide, seen_narrow;
  std::int64_t blocks = 0, number = 0;
  while ((*source)->next(block).value()) {
    ++blocks;
    for (const LayerRow& row : block.rows) EXPECT_EQ(row.number, number++);
    seen_wide.insert(seen_wide.end(), block.values[0].begin(), block.values[0].end());
    seen_narrow.insert(seen_narrow.end(), block.values[1].begin(), block.values[1].end());
  }
  EXPECT_GT(blocks, 1);
  EXPECT_EQ(seen_wide, wide);
  EXPECT_EQ(seen_narrow, narrow);
}

TEST(GivenLayers, LayersWithOtherRowsAreNamed) {
  const std::vector<float> values(6);
  EXPECT_THAT(given_layers("arrays", {{"a", {}, view(values, 2)}, {"b", {}, view(values, 3)}}).error().message,
              HasSubstr("a has 3 vectors, b has 2"));
  EXPECT_EQ(given_layers("arrays", {}).error().code, ErrorCode::kUsage);
}

TEST(GatherFromVectors, TakesWhatHasALabel) {
  const auto labels =
      LabelFile::of_json("{\"label\":\"x\"}\n{\"label\":null}\n\n{\"label\":\"y\",\"group\":7}\n", "labels", "");
  ASSERT_TRUE(labels) << labels.error().message;
  const std::vector<float> values = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9};
  const auto gathered = gather_from_vectors("arrays", {{"a", {}, view(values, 2)}}, *labels, {.folder = "."});
  ASSERT_TRUE(gathered) << gathered.error().message;
  EXPECT_THAT(gathered->samples.classes, ElementsAre(0, 1));
  const std::vector<VectorBlock> blocks = gathered->layers->blocks(0);
  ASSERT_EQ(blocks.size(), 1U);
  ASSERT_EQ(blocks[0].values.rows, 2);
  EXPECT_EQ(blocks[0].values.row<float>(0)[1], 1);
  EXPECT_EQ(blocks[0].values.row<float>(1)[0], 6);  // the blank line is counted
}

TEST(GatherFromVectors, LabelsOfTokensAreRefused) {
  const auto labels = LabelFile::of_json("{\"labels\":[\"x\",\"y\"]}\n", "labels", "");
  const std::vector<float> values(4);
  const auto gathered = gather_from_vectors("arrays", {{"a", {}, view(values, 2)}}, *labels, {.folder = "."});
  EXPECT_EQ(gathered.error().code, ErrorCode::kUsage);
  EXPECT_THAT(LabelFile::of_json("{\"label\":\n", "labels", "").error().message, HasSubstr("labels:1"));
}

}  // namespace
}  // namespace layerscope
