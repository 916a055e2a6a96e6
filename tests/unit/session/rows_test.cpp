// Rows of text and ids made ready for a model, and what is said of those that cannot be.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>
#include <string>
#include <string_view>
#include <vector>

#include "unit/session/model_copy.h"

namespace layerscope {
namespace {

using Ids = std::vector<std::int32_t>;
using ::testing::ElementsAre;
using ::testing::SizeIs;

/// A tiny model, with a tokenizer of tests/data/tokenizers if one is named, or with one that is given as JSON.
class Opened {
 public:
  explicit Opened(std::string_view model, std::string_view tokenizer = {}) : copy_(model) {
    if (tokenizer.starts_with("{")) {
      copy_.write("tokenizer.json", std::string(tokenizer));
    } else if (!tokenizer.empty()) {
      copy_.write("tokenizer.json", test::content_of(std::string(LAYERSCOPE_SOURCE_DIR) + "/tests/data/tokenizers/" +
                                                     std::string(tokenizer)));
    }
    auto opened = copy_.open();
    if (!opened.ok())
      ADD_FAILURE() << opened.error().message;
    else
      model_ = std::move(*opened);
  }
  [[nodiscard]] const Model& operator*() const { return *model_; }
  [[nodiscard]] const Model* operator->() const { return model_.get(); }

