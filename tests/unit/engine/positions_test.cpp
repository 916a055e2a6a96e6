// Distance buckets against transformers 5.23, T5Attention._relative_position_bucket.
#include "engine/positions.h"

#include <gtest/gtest.h>

namespace layerscope::testing {
namespace {

struct Case {
  bool bidirectional;
  std::int64_t buckets, max_distance;
  std::vector<std::pair<std::int64_t, std::int64_t>> starts;  // (distance, bucket from there on), -300 to 300
};

const Case kCases[] = {
    {true, 32, 128, {{-300, 15}, {-90, 14}, {-63, 13}, {-45, 12}, {-31, 11}, {-22, 10}, {-15, 9}, {-11, 8},
                     {-7, 7},    {-6, 6},   {-5, 5},   {-4, 4},   {-3, 3},   {-2, 2},   {-1, 1},  {0, 0},
                     {1, 17},    {2, 18},   {3, 19},   {4, 20},   {5, 21},   {6, 22},   {7, 23},  {8, 24},
                     {12, 25},   {16, 26},  {23, 27},  {32, 28},  {46, 29},  {64, 30},  {91, 31}}},
    {true, 8, 20, {{-300, 3}, {-6, 2}, {-1, 1}, {0, 0}, {1, 5}, {2, 6}, {7, 7}}},
    {true,
     16,
     64,
     {{-300, 7},
      {-31, 6},
      {-15, 5},
      {-7, 4},
      {-3, 3},
      {-2, 2},
      {-1, 1},
      {0, 0},
      {1, 9},
      {2, 10},
      {3, 11},
      {4, 12},
      {8, 13},
      {16, 14},
      {32, 15}}},
    {true, 32, 256, {{-300, 15}, {-165, 14}, {-107, 13}, {-69, 12}, {-45, 11}, {-29, 10}, {-19, 9}, {-12, 8},
                     {-7, 7},    {-6, 6},    {-5, 5},    {-4, 4},   {-3, 3},   {-2, 2},   {-1, 1},  {0, 0},
                     {1, 17},    {2, 18},    {3, 19},    {4, 20},   {5, 21},   {6, 22},   {7, 23},  {8, 24},
                     {13, 25},   {20, 26},   {30, 27},   {46, 28},  {70, 29},  {108, 30}, {166, 31}}},
    {true, 4, 8, {{-300, 1}, {0, 0}, {1, 3}}},
    {false, 32, 128, {{-300, 31}, {-112, 30}, {-98, 29}, {-86, 28}, {-76, 27}, {-66, 26}, {-58, 25}, {-51, 24},
                      {-45, 23},  {-39, 22},  {-34, 21}, {-30, 20}, {-26, 19}, {-23, 18}, {-20, 17}, {-18, 16},
                      {-15, 15},  {-14, 14},  {-13, 13}, {-12, 12}, {-11, 11}, {-10, 10}, {-9, 9},   {-8, 8},
                      {-7, 7},    {-6, 6},    {-5, 5},   {-4, 4},   {-3, 3},   {-2, 2},   {-1, 1},   {0, 0}}},
    {false, 8, 20, {{-300, 7}, {-13, 6}, {-8, 5}, {-5, 4}, {-3, 3}, {-2, 2}, {-1, 1}, {0, 0}}},
    {false,
     16,
     64,
     {{-300, 15},
      {-49, 14},
      {-38, 13},
      {-29, 12},
      {-22, 11},
      {-17, 10},
      {-13, 9},
      {-10, 8},
      {-7, 7},
      {-6, 6},
      {-5, 5},
      {-4, 4},
      {-3, 3},
      {-2, 2},
      {-1, 1},
      {0, 0}}},
    {false, 32, 256, {{-300, 31}, {-215, 30}, {-181, 29}, {-152, 28}, {-127, 27}, {-107, 26}, {-90, 25}, {-76, 24},
                      {-63, 23},  {-53, 22},  {-45, 21},  {-38, 20},  {-31, 19},  {-26, 18},  {-22, 17}, {-19, 16},
                      {-15, 15},  {-14, 14},  {-13, 13},  {-12, 12},  {-11, 11},  {-10, 10},  {-9, 9},   {-8, 8},
                      {-7, 7},    {-6, 6},    {-5, 5},    {-4, 4},    {-3, 3},    {-2, 2},    {-1, 1},   {0, 0}}},
    {false, 2, 8, {{-300, 1}, {0, 0}}}};

TEST(Positions, DistanceBucketsAreThoseOfTransformers) {
  for (const Case& test : kCases) {
    const BucketBias bias{
        .buckets = test.buckets, .max_distance = test.max_distance, .bidirectional = test.bidirectional};
    std::size_t at = 0;
    for (std::int64_t distance = -300; distance <= 300; ++distance) {
      while (at + 1 < test.starts.size() && test.starts[at + 1].first <= distance) ++at;
      EXPECT_EQ(distance_bucket(bias, distance), test.starts[at].second)
          << "distance " << distance << ", " << test.buckets << " buckets to " << test.max_distance
          << (test.bidirectional ? ", both directions" : "");
    }
  }
}

TEST(Positions, DistanceTableHoldsTheBucketsOfEveryHead) {
  const BucketBias bias{.buckets = 8, .max_distance = 20, .bidirectional = true};
  std::vector<float> table(8 * 3);
  for (std::size_t i = 0; i < table.size(); ++i) table[i] = static_cast<float>(i);
  const DistanceTable distances(bias, table, 3, 30);
  const DistanceBias view = distances.view();
  for (std::int64_t head = 0; head < 3; ++head) {
    for (std::int64_t distance = -30; distance <= 30; ++distance)
      EXPECT_EQ(view.table[head * view.stride + view.zero + distance],
                static_cast<float>(distance_bucket(bias, distance) * 3 + head));
  }
}

TEST(Positions, RotationsGrowAndKeepTheirAngles) {
  const FixedFrequencies one{.inverse = {1.0F, 0.01F}}, two{.inverse = {1.0F, 0.01F}, .magnitude = 2};
  RotationCache cache;
  const std::vector<float> few = cache.get(one, 4).cosine;
  const std::vector<float> doubled = cache.get(two, 4).cosine;
  const std::vector<float>& many = cache.get(one, 9).cosine;
  ASSERT_GE(many.size(), 18U);
  EXPECT_TRUE(std::equal(few.begin(), few.end(), many.begin()));
  for (std::size_t i = 0; i < few.size(); ++i) EXPECT_EQ(doubled[i], 2 * few[i]);
  for (int i = 0; i < 40; ++i) {
    const FixedFrequencies other{.inverse = {static_cast<float>(i)}};
    EXPECT_EQ(cache.get(other, 2).cosine, Rotation(other, 2).cosine);
  }
}

}  // namespace
}  // namespace layerscope::testing
