#include "probe/align.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace layerscope {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using Offsets = std::vector<std::pair<std::int64_t, std::int64_t>>;

constexpr std::pair<std::int64_t, std::int64_t> kNone{-1, -1};

/// A row as a tokenizer gives it; tokens without offsets are special.
struct Row {
  std::string text;
  Offsets offsets;
  std::vector<std::int8_t> sequence = {};
  std::vector<std::int32_t> ids = {};
  std::vector<std::uint8_t> special = {};
  LabelledTokens tokens() {
    ids.clear();
    special.clear();
    for (std::size_t k = 0; k < offsets.size(); ++k) {
      ids.push_back(static_cast<std::int32_t>(100 + k));
      special.push_back(offsets[k] == kNone ? 1 : 0);
      if (sequence.size() <= k) sequence.push_back(offsets[k] == kNone ? -1 : 0);
    }
    return {.ids = ids, .special = special, .offsets = offsets, .sequence = sequence, .text = text};
  }
};

RowLabels labels_of(std::size_t count) {
  RowLabels row;
  for (std::size_t k = 0; k < count; ++k) row.labels.push_back({.number = static_cast<double>(k)});
  return row;
}

RowLabels words(std::vector<std::string> words) {
  RowLabels row = labels_of(words.size());
  row.words = std::move(words);
  return row;
}

/// "TYPE@FIRST+COUNT=LABEL" of each.
std::vector<std::string> shown(const LabelAlignment& aligned) {
  std::vector<std::string> out;
  for (const TokenLabel& label : aligned.labels) {
    out.push_back(label.type + "@" + std::to_string(label.first) + "+" + std::to_string(label.count) + "=" +
                  std::to_string(static_cast<int>(label.label.number)));
  }
  return out;
}

TEST(AlignLabels, WordsToSubtokensAcrossSpecialTokens) {
  Row row{"I unlocked it.", {kNone, {0, 1}, {2, 4}, {4, 8}, {8, 10}, {11, 13}, {13, 14}, kNone}};
  const auto aligned = align_labels(words({"I", "unlocked", "it", "."}), LabelLevel::kWords, row.tokens());
  ASSERT_TRUE(aligned) << aligned.error().message;
  EXPECT_THAT(shown(*aligned), ElementsAre("I@1+1=0", "unlocked@2+3=1", "it@5+1=2", ".@6+1=3"));
}

TEST(AlignLabels, OffsetsCountCodePointsAndAnySpaceParts) {
  // Each of these words is longer in bytes than in code points; between them stand a no-break and an ideographic space.
  Row row{"Zoë\u00A0日本\u3000🙂!", {kNone, {0, 2}, {2, 3}, {4, 5}, {5, 6}, {7, 8}, {7, 8}, {8, 9}, kNone}};
  const auto aligned = align_labels(words({"Zoë", "日本", "🙂", "!"}), LabelLevel::kWords, row.tokens());
  ASSERT_TRUE(aligned) << aligned.error().message;
  EXPECT_THAT(shown(*aligned), ElementsAre("Zoë@1+2=0", "日本@3+2=1", "🙂@5+2=2", "!@7+1=3"));
}

TEST(AlignLabels, TokensThatBeginWithTheirSpaceBelongToTheWordBehindIt) {
  Row row{"a big one", {{0, 1}, {1, 5}, {5, 5}, {5, 9}}};
  const auto aligned = align_labels(words({"a", "big", "one"}), LabelLevel::kWords, row.tokens());
  ASSERT_TRUE(aligned) << aligned.error().message;
  EXPECT_THAT(shown(*aligned), ElementsAre("a@0+1=0", "big@1+1=1", "one@3+1=2"));
}

TEST(AlignLabels, AWordWithoutATokenOfItsOwnIsLeftOutAndCounted) {
  Row row{"don't stop now", {{0, 5}, {6, 10}}};  // one token for two words, and the last word cut off
  const auto aligned = align_labels(words({"do", "n't", "stop", "now"}), LabelLevel::kWords, row.tokens());
  ASSERT_TRUE(aligned) << aligned.error().message;
  EXPECT_THAT(shown(*aligned), ElementsAre("do@0+1=0", "stop@1+1=2"));
  EXPECT_EQ(aligned->without_token, 2);
}

