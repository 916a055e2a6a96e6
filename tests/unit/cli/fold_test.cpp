#include "cli/fold.h"

#include <array>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "cli/output.h"
#include "cli/progress.h"

namespace layerscope::cli {
namespace {

using testing::ElementsAre;

TEST(Fold, BlocksBecomeOneLine) {
  const std::vector<BlockLine> lines{{{"embed", "wte", "[8]"}},
                                     {{"block.0.attn.q", "h.0.attn.q", "[8]"}},
                                     {{"block.0.mlp.up", "h.0.mlp.0", "[8]"}},
                                     {{"block.1.attn.q", "h.1.attn.q", "[8]"}},
                                     {{"block.1.mlp.up", "h.1.mlp.0", "[9]"}},
                                     {{"block.2.attn.q", "h.2.attn.q", "[8]"}}};
  const std::vector<FoldedLine> folded = fold(lines);
  ASSERT_EQ(folded.size(), 4U);
  EXPECT_TRUE(folded[0].blocks.empty());
  EXPECT_THAT(folded[1].fields, ElementsAre("block.{i}.attn.q", "h.{i}.attn.q", "[8]"));
  EXPECT_THAT(folded[1].blocks, ElementsAre(0, 1, 2));
  EXPECT_THAT(folded[2].fields, ElementsAre("block.{i}.mlp.up", "h.{i}.mlp.0", "[8]"));
  EXPECT_THAT(folded[3].blocks, ElementsAre(1)) << "another shape is another line";
}

TEST(Fold, NumbersOfBlocks) {
  EXPECT_EQ(block_of("block.12.attn.q"), 12);
  EXPECT_EQ(block_of("enc.block.3.mlp.out"), 3);
  EXPECT_EQ(block_of("final"), -1);
  EXPECT_EQ(block_of("myblock.3.x"), -1);
  EXPECT_EQ(block_of("block.x"), -1);
}

TEST(Fold, Ranges) {
  EXPECT_EQ(range_text(std::array{0, 1, 2, 5, 7, 8}), "0..2, 5, 7..8");
  EXPECT_EQ(range_text({}), "");
}

TEST(ExitStatus, EveryCodeHasItsOwn) {
  EXPECT_EQ(exit_status(ErrorCode::kRuntime), 1);
  EXPECT_EQ(exit_status(ErrorCode::kInput), 1);
  EXPECT_EQ(exit_status(ErrorCode::kUsage), 2);
  EXPECT_EQ(exit_status(ErrorCode::kModel), 4);
  EXPECT_EQ(exit_status(ErrorCode::kResource), 5);
  EXPECT_EQ(exit_status(ErrorCode::kDamage), 6);
  EXPECT_EQ(exit_status(ErrorCode::kCancelled), 130);
}

TEST(Progress, NumbersForPeople) {
  EXPECT_EQ(byte_text(999), "999 B");
  EXPECT_EQ(byte_text(41'234'567'890), "41.2 GB");
  EXPECT_EQ(byte_text(999'600), "1.00 MB");
  EXPECT_EQ(count_text(1234567), "1,234,567");
  EXPECT_EQ(count_text(-1234), "-1,234");
  EXPECT_EQ(count_text(999), "999");
  EXPECT_EQ(duration_text(3.21), "3.2 s");
  EXPECT_EQ(duration_text(250), "4 min 10 s");
  EXPECT_EQ(duration_text(11'520), "3 h 12 min");
}

TEST(Progress, TimeLeftComesFromBytesRead) {
  JobProgress progress;
  progress.rows = 10;
  progress.tokens = 1000;
  progress.input_bytes = 250;
  progress.seconds = 5;
  EXPECT_EQ(progress_text(progress), "10 rows  1,000 tokens  200 tokens/s  0 B written");
  progress.input_total = 1000;
  EXPECT_EQ(progress_text(progress), "10 rows  1,000 tokens  200 tokens/s  0 B written  15 s left");
  EXPECT_THAT(progress_json(progress), testing::HasSubstr("\"seconds_left\":15.0"));
}

}  // namespace
}  // namespace layerscope::cli
