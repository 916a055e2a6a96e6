#include "job/scheduler.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <numeric>
#include <random>

#include "job/estimate.h"

namespace layerscope {
namespace {

using ::testing::ElementsAre;

std::int64_t sum_of(const std::vector<std::int64_t>& tokens, const std::vector<std::size_t>& picked) {
  return std::accumulate(picked.begin(), picked.end(), std::int64_t{0},
                         [&](std::int64_t sum, std::size_t index) { return sum + tokens[index]; });
}

TEST(PickRows, TakesTheFirstAndFillsTheBudgetExactly) {
  EXPECT_THAT(pick_rows({10, 50, 20, 3, 2}, 64, false), ElementsAre(0, 1, 3));  // 63: no 64 can be reached
  EXPECT_THAT(pick_rows({10, 50, 20, 4, 2}, 64, false), ElementsAre(0, 1, 3));
  EXPECT_THAT(pick_rows({10, 7, 20, 9, 5}, 32, false), ElementsAre(0, 1, 3, 4));
}

TEST(PickRows, LongRowsGoAlone) {
  EXPECT_THAT(pick_rows({100, 1, 2}, 64, false), ElementsAre(0));
  EXPECT_THAT(pick_rows({1, 100, 2}, 64, true), ElementsAre(1));
  EXPECT_THAT(pick_rows({64, 1}, 64, false), ElementsAre(0));
  EXPECT_TRUE(pick_rows({}, 64, false).empty());
}

TEST(PickRows, EveryRowIsTakenOnceAndBatchesMeetTheBudget) {
  std::mt19937 random(7);
  std::vector<std::int64_t> tokens;
  for (int row = 0; row < 400; ++row) tokens.push_back(1 + static_cast<std::int64_t>(random() % 120));
  std::int64_t exact = 0;
  std::int64_t batches = 0;
  while (!tokens.empty()) {
    const auto picked = pick_rows(tokens, 256, false);
    ASSERT_EQ(picked[0], 0U);
    const std::int64_t sum = sum_of(tokens, picked);
    ASSERT_LE(sum, 256);
    exact += sum == 256 ? 1 : 0;
    ++batches;
    for (auto index = picked.rbegin(); index != picked.rend(); ++index)
      tokens.erase(tokens.begin() + static_cast<std::ptrdiff_t>(*index));
  }
  EXPECT_GT(exact, batches * 8 / 10);
}

TEST(PickRows, PrefersAMultipleOf16NearTheBudget) {
  // 100 + 27 = 127 is more, but 100 + 12 = 112 fills its tiles.
  const std::vector<std::int64_t> tokens = {100, 27, 12};
  EXPECT_EQ(sum_of(tokens, pick_rows(tokens, 128, false)), 112);
}

TEST(SizeText, IsShort) {
  EXPECT_EQ(size_text(0), "0 bytes");
  EXPECT_EQ(size_text(999), "999 bytes");
  EXPECT_EQ(size_text(1000), "1.0 kB");
  EXPECT_EQ(size_text(41'300'000'000), "41 GB");
  EXPECT_EQ(size_text(999'600), "1.0 MB");
}

}  // namespace
}  // namespace layerscope
