// Files that are broken or lie are refused with one line that names them; nothing crashes.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <random>

#include "files.h"

namespace layerscope {
namespace {

using ::testing::HasSubstr;

std::string content(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

void expect_refused(const std::string& json, const std::string& why) {
  const testing::TemporaryFile file(json);
  const auto tokenizer = Tokenizer::open(file.path());
  const std::string shown = json.substr(0, 300);
  ASSERT_FALSE(tokenizer.ok()) << shown;
  EXPECT_EQ(tokenizer.error().code, ErrorCode::kModel) << shown;
  EXPECT_THAT(tokenizer.error().message, ::testing::StartsWith(file.path() + ": ")) << shown;
  EXPECT_THAT(tokenizer.error().message, HasSubstr(why)) << shown;
  EXPECT_EQ(tokenizer.error().message.find('\n'), std::string::npos) << shown;
}

TEST(HostileFile, TheHarmlessOneOpens) { EXPECT_TRUE(testing::open_text(testing::word_level("")).ok()); }

TEST(HostileFile, MissingOrNoFileIsRefused) {
  for (const char* path : {"/nonexistent/tokenizer.json", "/dev/zero", "/"}) {
    const auto tokenizer = Tokenizer::open(path);
    ASSERT_FALSE(tokenizer.ok()) << path;
    EXPECT_EQ(tokenizer.error().code, ErrorCode::kModel);
    EXPECT_THAT(tokenizer.error().message, HasSubstr(path));
  }
}

TEST(HostileFile, WhatIsNoTokenizerIsRefused) {
  for (const char* json : {"", " ", "{", "null", "[]", "{}", "1", "\"text\"", R"({"version":"1.0"})", "\xff\xfe{}"}) {
    expect_refused(json, "");
  }
  expect_refused(testing::word_level("") + "x", "trailing");
  expect_refused(R"({"version":"2.0","model":{"type":"WordLevel","vocab":{"a":0},"unk_token":"a"}})", "version");
  expect_refused(R"({"model":{"type":"Unheard","vocab":{}}})", "");
}

TEST(HostileFile, DeepNestingIsRefused) {
  for (const std::size_t depth : {100U, 100000U}) {
    expect_refused(testing::word_level("\"normalizer\":" + std::string(depth, '[') + std::string(depth, ']') + ","),
                   "nested");
  }
  std::string nested = R"({"type":"NFC"})";
  for (int i = 0; i < 9; ++i) nested = R"({"type":"Sequence","normalizers":[)" + nested + "]}";
  EXPECT_TRUE(testing::open_text(testing::word_level("\"normalizer\":" + nested + ",")).ok());
  EXPECT_TRUE(testing::open_text(
                  testing::word_level(R"("normalizer":{"type":"Prepend","prepend":"\"[[[[[[[[[[[[[[[[[[[[[[[[[[[["},)"))
                  .ok())
      << "brackets inside strings are no nesting";
}

TEST(HostileFile, WrongModelsAreRefused) {
  const auto model = [](const std::string& text) { return R"({"version":"1.0","model":)" + text + "}"; };
  expect_refused(model(R"({"type":"WordLevel","vocab":{},"unk_token":"a"})"), "empty");
  expect_refused(model(R"({"type":"WordLevel","vocab":{"a":-1},"unk_token":"a"})"), "");
  expect_refused(model(R"({"type":"WordLevel","vocab":{"a":4294967296},"unk_token":"a"})"), "");
  expect_refused(model(R"({"type":"WordLevel","vocab":{"a":4294967295},"unk_token":"a"})"), "4294967295");
  expect_refused(model(R"({"type":"WordLevel","vocab":{"a":"0"},"unk_token":"a"})"), "");
  expect_refused(model(R"({"type":"WordLevel","vocab":["a"],"unk_token":"a"})"), "");
  expect_refused(model(R"({"type":"WordLevel","unk_token":"a"})"), "");
  expect_refused(model(R"({"type":"Unigram","vocab":[["a",-1.0]],"unk_id":7})"), "UnkId");
  expect_refused(model(R"({"type":"Unigram","vocab":[],"unk_id":0})"), "");
  expect_refused(model(R"({"type":"BPE","vocab":{"a":0,"b":1},"merges":["a b"]})"), "");
  expect_refused(model(R"({"type":"BPE","vocab":{"a":0,"b":1},"merges":["a"]})"), "");
  expect_refused(model(R"({"type":"BPE","dropout":0.5,"vocab":{"a":0},"merges":[]})"), "dropout");
  expect_refused(model(R"({"type":"WordPiece","unk_token":"a","continuing_subword_prefix":"#",)"
                       R"("max_input_chars_per_word":1000000000,"vocab":{"a":0}})"),
                 "max_input_chars_per_word");
}

TEST(HostileFile, WrongAddedTokensAreRefused) {
  const auto added = [](const std::string& id, const std::string& text) {
    return R"({"id":)" + id + R"(,"content":")" + text +
           R"(","single_word":false,"lstrip":false,"rstrip":false,"normalized":false,"special":true})";
  };
  const auto file = [](const std::string& tokens) { return testing::word_level("\"added_tokens\":[" + tokens + "],"); };
  EXPECT_TRUE(testing::open_text(file(added("3", "<x>"))).ok());
  expect_refused(file(added("4294967295", "<x>")), "<x>");
  expect_refused(file(added("7", "<x>")), "7");
  expect_refused(file(added("1", "a")), "1");
  expect_refused(file(added("3", "<x>") + "," + added("3", "<y>")), "<y>");
  expect_refused(file(added("-1", "<x>")), "");
  expect_refused(file(R"({"id":3})"), "");
}

