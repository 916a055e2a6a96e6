// --layers and --mix as text.
#include "tap/layer_list.h"

#include <gtest/gtest.h>

namespace layerscope::testing {
namespace {

using Layers = std::vector<int>;

Layers encoder_layers(std::string_view text) {
  const auto lists = parse_layers(text, {6, 0});
  EXPECT_TRUE(lists.ok()) << text << ": " << lists.error().message;
  if (!lists) return {};
  EXPECT_TRUE((*lists)[1].empty());
  return (*lists)[0];
}

std::string layer_error(std::string_view text, const std::array<int, 2>& layers = {6, 0}) {
  const auto lists = parse_layers(text, layers);
  EXPECT_FALSE(lists.ok()) << text;
  if (lists) return {};
  EXPECT_EQ(lists.error().code, ErrorCode::kUsage);
  return lists.error().message;
}

TEST(LayerList, NumbersRangesAndNegatives) {
  EXPECT_EQ(encoder_layers("all"), (Layers{0, 1, 2, 3, 4, 5, 6}));
  EXPECT_EQ(encoder_layers("0,4,-1"), (Layers{0, 4, 6}));
  EXPECT_EQ(encoder_layers(" 4 , 0 "), (Layers{0, 4}));
  EXPECT_EQ(encoder_layers("2..4"), (Layers{2, 3, 4}));
  EXPECT_EQ(encoder_layers("2 .. 4"), (Layers{2, 3, 4}));
  EXPECT_EQ(encoder_layers("-3..-1"), (Layers{4, 5, 6}));
  EXPECT_EQ(encoder_layers("-7"), (Layers{0}));
  EXPECT_EQ(encoder_layers("3,1..4,-7,3"), (Layers{0, 1, 2, 3, 4}));
  EXPECT_EQ(encoder_layers("6..6"), (Layers{6}));
}

TEST(LayerList, StacksCountTheirOwn) {
  const std::array<int, 2> layers = {2, 4};
  const auto both = parse_layers("-1", layers);
  ASSERT_TRUE(both.ok());
  EXPECT_EQ((*both)[0], (Layers{2}));
  EXPECT_EQ((*both)[1], (Layers{4}));
  const auto apart = parse_layers("enc:0..1,dec:3,-1", layers);
  ASSERT_TRUE(apart.ok());
  EXPECT_EQ((*apart)[0], (Layers{0, 1}));
  EXPECT_EQ((*apart)[1], (Layers{3, 4}));
  const auto decoder = parse_layers("dec:all", layers);
  ASSERT_TRUE(decoder.ok());
  EXPECT_TRUE((*decoder)[0].empty());
  EXPECT_EQ((*decoder)[1].size(), 5U);
}

TEST(LayerList, ErrorsSayWhatIsValid) {
  for (const char* text : {"7", "-8", "0..7", "-8..2", "9999999999"}) {
    EXPECT_NE(layer_error(text).find("layers are 0 (embed) to 6 (final), or -1 to -7"), std::string::npos)
        << layer_error(text);
  }
  EXPECT_NE(layer_error("4..2").find("backwards"), std::string::npos);
  EXPECT_NE(layer_error("enc:1").find("one stack"), std::string::npos);
  EXPECT_NE(layer_error("3", {2, 4}).find("0 (embed) to 2 (final)"), std::string::npos) << "the encoder has no 3";
  for (const char* text : {"", "x", "1,", ",", "1.5", "1...3", "..", "1..", "0x1", "+1", "99999999999999999999", "--1"})
    EXPECT_FALSE(layer_error(text).empty()) << text;
}

TEST(LayerList, LayersBeyondSixtyThreeBitsDoNotWrap) {
  for (const char* text : {"9223372036854775807", "-9223372036854775808"})
    EXPECT_NE(layer_error(text).find("no layer"), std::string::npos);
}

TEST(MixList, WeightsAndPlainMeans) {
  const auto weighted = parse_mix("4=0.5, -1 = 0.25,0=-2e-1", {6, 0});
  ASSERT_TRUE(weighted.ok()) << weighted.error().message;
  const std::vector<std::pair<int, float>> expected = {{0, -0.2F}, {4, 0.5F}, {6, 0.25F}};
  EXPECT_EQ((*weighted)[0], expected);
  const auto mean = parse_mix("0..3", {6, 0});
  ASSERT_TRUE(mean.ok());
  ASSERT_EQ((*mean)[0].size(), 4U);
  for (int i = 0; i < 4; ++i) EXPECT_EQ((*mean)[0][static_cast<std::size_t>(i)], std::pair(i, 0.25F));
  const auto stacks = parse_mix("enc:0..1;dec:0..3", {2, 4});
  ASSERT_TRUE(stacks.ok());
  EXPECT_EQ((*stacks)[0], (std::vector<std::pair<int, float>>{{0, 0.5F}, {1, 0.5F}}));
  EXPECT_EQ((*stacks)[1].size(), 4U);
}

TEST(MixList, RefusesDuplicatesAndNonsense) {
  for (const char* text :
       {"4=0.5,4=0.5", "6=1,-1=1", "4=0.5,5", "4=", "=1", "4=nan", "4=inf", "4=1x", "7=1", "4=1e99"}) {
    const auto mix = parse_mix(text, {6, 0});
    ASSERT_FALSE(mix.ok()) << text;
    EXPECT_EQ(mix.error().code, ErrorCode::kUsage) << text;
  }
  EXPECT_NE(parse_mix("6=1,-1=1", {6, 0}).error().message.find("layer 6 twice"), std::string::npos);
}

}  // namespace
}  // namespace layerscope::testing
