// What the Python package `tokenizers` makes of the same texts (tests/oracle/make_tokenizers.py).

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <thread>

#include "base/json.h"
#include "files.h"

namespace layerscope {
namespace {

template <class T>
std::vector<T> numbers(const Json* json) {
  std::vector<T> values;
  for (const Json& value : *json->array()) values.push_back(static_cast<T>(*value.integer()));
  return values;
}

std::vector<std::pair<std::int64_t, std::int64_t>> spans(const Json* json) {
  std::vector<std::pair<std::int64_t, std::int64_t>> values;
  for (const Json& value : *json->array()) {
    values.emplace_back(*value.array()->at(0).integer(), *value.array()->at(1).integer());
  }
  return values;
}

class Golden : public ::testing::TestWithParam<std::string> {
 protected:
  void SetUp() override {
    auto tokenizer = Tokenizer::open(testing::data_path(GetParam() + ".json"));
    ASSERT_TRUE(tokenizer.ok()) << tokenizer.error().message;
    tokenizer_ = std::move(tokenizer).value();
    auto cases = read_json_file(testing::data_path(GetParam() + ".cases.json"), ErrorCode::kRuntime);
    ASSERT_TRUE(cases.ok()) << cases.error().message;
    cases_ = std::move(cases).value();
  }

  Result<Encoding> encode(const Json& row, bool want_offsets) const {
    EncodeOptions options;
    options.want_offsets = want_offsets;
    if (row.find("add_special_tokens") != nullptr)
      options.add_special_tokens = *row.find("add_special_tokens")->boolean();
    if (row.find("max_length") != nullptr) options.max_length = *row.find("max_length")->integer();
    std::optional<std::string_view> pair;
    if (row.find("pair") != nullptr) pair = *row.find("pair")->string();
    return tokenizer_->encode(*row.find("text")->string(), pair, options);
  }

  std::unique_ptr<Tokenizer> tokenizer_;
  Json cases_;
};

TEST_P(Golden, EncodesAsTheReference) {
  const Json::Array& rows = *cases_.find("encode")->array();
  ASSERT_GT(rows.size(), 100U);
  for (const Json& row : rows) {
    auto encoding = encode(row, true);
    ASSERT_TRUE(encoding.ok()) << row.dump() << encoding.error().message;
    EXPECT_EQ(encoding->ids, numbers<std::int32_t>(row.find("ids"))) << row.dump();
    EXPECT_EQ(encoding->type_ids, numbers<std::uint8_t>(row.find("type_ids"))) << row.dump();
    EXPECT_EQ(encoding->special, numbers<std::uint8_t>(row.find("special"))) << row.dump();
    EXPECT_EQ(encoding->sequence, numbers<std::int8_t>(row.find("sequence"))) << row.dump();
    EXPECT_EQ(encoding->offsets, spans(row.find("offsets"))) << row.dump();
  }
}

TEST_P(Golden, GivesTheSameWithoutOffsets) {
  for (const Json& row : *cases_.find("encode")->array()) {
    auto encoding = encode(row, false);
    ASSERT_TRUE(encoding.ok()) << encoding.error().message;
    EXPECT_EQ(encoding->ids, numbers<std::int32_t>(row.find("ids"))) << row.dump();
    EXPECT_EQ(encoding->special, numbers<std::uint8_t>(row.find("special"))) << row.dump();
    EXPECT_TRUE(encoding->offsets.empty());
    EXPECT_TRUE(encoding->sequence.empty());
  }
}

TEST_P(Golden, DecodesAsTheReference) {
  const Json::Array& rows = *cases_.find("decode")->array();
  ASSERT_FALSE(rows.empty());
  for (const Json& row : rows) {
    auto text = tokenizer_->decode(numbers<std::int32_t>(row.find("ids")), *row.find("skip_special_tokens")->boolean());
    ASSERT_TRUE(text.ok()) << text.error().message;
    EXPECT_EQ(*text, *row.find("text")->string());
  }
}

TEST_P(Golden, KnowsItsVocabulary) {
  const std::int64_t size = tokenizer_->vocabulary_size();
  EXPECT_EQ(size, *cases_.find("vocabulary_size")->integer());
  for (std::int32_t id = 0; id < size; ++id) {
    const auto token = tokenizer_->token(id);
    ASSERT_TRUE(token.has_value()) << id;
    EXPECT_EQ(tokenizer_->id(*token), id) << *token;
  }
  EXPECT_FALSE(tokenizer_->token(static_cast<std::int32_t>(size)).has_value());
  EXPECT_FALSE(tokenizer_->token(-1).has_value());
  EXPECT_FALSE(tokenizer_->id("no such entry").has_value());
  EXPECT_EQ(tokenizer_->hash().size(), 32U);
}

TEST_P(Golden, ServesManyThreadsAtOnce) {
  const Json::Array& rows = *cases_.find("encode")->array();
  std::vector<int> wrong(4, 0);
  std::vector<std::thread> threads;
  for (int& count : wrong) {
    threads.emplace_back([&] {
      for (int round = 0; round < 5; ++round) {
        for (const Json& row : rows) {
          const auto encoding = encode(row, true);
          if (!encoding.ok() || encoding->ids != numbers<std::int32_t>(row.find("ids"))) ++count;
        }
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_THAT(wrong, ::testing::Each(0));
}

INSTANTIATE_TEST_SUITE_P(Tokenizers, Golden, ::testing::Values("word_piece", "byte_level", "split_pattern", "unigram"),
                         [](const auto& case_) { return case_.param; });

TEST(Special, IsWhatTheFileMarks) {
  auto tokenizer = Tokenizer::open(testing::data_path("byte_level.json"));
  ASSERT_TRUE(tokenizer.ok());
  for (const char* name : {"<s>", "</s>", "<mask>"}) {
    const auto id = (*tokenizer)->id(name);
    ASSERT_TRUE(id.has_value()) << name;
    EXPECT_TRUE((*tokenizer)->is_special(*id)) << name;
  }
  for (const char* name : {"KEEP", "word", "a"}) {
    const auto id = (*tokenizer)->id(name);
    ASSERT_TRUE(id.has_value()) << name;
    EXPECT_FALSE((*tokenizer)->is_special(*id)) << name;
  }
  EXPECT_FALSE((*tokenizer)->is_special(-1));
  EXPECT_FALSE((*tokenizer)->is_special(1 << 30));
}

TEST(Text, WithNulIsKept) {
  auto tokenizer = Tokenizer::open(testing::data_path("byte_level.json"));
  ASSERT_TRUE(tokenizer.ok());
  const std::string text("a\0b", 3);
  const auto encoding = (*tokenizer)->encode(text, std::nullopt, {.add_special_tokens = false});
  ASSERT_TRUE(encoding.ok());
  EXPECT_EQ((*tokenizer)->decode(encoding->ids, false).value(), text);
}

}  // namespace
}  // namespace layerscope
