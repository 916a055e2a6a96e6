#include "probe/samples.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>

#include "probe/layers.h"
#include "support/temp_folder.h"

namespace layerscope {
namespace {

using test::TempFolder;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

/// Samples of a file of row labels over `rows` rows of three tokens.
Result<ProbeSamples> collect(const std::string& path, std::int64_t rows, std::optional<ProbeKind> kind = {}) {
  const Result<LabelFile> file = LabelFile::read(path, "");
  if (!file) return file.error();
  SampleCollector collector(*file);
  const std::vector<std::int32_t> ids = {1, 2, 3};
  for (std::int64_t number = 0; number < rows; ++number) {
    Result<const RowLabels*> row = collector.wanted(number, std::nullopt);
    if (!row) return row.error();
    if (*row == nullptr) continue;
    const auto places =
        collector.add(number, **row, {.ids = ids, .special = {}, .offsets = {}, .sequence = {}, .text = {}});
    if (!places) return places.error();
    if (places->size() != 1 || places->front().count != 3) return Error{ErrorCode::kRuntime, "not the whole row"};
  }
  return std::move(collector).finish(kind);
}

TEST(Samples, ClassesGoByNameWhateverOrderTheyComeIn) {
  const TempFolder temp;
  const auto samples = collect(temp.write("a.txt", "b\nc\n\na\nb\nz\n"), 5);
  ASSERT_TRUE(samples) << samples.error().message;
  EXPECT_EQ(samples->kind, ProbeKind::kClassify);
  EXPECT_THAT(samples->class_names, ElementsAre("a", "b", "c"));
  EXPECT_THAT(samples->classes, ElementsAre(1, 2, 0, 1));
  EXPECT_THAT(samples->groups, ElementsAre(-1, -2, -4, -5));
  EXPECT_EQ(samples->rows, 4);
  EXPECT_EQ(samples->unmatched, 1) << "the last line is of no row";
}

TEST(Samples, NumbersAreClassesOnlyWhereTheyAreFewAndWhole) {
  const TempFolder temp;
  const auto whole = collect(temp.write("a.txt", "10\n-1\n2\n10\n"), 4);
  ASSERT_TRUE(whole) << whole.error().message;
  EXPECT_THAT(whole->class_names, ElementsAre("-1", "2", "10")) << "in the order of their value";
  const auto real = collect(temp.write("b.txt", "1\n2.5\n1\n"), 3);
  ASSERT_TRUE(real) << real.error().message;
  EXPECT_EQ(real->kind, ProbeKind::kRegress);
  EXPECT_THAT(real->targets, ElementsAre(1.0, 2.5, 1.0));
  std::string many;
  for (int k = 0; k < 21; ++k) many += std::to_string(k) + "\n";
  EXPECT_EQ(collect(temp.write("c.txt", many), 21)->kind, ProbeKind::kRegress);
  EXPECT_EQ(collect(temp.write("c.txt", many), 20)->kind, ProbeKind::kClassify) << "labels of rows that are there";
  EXPECT_EQ(collect(temp.write("c.txt", many), 21, ProbeKind::kClassify)->class_names.size(), 21U);
  EXPECT_EQ(collect(temp.write("a.txt", "1\n2\n"), 2, ProbeKind::kRegress)->kind, ProbeKind::kRegress);
}

TEST(Samples, NamedGroupsJoinRows) {
  const TempFolder temp;
  const auto samples = collect(temp.write("a.tsv", "label\tgroup\nx\tone\ny\t\nx\ttwo\ny\tone\n"), 4);
  ASSERT_TRUE(samples) << samples.error().message;
  EXPECT_THAT(samples->groups, ElementsAre(0, -2, 1, 0));
}

TEST(Samples, SayWhatIsWrong) {
  const TempFolder temp;
  const auto none = collect(temp.write("a.jsonl", "{\"row\":9,\"label\":\"x\"}\n"), 4);
  ASSERT_FALSE(none);
  EXPECT_EQ(none.error().code, ErrorCode::kUsage);
  EXPECT_THAT(none.error().message, HasSubstr("labels nothing of the input (1 labelled rows, 0 of them in the input)"));
  EXPECT_THAT(collect(temp.write("b.txt", "x\ny\n"), 2, ProbeKind::kRegress).error().message,
              HasSubstr("needs numbers"));
  std::string many;
  for (int k = 0; k < 2049; ++k) many += "c" + std::to_string(k) + "\n";
  EXPECT_THAT(collect(temp.write("c.txt", many), 2049).error().message, HasSubstr("at most 2048 classes"));
}

TEST(GatheredLayers, AreTheSameInMemoryAndInFiles) {
  const TempFolder temp;
  const std::vector<ProbeSite> sites = {{"a", 0, 3}, {"b", 1, 2}};
  std::vector<std::vector<std::vector<float>>> seen;
  for (const std::size_t memory : {std::size_t{0}, std::size_t{100}, std::size_t{1} << 20}) {
    GatheredLayers layers(sites, temp.path().string(), memory);
    for (int piece = 0; piece < 40; ++piece) {
      const std::vector<float> values(6, static_cast<float>(piece));
      ASSERT_TRUE(layers.append(0, values));
      ASSERT_TRUE(layers.append(1, std::span(values).first(4)));
    }
    ASSERT_TRUE(layers.finish());
    EXPECT_TRUE(std::filesystem::is_empty(temp.path())) << "its files have no names";
    std::vector<std::vector<float>>& values = seen.emplace_back();
    for (std::size_t site = 0; site < 2; ++site) {
      const std::vector<VectorBlock> blocks = layers.blocks(site);
      ASSERT_EQ(blocks.size(), 1U);
      ASSERT_EQ(blocks[0].values.rows, 80);
      ASSERT_EQ(blocks[0].values.width, sites[site].width);
      std::vector<float>& copy = values.emplace_back(static_cast<std::size_t>(80 * sites[site].width));
      std::memcpy(copy.data(), blocks[0].values.data, copy.size() * sizeof(float));
    }
  }
  EXPECT_EQ(seen[0], seen[2]);
  EXPECT_EQ(seen[1], seen[2]);
  EXPECT_EQ(seen[2][0][5], 0.0F);
  EXPECT_EQ(seen[2][1].back(), 39.0F);
}

TEST(GatheredLayers, SayWhereThereIsNoRoom) {
  GatheredLayers layers({{"a", 0, 1}}, "/nothing/there", 0);
  const Status added = layers.append(0, std::vector<float>{1});
  ASSERT_FALSE(added);
  EXPECT_THAT(added.error().message, HasSubstr("/nothing/there"));
}

}  // namespace
}  // namespace layerscope
