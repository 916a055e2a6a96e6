// Texts and patterns that would take forever or make no sense are errors, and the same error every time.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <thread>

#include "files.h"

namespace layerscope {
namespace {

using ::testing::HasSubstr;

constexpr std::size_t kMegabyte = std::size_t{1} << 20;

std::string repeat(std::string_view unit, std::size_t bytes) {
  std::string text;
  text.reserve(bytes + unit.size());
  while (text.size() < bytes) text += unit;
  return text;
}

TEST(Limits, InvalidUtf8IsRefused) {
  auto tokenizer = Tokenizer::open(testing::data_path("word_piece.json"));
  ASSERT_TRUE(tokenizer.ok());
  for (const std::string_view text : {"\xff", "a\xc3", "\xed\xa0\x80", "\xc0\x80", "\xf4\x90\x80\x80", "ok \xe2\x82"}) {
    const auto single = (*tokenizer)->encode(text, std::nullopt, {});
    ASSERT_FALSE(single.ok());
    EXPECT_EQ(single.error().code, ErrorCode::kInput);
    EXPECT_THAT(single.error().message, HasSubstr("UTF-8"));
    EXPECT_FALSE((*tokenizer)->encode("fine", text, {}).ok());
  }
}

TEST(Limits, TooManyBytesAreRefused) {
  auto tokenizer = Tokenizer::open(testing::data_path("word_piece.json"));
  ASSERT_TRUE(tokenizer.ok());
  const std::string text(17 * kMegabyte, 'a');
  for (const auto& encoding :
       {(*tokenizer)->encode(text, std::nullopt, {}), (*tokenizer)->encode("a", text, {}),
        (*tokenizer)
            ->encode(std::string_view(text).substr(8 * kMegabyte), std::string_view(text).substr(8 * kMegabyte), {})}) {
    ASSERT_FALSE(encoding.ok());
    EXPECT_EQ(encoding.error().code, ErrorCode::kInput);
    EXPECT_THAT(encoding.error().message, HasSubstr("limit"));
  }
}

TEST(Limits, OrdinaryTextsOfAMegabyteStayBelow) {
  for (const char* name : {"word_piece.json", "byte_level.json", "split_pattern.json", "unigram.json"}) {
    auto tokenizer = Tokenizer::open(testing::data_path(name));
    ASSERT_TRUE(tokenizer.ok());
    for (const std::string_view unit : {"a", " ", "日", "\n", "7", "!", "it's 12345 done.\n", "<mask> "}) {
      const auto encoding = (*tokenizer)->encode(repeat(unit, kMegabyte), std::nullopt, {});
      EXPECT_TRUE(encoding.ok()) << name << " " << unit << encoding.error().message;
    }
  }
}

struct Hostile {
  const char* pattern;
  std::string text;
};

TEST(Limits, PatternsThatBacktrackOrScanWithoutEndAreErrors) {
  const std::vector<Hostile> cases = {
      {"(a+)+$", repeat("a", 64) + "!"},
      {"(a|aa)+$", repeat("a", 64) + "!"},
      {"(\\\\w+\\\\s?)+$", repeat("word ", 64) + "!"},
      {"a*b", repeat("a", kMegabyte) + "db"},
      {"(?>a*)[bc]", repeat("a", kMegabyte) + "db"},
      {"(?=(a+)+$)a", repeat("a", 64) + "!"},
  };
  for (const Hostile& hostile : cases) {
    auto tokenizer = testing::open_text(testing::splitting(hostile.pattern));
    ASSERT_TRUE(tokenizer.ok()) << tokenizer.error().message;
    const auto first = (*tokenizer)->encode(hostile.text, std::nullopt, {});
    ASSERT_FALSE(first.ok()) << hostile.pattern;
    EXPECT_EQ(first.error().code, ErrorCode::kInput) << hostile.pattern;
    EXPECT_THAT(first.error().message, HasSubstr("step limit")) << hostile.pattern;
    EXPECT_TRUE((*tokenizer)->encode("a", std::nullopt, {}).ok()) << "the next row is not affected";
  }
}

TEST(Limits, AnErrorInANormalizerIsNotSwallowed) {
  auto tokenizer = testing::open_text(
      testing::word_level(R"("normalizer":{"type":"Replace","pattern":{"Regex":"(a+)+$"},"content":"b"},)"));
  ASSERT_TRUE(tokenizer.ok()) << tokenizer.error().message;
  const auto encoding = (*tokenizer)->encode(repeat("a", 64) + "!", std::nullopt, {});
  ASSERT_FALSE(encoding.ok());
  EXPECT_THAT(encoding.error().message, HasSubstr("step limit"));
}

TEST(Limits, DoNotDependOnOtherThreads) {
  auto tokenizer = testing::open_text(testing::splitting("(a+)+$"));
  ASSERT_TRUE(tokenizer.ok());
  std::vector<int> passed(4, 0);
  std::vector<std::thread> threads;
  for (int& count : passed) {
    threads.emplace_back([&] {
      for (std::size_t length = 1; length <= 40; ++length) {
        count += (*tokenizer)->encode(std::string(length, 'a') + "!", std::nullopt, {}).ok() ? 1 : 0;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_GT(passed[0], 10);
  EXPECT_LT(passed[0], 40);
  EXPECT_THAT(passed, ::testing::Each(passed[0]));
}

TEST(Limits, LengthsBelowTheSpecialTokensAreAUsageError) {
  auto tokenizer = Tokenizer::open(testing::data_path("word_piece.json"));
  ASSERT_TRUE(tokenizer.ok());
  for (const std::int64_t length : {std::int64_t{-1}, std::int64_t{0}, std::int64_t{1}}) {
    const auto encoding = (*tokenizer)->encode("hidden", std::nullopt, {.max_length = length});
    ASSERT_FALSE(encoding.ok());
    EXPECT_EQ(encoding.error().code, ErrorCode::kUsage);
  }
  EXPECT_EQ((*tokenizer)->encode("hidden", std::nullopt, {.max_length = 2})->ids.size(), 2U);
}

TEST(Limits, IdsOutsideTheVocabularyAreNotDecoded) {
  auto tokenizer = Tokenizer::open(testing::data_path("word_piece.json"));
  ASSERT_TRUE(tokenizer.ok());
  for (const std::int32_t id : {-1, 300, 1 << 30}) {
    const auto text = (*tokenizer)->decode({5, id}, false);
    ASSERT_FALSE(text.ok()) << id;
    EXPECT_EQ(text.error().code, ErrorCode::kInput);
    EXPECT_THAT(text.error().message, HasSubstr(std::to_string(id)));
  }
  EXPECT_EQ((*tokenizer)->decode({}, false).value(), "");
}

}  // namespace
}  // namespace layerscope