TEST(HostileFile, WrongPartsAreRefused) {
  expect_refused(testing::splitting("(a"), "pattern");
  expect_refused(testing::splitting(std::string(100000, 'a')), "bytes");
  expect_refused(testing::word_level(R"("normalizer":{"type":"Replace","pattern":{"String":"a"},"content":")" +
                                     std::string(1000, 'x') + R"("},)"),
                 "content");
  expect_refused(testing::word_level(R"("normalizer":{"type":"Sequence","normalizers":[{"type":"Prepend","prepend":")" +
                                     std::string(1000, 'x') + R"("}]},)"),
                 "prepend");
  expect_refused(testing::word_level(R"("pre_tokenizer":{"type":"FixedLength","length":0},)"), "length");
  const auto template_of = [](const std::string& ids, const std::string& type_id) {
    return testing::word_level(
        R"("post_processor":{"type":"TemplateProcessing","single":[{"SpecialToken":{"id":"x","type_id":)" + type_id +
        R"(}},{"Sequence":{"id":"A","type_id":0}}],"pair":[{"Sequence":{"id":"A","type_id":0}},)"
        R"({"Sequence":{"id":"B","type_id":1}}],"special_tokens":{"x":{"id":"x","ids":[)" +
        ids + R"(],"tokens":["x"]}}},)");
  };
  EXPECT_TRUE(testing::open_text(template_of("1", "0")).ok());
  expect_refused(template_of("99", "0"), "99");
  expect_refused(template_of("1", "256"), "256");
}

TEST(HostileFile, MultipliedTextsRunIntoALimit) {
  std::string steps;
  for (int i = 0; i < 12; ++i) {
    steps += (i > 0 ? "," : "") + std::string(R"({"type":"Replace","pattern":{"String":"a"},"content":")") +
             std::string(16, 'a') + R"("})";
  }
  auto tokenizer =
      testing::open_text(testing::word_level(R"("normalizer":{"type":"Sequence","normalizers":[)" + steps + "]},"));
  ASSERT_TRUE(tokenizer.ok()) << tokenizer.error().message;
  const auto encoding = (*tokenizer)->encode("a", std::nullopt, {});
  ASSERT_FALSE(encoding.ok());
  EXPECT_EQ(encoding.error().code, ErrorCode::kInput);
}

TEST(HostileFile, AMissingUnknownTokenIsTheModelsFault) {
  auto tokenizer = testing::open_text(R"({"model":{"type":"WordLevel","vocab":{"a":0},"unk_token":"[UNK]"}})");
  ASSERT_TRUE(tokenizer.ok()) << tokenizer.error().message;
  EXPECT_TRUE((*tokenizer)->encode("a", std::nullopt, {}).ok());
  const auto encoding = (*tokenizer)->encode("other", std::nullopt, {});
  ASSERT_FALSE(encoding.ok());
  EXPECT_EQ(encoding.error().code, ErrorCode::kModel);
}

TEST(HostileFile, DamagedFilesNeverCrash) {
  std::mt19937 random(1);
  int opened = 0;
  int refused = 0;
  for (const char* name : {"word_piece.json", "byte_level.json", "split_pattern.json", "unigram.json"}) {
    const std::string whole = content(testing::data_path(name));
    for (int i = 0; i < 200; ++i) {
      std::string damaged = whole;
      const std::size_t at = random() % std::min<std::size_t>(damaged.size(), i % 2 == 0 ? 1500 : damaged.size());
      switch (i % 4) {
        case 0: damaged[at] = static_cast<char>(random()); break;
        case 1: damaged.resize(at); break;
        case 2: damaged.erase(at, 1 + random() % 20); break;
        default: damaged.insert(at, damaged.substr(random() % damaged.size(), random() % 40)); break;
      }
      const auto tokenizer = testing::open_text(damaged);
      if (tokenizer.ok()) {
        ++opened;
        (void)(*tokenizer)->encode("Hidden states, <mask> 日本語 12345!", "and more", {.want_offsets = true});
        (void)(*tokenizer)->decode({0, 1, 2, 3}, false);
      } else {
        ++refused;
        EXPECT_EQ(tokenizer.error().code, ErrorCode::kModel);
      }
    }
  }
  EXPECT_GT(opened, 20);
  EXPECT_GT(refused, 200);
}

}  // namespace
}  // namespace layerscope
