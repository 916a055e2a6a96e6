// Reference dumps: rows without their padding, names of both worlds, and everything a stranger may write.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "diff/side.h"
#include "support/temp_folder.h"
#include "unit/diff/dumps.h"

namespace layerscope {
namespace {

using test::DumpTensors;
using test::floats;
using test::integers;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

/// Two rows of up to three tokens, two states of two elements that count up.
DumpTensors small_dump() {
  std::vector<float> states(12);
  for (std::size_t i = 0; i < states.size(); ++i) states[i] = static_cast<float>(i);
  return {{"input_ids", integers({2, 3}, {7, 8, 9, 0, 5, 6})},
          {"attention_mask", integers({2, 3}, {1, 1, 1, 0, 1, 1})},
          {"hidden_states.0", floats({2, 3, 2}, states)},
          {"hidden_states.1", floats({2, 3, 2}, states)}};
}

class Dump : public ::testing::Test {
 protected:
  Result<std::unique_ptr<Side>> open(const DumpTensors& tensors) {
    return open_dump_side(folder_.write("dump.safetensors", test::dump_bytes(tensors)), nullptr);
  }
  std::string refusal(const DumpTensors& tensors) {
    const auto side = open(tensors);
    if (side) return "read";
    EXPECT_EQ(side.error().code, ErrorCode::kRuntime);
    EXPECT_THAT(side.error().message, HasSubstr("dump.safetensors: "));
    return side.error().message;
  }
  std::string refusal_of(const std::string& name, const test::DumpTensor& tensor) {
    DumpTensors tensors = small_dump();
    tensors[name] = tensor;
    return refusal(tensors);
  }
  test::TempFolder folder_;
};

TEST_F(Dump, RowsComeWithoutTheirPadding) {
  const auto side = open(small_dump());
  ASSERT_TRUE(side) << side.error().message;
  ASSERT_EQ((*side)->rows().size(), 2U);
  const SideRow& second = (*side)->rows()[1];
  EXPECT_THAT(second.tokens.main.ids, ElementsAre(5, 6));
  EXPECT_EQ(second.padding[0].left, 1);
  EXPECT_EQ(second.padding[0].right, 0);
  ASSERT_EQ((*side)->sites().size(), 2U);
  EXPECT_EQ((*side)->sites()[0].name, "embed");
  EXPECT_EQ((*side)->sites()[1].name, "final");
  EXPECT_EQ((*side)->layers()[0], 1);
  const std::vector<std::string> names = {"final"};
  const auto blocks = (*side)->read((*side)->rows(), names);
  ASSERT_TRUE(blocks) << blocks.error().message;
  EXPECT_THAT((*blocks)[0][0].values, ElementsAre(0, 1, 2, 3, 4, 5));
  EXPECT_THAT((*blocks)[1][0].values, ElementsAre(8, 9, 10, 11));
  EXPECT_THAT((*blocks)[1][0].padding, ElementsAre(6, 7));
}

TEST_F(Dump, WithoutAMaskEverythingIsARow) {
  DumpTensors tensors = small_dump();
  tensors.erase("attention_mask");
  const auto side = open(tensors);
  ASSERT_TRUE(side) << side.error().message;
  EXPECT_EQ((*side)->rows()[1].tokens.main.ids.size(), 3U);
}

TEST_F(Dump, EmptyRowsAreLeftOutAndTold) {
  DumpTensors tensors = small_dump();
  tensors["attention_mask"] = integers({2, 3}, {0, 0, 0, 0, 1, 1});
  const auto side = open(tensors);
  ASSERT_TRUE(side) << side.error().message;
  ASSERT_EQ((*side)->rows().size(), 1U);
  EXPECT_EQ((*side)->rows()[0].number, 1);
  EXPECT_THAT((*side)->notes().front(), HasSubstr("empty mask"));
}

TEST_F(Dump, TypesAndMasksOfManyKindsAreRead) {
  DumpTensors tensors = small_dump();
  tensors["attention_mask"] = {"BOOL", {2, 3}, std::string("\1\1\1\0\1\1", 6)};
  tensors["input_ids"] = {"I32", {2, 3}, test::raw<std::int32_t>({7, 8, 9, 0, 5, 6})};
  tensors["hidden_states.1"] = {"F64", {2, 3, 2}, test::raw<double>({0, 1, 2, 3, 4, 5, 6, 7, 8, 1e-300, 10, 0.1})};
  tensors["hidden_states.0"] = {"BF16", {2, 3, 2}, test::raw<std::uint16_t>(std::vector<std::uint16_t>(12, 0x3F80))};
  const auto side = open(tensors);
  ASSERT_TRUE(side) << side.error().message;
  const std::vector<std::string> names = {"embed", "final"};
  const auto blocks = (*side)->read((*side)->rows(), names);
  ASSERT_TRUE(blocks);
  EXPECT_THAT((*blocks)[1][0].values, ElementsAre(1, 1, 1, 1));
  EXPECT_THAT((*blocks)[1][1].values, ElementsAre(8, 1e-300, 10, 0.1));
}

TEST_F(Dump, BothStacksAndNamesOfOurs) {
  const std::vector<float> two(4), three(6);
  const auto side = open({{"input_ids", integers({1, 3}, {1, 2, 3})},
                          {"decoder_input_ids", integers({1, 2}, {4, 5})},
                          {"encoder_hidden_states.0", floats({1, 3, 2}, three)},
                          {"encoder_hidden_states.1", floats({1, 3, 2}, three)},
                          {"decoder_hidden_states.0", floats({1, 2, 2}, two)},
                          {"decoder_hidden_states.1", floats({1, 2, 2}, two)},
                          {"dec.block.0.cross.k", floats({1, 3, 2}, three)},
                          {"dec.block.0.attn.probs", floats({1, 1, 2, 2}, two)},
                          {"logits", floats({1, 2, 2}, two)},
                          {"last_word", floats({1, 2, 2}, two)}});
  ASSERT_TRUE(side) << side.error().message;
  std::vector<std::string> names;
  for (const SideSite& site : (*side)->sites()) names.push_back(site.name);
  EXPECT_THAT(names, ElementsAre("enc.embed", "enc.final", "dec.embed", "dec.block.0.attn.probs", "dec.block.0.cross.k",
                                 "dec.final", "logits"));
  EXPECT_THAT((*side)->notes().front(), HasSubstr("last_word"));
}

TEST_F(Dump, RefusesWhatDoesNotGoTogether) {
  EXPECT_THAT(refusal_of("attention_mask", integers({2, 3}, {1, 0, 1, 1, 1, 1})), HasSubstr("has a hole in row 0"));
  EXPECT_THAT(refusal_of("attention_mask", integers({2, 3}, {1, 2, 1, 1, 1, 1})), HasSubstr("neither 0 nor 1"));
  EXPECT_THAT(refusal_of("attention_mask", integers({3, 2}, {1, 1, 1, 1, 1, 1})),
              HasSubstr("\"attention_mask\" is [3, 2]"));
  EXPECT_THAT(refusal_of("input_ids", integers({2, 3}, {1, 2, 3, 4, 5, -6})), HasSubstr("holds -6 in row 1"));
  EXPECT_THAT(refusal_of("input_ids", integers({6}, {1, 2, 3, 4, 5, 6})), HasSubstr("expected [batch, length]"));
  EXPECT_THAT(refusal_of("input_ids", floats({2, 3}, std::vector<float>(6))), HasSubstr("expected integers"));
  EXPECT_THAT(refusal_of("hidden_states.1", floats({2, 6}, std::vector<float>(12))),
              HasSubstr("[batch, length, width]"));
  EXPECT_THAT(refusal_of("hidden_states.1", floats({2, 2, 3}, std::vector<float>(12))), HasSubstr("length 3"));
  EXPECT_THAT(refusal_of("hidden_states.1", integers({2, 3, 2}, std::vector<std::int64_t>(12))), HasSubstr("I64"));
  EXPECT_THAT(refusal_of("token_type_ids", integers({2, 3}, {0, 0, 0, 0, 256, 0})), HasSubstr("above 255"));
  EXPECT_THAT(refusal_of("embed", floats({2, 3, 2}, std::vector<float>(12))), HasSubstr("holds \"embed\" twice"));
  DumpTensors without = small_dump();
  without.erase("input_ids");
  EXPECT_THAT(refusal(without), HasSubstr("lacks \"input_ids\""));
  EXPECT_THAT(refusal({{"input_ids", integers({1, 1}, {1})}}), HasSubstr("holds no states"));
  DumpTensors stacks = small_dump();
  stacks["decoder_input_ids"] = integers({2, 1}, {1, 1});
  EXPECT_THAT(refusal(stacks), HasSubstr("does not say which stack"));
}

TEST_F(Dump, RefusesWhatIsNoFile) {
  EXPECT_EQ(open_dump_side(folder_.file("missing.safetensors"), nullptr).error().code, ErrorCode::kRuntime);
  EXPECT_EQ(open_dump_side(folder_.write("x.npz", "PK"), nullptr).error().code, ErrorCode::kRuntime);
  EXPECT_EQ(open_dump_side(folder_.write("x.safetensors", "{}"), nullptr).error().code, ErrorCode::kRuntime);
  const std::string whole = test::dump_bytes(small_dump());
  for (std::size_t size = 0; size < whole.size(); size += 7)
    EXPECT_FALSE(open_dump_side(folder_.write("cut.safetensors", whole.substr(0, size)), nullptr)) << size;
}

}  // namespace
}  // namespace layerscope