 private:
  test::ModelCopy copy_;
  std::unique_ptr<Model> model_;
};

ModelRow ready(const Model& model, const TextRow& row, const TokenizeOptions& options = {}) {
  auto result = model.tokenize(row, options);
  if (result.ok()) return std::move(*result);
  ADD_FAILURE() << result.error().message;
  return {};
}

void expect_bad(const Model& model, const TextRow& row, std::string_view named, const TokenizeOptions& options = {}) {
  const auto result = model.tokenize(row, options);
  ASSERT_FALSE(result.ok()) << "accepted, expected: " << named;
  EXPECT_EQ(result.error().code, ErrorCode::kInput);
  EXPECT_NE(result.error().message.find(named), std::string::npos) << result.error().message;
  EXPECT_EQ(result.error().message.find('\n'), std::string::npos);
}

const Opened& bert() {
  static const Opened model("bert-base-v5", "word_piece.json");
  return model;
}
const Opened& t5() {
  static const Opened model("t5-base-v5", "unigram.json");
  return model;
}

TEST(Rows, TakeIdsAsTheyAre) {
  const ModelRow row = ready(*bert(), {.ids = Ids{0, 119, 7}});
  EXPECT_THAT(row.main.ids, ElementsAre(0, 119, 7));
  EXPECT_THAT(row.main.special, SizeIs(3));
  EXPECT_FALSE(row.decoder);
}

TEST(Rows, RefuseIdsBeyondTheVocabulary) {
  for (const std::int32_t id : {-1, 120, 1 << 30, std::numeric_limits<std::int32_t>::min()}) {
    expect_bad(*bert(), {.ids = Ids{3, id}}, std::to_string(id));
    expect_bad(*t5(), {.ids = Ids{3}, .decoder_ids = Ids{0, id}}, "decoder_ids");
  }
}

TEST(Rows, RefuseWhatIsTooLong) {
  EXPECT_EQ(bert()->info().max_tokens, 64);
  EXPECT_THAT(ready(*bert(), {.ids = Ids(64, 5)}).main.ids, SizeIs(64));
  expect_bad(*bert(), {.ids = Ids(65, 5)}, "65 tokens, at most 64");
  expect_bad(*bert(), {.ids = Ids(65, 5)}, "never cut", {.truncate = true});
  std::string text;
  for (int i = 0; i < 100; ++i) text += "a ";
  expect_bad(*bert(), {.text = text}, "too long");
  EXPECT_THAT(ready(*bert(), {.text = text}, {.truncate = true}).main.ids, SizeIs(64));
  EXPECT_THAT(ready(*bert(), {.text = text}, {.truncate = true, .max_length = 9}).main.ids, SizeIs(9));
}

TEST(Rows, HoldToTheSmallerOfTableAndMaxLength) {
  expect_bad(*bert(), {.ids = Ids(10, 5)}, "at most 9", {.max_length = 9});
  expect_bad(*bert(), {.ids = Ids(65, 5)}, "at most 64", {.max_length = 1000});
  const Opened llama("llama-base-v4");
  EXPECT_FALSE(llama->info().max_tokens);
  EXPECT_THAT(ready(*llama, {.ids = Ids(5000, 5)}).main.ids, SizeIs(5000));
  expect_bad(*llama, {.ids = Ids(5000, 5)}, "at most 100", {.max_length = 100});
}

TEST(Rows, NeedAMaximalLengthOfOneOrMore) {
  for (const std::int64_t length : {std::int64_t{0}, std::int64_t{-1}, std::numeric_limits<std::int64_t>::min()}) {
    const auto result = bert()->tokenize({.text = "a"}, {.truncate = true, .max_length = length});
    ASSERT_FALSE(result.ok());
    EXPECT_EQ(result.error().code, ErrorCode::kUsage);
  }
}

TEST(Rows, RefuseARowWithoutTokens) {
  expect_bad(*bert(), {.ids = Ids{}}, "no tokens");
  expect_bad(*bert(), {}, "neither text nor ids");
  const Opened gpt2("gpt2-base-v4", "byte_level.json");
  expect_bad(*gpt2, {.text = ""}, "no tokens", {.add_special_tokens = false});
  expect_bad(*bert(), {.text = ""}, "no tokens", {.add_special_tokens = false});
  EXPECT_FALSE(ready(*bert(), {.text = ""}).main.ids.empty());
}

TEST(Rows, NeedATokenizerForText) {
  const Opened plain("bert-base-v5");
  EXPECT_FALSE(plain->info().has_tokenizer);
  expect_bad(*plain, {.text = "a"}, "no tokenizer");
  const ModelRow row = ready(*plain, {.ids = Ids{0, 5}});
  EXPECT_THAT(row.main.special, ElementsAre(1, 0)) << "config.json names 0 as padding";
}

TEST(Rows, RefuseTextThatIsNotUtf8) {
  expect_bad(*bert(), {.text = "a\xff"}, "UTF-8");
  expect_bad(*bert(), {.text = "a", .pair = "b\xc0\x80"}, "UTF-8");
}

TEST(Rows, CheckTypeIds) {
  const ModelRow row = ready(*bert(), {.ids = Ids{4, 5, 6}, .type_ids = std::vector<std::uint8_t>{0, 1, 1}});
  EXPECT_THAT(row.main.type_ids, ElementsAre(0, 1, 1));
  expect_bad(*bert(), {.ids = Ids{4, 5}, .type_ids = std::vector<std::uint8_t>{0}}, "length");
  expect_bad(*bert(), {.ids = Ids{4, 5}, .type_ids = std::vector<std::uint8_t>{}}, "length");
  expect_bad(*bert(), {.ids = Ids{4, 5}, .type_ids = std::vector<std::uint8_t>{0, 2}}, "type id 2");
  expect_bad(*bert(), {.ids = Ids{4, 5}, .type_ids = std::vector<std::uint8_t>{255, 0}}, "type id 255");
  const Opened llama("llama-base-v4");
  expect_bad(*llama, {.ids = Ids{4}, .type_ids = std::vector<std::uint8_t>{0}}, "type_ids");
}

TEST(Rows, GiveThePairItsType) {
  const ModelRow row = ready(*bert(), {.text = "a", .pair = "b"});
  ASSERT_EQ(row.main.type_ids.size(), row.main.ids.size());
  EXPECT_EQ(row.main.type_ids.front(), 0);
  EXPECT_EQ(row.main.type_ids.back(), 1);
  EXPECT_GT(row.main.ids.size(), ready(*bert(), {.text = "a"}).main.ids.size());
}

TEST(Rows, RefuseWhatDoesNotGoTogether) {
  expect_bad(*bert(), {.text = "a", .ids = Ids{5}}, "text");
  expect_bad(*bert(), {.pair = "b"}, "pair");
  expect_bad(*bert(), {.pair = "b", .ids = Ids{5}}, "pair");
  expect_bad(*bert(), {.text = "a", .type_ids = std::vector<std::uint8_t>{0}}, "type_ids");
  expect_bad(*bert(), {.ids = Ids{5}, .decoder_ids = Ids{5}}, "decoder_ids");
  expect_bad(*bert(), {.ids = Ids{5}, .target = "a"}, "target");
  expect_bad(*t5(), {.ids = Ids{5}, .decoder_ids = Ids{0}, .target = "a"}, "target");
}

TEST(DecoderRows, StartAloneOrAsGiven) {
  EXPECT_THAT(ready(*t5(), {.ids = Ids{5}}).decoder->ids, ElementsAre(0));
  EXPECT_THAT(ready(*t5(), {.ids = Ids{5}, .decoder_ids = Ids{9, 8}}).decoder->ids, ElementsAre(9, 8));
  expect_bad(*t5(), {.ids = Ids{5}, .decoder_ids = Ids{}}, "no decoder tokens");
}

TEST(DecoderRows, ShiftTheTargetByTheStartToken) {
  const Ids labels = ready(*t5(), {.text = "a b"}).main.ids;
  ASSERT_GE(labels.size(), 2U);
  Ids shifted = {0};
  shifted.insert(shifted.end(), labels.begin(), labels.end() - 1);
  const ModelRow row = ready(*t5(), {.ids = Ids{5}, .target = "a b"});
  EXPECT_EQ(row.decoder->ids, shifted);
  EXPECT_EQ(row.decoder->special.size(), shifted.size());
}

// Words by their numbers: "pad", "a", "b" and a language.
constexpr std::string_view kWords =
    R"({"version": "1.0", "added_tokens": [], "normalizer": null, "post_processor": null,
  "decoder": null, "truncation": null, "padding": null, "pre_tokenizer": {"type": "WhitespaceSplit"},
  "model": {"type": "WordLevel", "unk_token": "unk", "vocab": {"unk": 3, "pad": 1, "a": 5, "b": 6, "en": 7}}})";