TEST(AlignLabels, TokensOfThePairHaveNoLabel) {
  Row row{"ab cd", {kNone, {0, 2}, {3, 5}, kNone, {0, 2}, {3, 5}, kNone}, {-1, 0, 0, -1, 1, 1, -1}};
  const auto aligned = align_labels(words({"ab", "cd"}), LabelLevel::kWords, row.tokens());
  ASSERT_TRUE(aligned) << aligned.error().message;
  EXPECT_THAT(shown(*aligned), ElementsAre("ab@1+1=0", "cd@2+1=1"));
}

TEST(AlignLabels, NullLabelsAreLeftOut) {
  Row row{"a b c", {{0, 1}, {2, 3}, {4, 5}}};
  RowLabels three = words({"a", "b", "c"});
  three.labels[1] = {};
  const auto aligned = align_labels(three, LabelLevel::kWords, row.tokens());
  ASSERT_TRUE(aligned) << aligned.error().message;
  EXPECT_THAT(shown(*aligned), ElementsAre("a@0+1=0", "c@2+1=2"));
  EXPECT_EQ(aligned->without_token, 0);
}

TEST(AlignLabels, SpansTakeTheTokensTheyOverlap) {
  Row row{"the New York Times said", {kNone, {0, 3}, {4, 7}, {8, 12}, {13, 18}, {19, 23}, kNone}};
  RowLabels spans = labels_of(2);
  spans.spans = {{4, 12}, {19, 23}};
  const auto aligned = align_labels(spans, LabelLevel::kSpans, row.tokens());
  ASSERT_TRUE(aligned) << aligned.error().message;
  EXPECT_THAT(shown(*aligned), ElementsAre("New York@2+2=0", "said@5+1=1"));
  spans.spans[1].second = 24;
  EXPECT_THAT(align_labels(spans, LabelLevel::kSpans, row.tokens()).error().message,
              HasSubstr("ends at character 24 of a text of 23"));
}

TEST(AlignLabels, TokenLabelsWithAndWithoutSpecialTokens) {
  Row row{"a b", {kNone, {0, 1}, {2, 3}, kNone}};
  const auto inner = align_labels(labels_of(2), LabelLevel::kTokens, row.tokens());
  ASSERT_TRUE(inner) << inner.error().message;
  EXPECT_THAT(shown(*inner), ElementsAre("101@1+1=0", "102@2+1=1"));
  const auto all = align_labels(labels_of(4), LabelLevel::kTokens, row.tokens());
  ASSERT_TRUE(all) << all.error().message;
  EXPECT_THAT(shown(*all), ElementsAre("100@0+1=0", "101@1+1=1", "102@2+1=2", "103@3+1=3"));
  const auto three = align_labels(labels_of(3), LabelLevel::kTokens, row.tokens());
  ASSERT_FALSE(three);
  EXPECT_EQ(three.error().code, ErrorCode::kInput);
  EXPECT_THAT(three.error().message, HasSubstr("3 labels for a row of 4 tokens, 2 of them special"));
}

TEST(AlignLabels, WordsMustBeThoseOfTheText) {
  Row row{"one two", {{0, 3}, {4, 7}}};
  const auto message = [&](std::vector<std::string> of) {
    const auto aligned = align_labels(words(std::move(of)), LabelLevel::kWords, row.tokens());
    return aligned ? std::string() : aligned.error().message;
  };
  EXPECT_THAT(message({"one", "tow"}), HasSubstr("word 1 is \"tow\", but at character 4 of the text stands \"two\""));
  EXPECT_THAT(message({"one"}), HasSubstr("behind the last word, at character 4 of the text stands \"two\""));
  EXPECT_THAT(message({"one", "two", "three"}), HasSubstr("word 2 is \"three\""));
  LabelledTokens ids = row.tokens();
  ids.text.reset();
  EXPECT_THAT(align_labels(words({"one"}), LabelLevel::kWords, ids).error().message, HasSubstr("no text"));
}

}  // namespace
}  // namespace layerscope
