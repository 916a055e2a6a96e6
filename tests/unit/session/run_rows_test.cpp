// Which rows share a batch: never a value, only time, depends on it.
#include "session/run_rows.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <numeric>
#include <string>

#include "session/workers.h"

namespace layerscope {
namespace {

std::int64_t most_tokens(const RowGroups& groups, const std::vector<std::int64_t>& tokens) {
  std::int64_t most = 0;
  for (const auto& group : groups.groups) {
    std::int64_t sum = 0;
    for (const std::size_t row : group) sum += tokens[row];
    most = std::max(most, sum);
  }
  return most;
}

TEST(GroupRows, EveryRowIsInOneGroup) {
  for (const int threads : {1, 2, 7}) {
    for (const std::vector<std::int64_t>& tokens :
         {std::vector<std::int64_t>{5}, {5, 5}, {1, 2, 3, 4, 5}, {2000, 1, 1}, std::vector<std::int64_t>(300, 17)}) {
      const RowGroups groups = group_rows(tokens, threads);
      std::vector<int> seen(tokens.size(), 0);
      for (const auto& group : groups.groups) {
        EXPECT_FALSE(group.empty());
        for (const std::size_t row : group) ++seen[row];
      }
      EXPECT_THAT(seen, ::testing::Each(1));
    }
  }
  EXPECT_TRUE(group_rows({}, 4).groups.empty());
}

TEST(GroupRows, ThreadsGetAboutTheSame) {
  std::vector<std::int64_t> tokens(40);
  std::iota(tokens.begin(), tokens.end(), 10);
  const std::int64_t total = std::accumulate(tokens.begin(), tokens.end(), std::int64_t{0});
  for (const int threads : {2, 4}) {
    const RowGroups groups = group_rows(tokens, threads);
    EXPECT_FALSE(groups.shared);
    EXPECT_EQ(groups.groups.size(), static_cast<std::size_t>(threads));
    EXPECT_LT(most_tokens(groups, tokens), total / threads * 11 / 10);
  }
}

TEST(GroupRows, BatchesStaySmall) {
  const std::vector<std::int64_t> tokens(1000, 100);
  const RowGroups groups = group_rows(tokens, 2);
  EXPECT_LE(most_tokens(groups, tokens), kBatchTokens + 100);
  EXPECT_LE(groups.groups.size(), 110U);
}

TEST(GroupRows, OneLongRowIsSharedByAllThreads) {
  EXPECT_TRUE(group_rows(std::vector<std::int64_t>{500}, 2).shared);
  EXPECT_TRUE(group_rows(std::vector<std::int64_t>{500, 20, 20}, 2).shared);
  EXPECT_FALSE(group_rows(std::vector<std::int64_t>{500}, 1).shared);
  EXPECT_FALSE(group_rows(std::vector<std::int64_t>{500, 500}, 2).shared);
}

// Keeps every value, and asks to stop after some.
class Counting final : public Sink {
 public:
  explicit Counting(std::atomic<bool>* stop) : stop_(stop) {}
  Status accept(const StateFrame&) override {
    ++frames;
    if (stop_ != nullptr) *stop_ = true;
    return {};
  }
  std::atomic<int> frames = 0;

 private:
  std::atomic<bool>* stop_;
};

TEST(RunRows, StopsBetweenTwoValues) {
  const auto model = Model::open(std::string(LAYERSCOPE_SOURCE_DIR) + "/tests/golden/bert-base-v5");
  ASSERT_TRUE(model.ok());
  const auto plan = TapPlan::compile((*model)->sites(), {.layers = "all"});
  ASSERT_TRUE(plan.ok());
  const auto row = (*model)->tokenize({.ids = std::vector<std::int32_t>{3, 4, 5}});
  ASSERT_TRUE(row.ok());
  const std::vector<RowToRun> rows(3, RowToRun{&*row, 0});
  for (const int threads : {1, 2}) {
    Counting all(nullptr);
    EXPECT_TRUE(run_rows(**model, *plan, rows, all, {.threads = threads}).ok());
    EXPECT_EQ(all.frames, 9);
    std::atomic<bool> stop = false;
    Counting some(&stop);
    const Status status = run_rows(**model, *plan, rows, some, {.threads = threads, .stop = &stop});
    ASSERT_FALSE(status.ok());
    EXPECT_EQ(status.error().code, ErrorCode::kCancelled);
    EXPECT_LT(some.frames, 9);
  }
}

}  // namespace
}  // namespace layerscope
