// Rows of distances: those of transformers' make_log_bucket_position, run in torch 2.15.
#include "engine/relative_positions.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>

namespace layerscope {
namespace {

struct Bucketing {
  std::int64_t buckets, max_distance;
  std::vector<std::pair<std::int64_t, std::int64_t>> starts;  // distance beyond the middle at which a bucket begins
};
const Bucketing kBucketings[] = {
    {8, 48, {{5, 5}, {10, 6}, {21, 7}, {48, 8}}},
    {6, 48, {{4, 4}, {12, 5}, {48, 6}}},
    {10, 33, {{6, 6}, {8, 7}, {13, 8}, {21, 9}, {33, 10}, {51, 11}}},
    {16, 20, {{9, 9}, {10, 10}, {11, 11}, {12, 12}, {14, 13}, {15, 14}, {17, 15}, {20, 16}}},
    {5, 64, {{3, 3}, {64, 4}}},
};

TEST(RelativeRows, BucketsBeginWhereTheReferencePutsThem) {
  for (const Bucketing& bucketing : kBucketings) {
    const Disentangled relative{.span = 1000, .buckets = bucketing.buckets, .max_distance = bucketing.max_distance};
    const auto bucket = [&](std::int64_t distance) { return relative_row(relative, distance) - relative.span; };
    for (std::int64_t distance = 0; distance <= bucketing.buckets / 2; ++distance)
      EXPECT_EQ(bucket(distance), distance);
    for (const auto& [distance, expected] : bucketing.starts) {
      EXPECT_EQ(bucket(distance), expected) << bucketing.buckets << " buckets, distance " << distance;
      EXPECT_EQ(bucket(distance - 1), expected - 1) << bucketing.buckets << " buckets, before distance " << distance;
      EXPECT_EQ(bucket(-distance), -expected);
    }
  }
}

TEST(RelativeRows, RoundingIsThatOfTheReferenceAtThePublishedSizes) {
  const Disentangled relative{.span = 256, .buckets = 256, .max_distance = 512};
  // {distance, row}; at 511 the share of the logarithm is exactly one.
  const std::pair<std::int64_t, std::int64_t> rows[] = {{0, 256},   {1, 257},   {-1, 255},  {128, 384},  {129, 385},
                                                        {132, 387}, {133, 388}, {136, 390}, {-137, 121}, {511, 511},
                                                        {-510, 1},  {-511, 1},  {-512, 0},  {528, 511},  {5000, 511}};
  for (const auto& [distance, row] : rows) EXPECT_EQ(relative_row(relative, distance), row) << distance;
}

TEST(RelativeRows, WithoutBucketsDistancesStopAtTheSpan) {
  const Disentangled relative{.span = 7, .max_distance = 7};
  for (std::int64_t distance = -30; distance <= 30; ++distance)
    EXPECT_EQ(relative_row(relative, distance), std::clamp<std::int64_t>(distance + 7, 0, 13));
}

TEST(RelativeRows, ATableHoldsEveryDistanceOnceAndNoRowTooMany) {
  const Disentangled relative{.span = 8, .buckets = 8, .max_distance = 40};
  for (const std::int64_t longest : {1, 2, 5, 40, 100}) {
    const RelativeRows table(relative, longest);
    ASSERT_EQ(table.rows.size(), static_cast<std::size_t>(2 * longest - 1));
    EXPECT_EQ(table.first, relative_row(relative, 1 - longest));
    EXPECT_EQ(table.first + table.count - 1, relative_row(relative, longest - 1));
    for (std::int64_t ahead = 1 - longest; ahead < longest; ++ahead)
      EXPECT_EQ(table.first + table.rows[static_cast<std::size_t>(table.zero + ahead)], relative_row(relative, -ahead));
  }
}

}  // namespace
}  // namespace layerscope