Ids shifted(const Opened& model, const std::string& target) {
  return ready(*model, {.ids = Ids{5}, .target = target}).decoder->ids;
}

TEST(DecoderRows, ShiftByEveryFamilysRule) {
  const Opened bart("bart-base-v4", kWords), mbart("mbart-base-v4", kWords), pegasus("pegasus-base-v4", kWords);
  EXPECT_THAT(shifted(bart, "a b en"), ElementsAre(2, 5, 6));
  EXPECT_THAT(shifted(pegasus, "a b en"), ElementsAre(0, 5, 6));
  EXPECT_THAT(shifted(mbart, "a b en"), ElementsAre(7, 5, 6));
  EXPECT_THAT(shifted(mbart, "a b en pad"), ElementsAre(7, 5, 6, 7));
  EXPECT_THAT(shifted(mbart, "pad pad"), ElementsAre(2, 1));
  EXPECT_THAT(ready(*mbart, {.ids = Ids{5}}).decoder->ids, ElementsAre(2));
}

TEST(DecoderRows, AreReadInTheDecodersVocabulary) {
  const Opened marian("marian-unshared-v5", kWords);
  EXPECT_THAT(ready(*marian, {.ids = Ids{40}, .decoder_ids = Ids{36}}).decoder->ids, ElementsAre(36));
  expect_bad(*marian, {.ids = Ids{40}, .decoder_ids = Ids{37}}, "0 to 36");
  expect_bad(*marian, {.ids = Ids{40}, .target = "a"}, "vocabulary of its own");
}

TEST(DecoderRows, StandInTheDecodersPositions) {
  const Opened bart("bart-base-v4");
  EXPECT_THAT(ready(*bart, {.ids = Ids{5}, .decoder_ids = Ids(42, 7)}).decoder->ids, SizeIs(42));
  expect_bad(*bart, {.ids = Ids{5}, .decoder_ids = Ids(43, 7)}, "decoder's input is too long");
}

TEST(DecoderRows, HoldToMaxLength) {
  expect_bad(*t5(), {.ids = Ids{5}, .decoder_ids = Ids(5, 7)}, "decoder's input is too long", {.max_length = 4});
  EXPECT_THAT(ready(*t5(), {.ids = Ids{5}, .decoder_ids = Ids(4, 7)}, {.max_length = 4}).decoder->ids, SizeIs(4));
  const ModelRow row = ready(*t5(), {.ids = Ids{5}, .target = "a b c d e f"}, {.truncate = true, .max_length = 3});
  EXPECT_THAT(row.decoder->ids, SizeIs(3));
}

}  // namespace
}  // namespace layerscope
