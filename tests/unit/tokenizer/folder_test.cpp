// What transformers makes of texts with the tokenizer files of a folder (tests/oracle/make_tokenizer_folders.py).

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/json.h"
#include "files.h"

namespace layerscope {
namespace {

template <class T>
std::vector<T> numbers(const Json& json) {
  std::vector<T> values;
  for (const Json& value : *json.array()) values.push_back(static_cast<T>(*value.integer()));
  return values;
}

class FolderGolden : public ::testing::TestWithParam<std::string> {
 protected:
  void SetUp() override {
    const std::string folder = testing::folder_path(GetParam());
    auto opened = Tokenizer::open_folder(folder);
    ASSERT_TRUE(opened.ok()) << opened.error().message;
    ASSERT_TRUE(opened->tokenizer) << opened->missing;
    tokenizer_ = std::move(opened->tokenizer);
    auto cases = read_json_file(folder + "/cases.json", ErrorCode::kRuntime);
    ASSERT_TRUE(cases.ok()) << cases.error().message;
    cases_ = std::move(cases).value();
  }

  std::unique_ptr<Tokenizer> tokenizer_;
  Json cases_;
};

void expect_equal(const Encoding& encoding, const Json& row) {
  EXPECT_EQ(encoding.ids, numbers<std::int32_t>(*row.find("ids"))) << row.dump();
  if (const Json* type_ids = row.find("type_ids")) {
    EXPECT_EQ(encoding.type_ids, numbers<std::uint8_t>(*type_ids)) << row.dump();
  }
  if (const Json* special = row.find("special")) {
    EXPECT_EQ(encoding.special, numbers<std::uint8_t>(*special)) << row.dump();
  }
  if (const Json* sequence = row.find("sequence")) {
    EXPECT_EQ(encoding.sequence, numbers<std::int8_t>(*sequence)) << row.dump();
  }
  if (const Json* offsets = row.find("offsets")) {
    std::vector<std::pair<std::int64_t, std::int64_t>> spans;
    for (const Json& span : *offsets->array()) {
      spans.emplace_back(*span.array()->at(0).integer(), *span.array()->at(1).integer());
    }
    EXPECT_EQ(encoding.offsets, spans) << row.dump();
  }
}

TEST_P(FolderGolden, EncodesAsTheReference) {
  const Json::Array& rows = *cases_.find("encode")->array();
  ASSERT_GT(rows.size(), 30U);
  for (const Json& row : rows) {
    EncodeOptions options{.want_offsets = true, .target = row.find("target") != nullptr};
    if (const Json* add = row.find("add_special_tokens")) options.add_special_tokens = *add->boolean();
    if (const Json* length = row.find("max_length")) options.max_length = *length->integer();
    std::optional<std::string_view> pair;
    if (const Json* second = row.find("pair")) pair = *second->string();
    const auto encoding = tokenizer_->encode(*row.find("text")->string(), pair, options);
    ASSERT_TRUE(encoding.ok()) << row.dump() << encoding.error().message;
    expect_equal(*encoding, row);
  }
}

TEST_P(FolderGolden, DecodesAsTheReference) {
  for (const Json& row : *cases_.find("decode")->array()) {
    const auto text =
        tokenizer_->decode(numbers<std::int32_t>(*row.find("ids")), *row.find("skip_special_tokens")->boolean());
    ASSERT_TRUE(text.ok()) << text.error().message;
    EXPECT_EQ(*text, *row.find("text")->string());
  }
}

TEST_P(FolderGolden, KnowsItsVocabulary) {
  const std::int64_t size = tokenizer_->vocabulary_size();
  EXPECT_EQ(size, *cases_.find("vocabulary_size")->integer());
  std::int64_t found = 0;
  for (std::int32_t id = 0; id < 2 * size; ++id) {
    const auto token = tokenizer_->token(id);
    if (!token) continue;
    ++found;
    // An added token that is normalised is shown as the normaliser leaves it, and may then be no entry.
    EXPECT_EQ(tokenizer_->id(*token).value_or(id), id) << *token;
  }
  EXPECT_EQ(found, size);
}

INSTANTIATE_TEST_SUITE_P(Kinds, FolderGolden, ::testing::ValuesIn(testing::folder_names()), [](const auto& case_) {
  std::string name = case_.param;
  std::replace(name.begin(), name.end(), '-', '_');
  return name;
});

TEST(FolderGolden, HasEveryKind) { EXPECT_EQ(testing::folder_names().size(), 44U); }

}  // namespace
}  // namespace layerscope
