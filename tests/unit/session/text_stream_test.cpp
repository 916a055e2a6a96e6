#include "session/text_stream.h"

#include <gtest/gtest.h>

#include <optional>

namespace layerscope {
namespace {

using Ids = std::vector<std::int32_t>;
using Texts = std::vector<std::string>;

// Tokens of byte_level.json that are one byte each.
constexpr std::int32_t kA = 66, kB = 67, kExclamation = 2, kStart = 0, kFirstOfEmoji = 174;
const Ids kEmoji = {kFirstOfEmoji, 255, 248, 224};
const std::string kEmojiText = "\xF0\x9F\x98\x80", kReplacement = "\xEF\xBF\xBD";

std::unique_ptr<Tokenizer> tokenizer(const std::string& name = "byte_level") {
  auto opened = Tokenizer::open(std::string(LAYERSCOPE_SOURCE_DIR) + "/tests/data/tokenizers/" + name + ".json");
  EXPECT_TRUE(opened.ok());
  return std::move(opened).value();
}

/// What a reader sees of the tokens, a piece each, and whether the last one ended the text.
struct Read {
  Texts pieces;
  bool stopped = false;
};

Read read(TextStream& stream, const Ids& ids) {
  Read result;
  for (const std::int32_t id : ids) {
    EXPECT_FALSE(result.stopped) << "a token behind a stop";
    const Result<bool> stopped = stream.add(id);
    EXPECT_TRUE(stopped.ok());
    result.stopped = stopped.ok() && *stopped;
    result.pieces.push_back(stream.take());
  }
  return result;
}

TEST(TextStream, ACharacterAppearsWithItsLastByte) {
  const auto words = tokenizer();
  const Texts stops;
  TextStream stream(words.get(), stops);
  EXPECT_EQ(read(stream, {kA}).pieces, Texts{"a"});
  EXPECT_EQ(read(stream, kEmoji).pieces, (Texts{"", "", "", kEmojiText}));
  EXPECT_EQ(read(stream, {kB}).pieces, Texts{"b"});
  EXPECT_TRUE(stream.finish().ok());
  EXPECT_EQ(stream.take(), "");
  EXPECT_EQ(stream.text(), "a" + kEmojiText + "b");
}

TEST(TextStream, BytesThatNeverBecomeACharacterAppearAtTheEnd) {
  const auto words = tokenizer();
  const Texts stops;
  TextStream stream(words.get(), stops);
  EXPECT_EQ(read(stream, {kA, kFirstOfEmoji, 255}).pieces, (Texts{"a", "", ""}));
  EXPECT_TRUE(stream.finish().ok());
  EXPECT_EQ(stream.take(), kReplacement);
  EXPECT_EQ(stream.text(), "a" + kReplacement);
}

TEST(TextStream, BytesThatAreNoCharacterAreNotHeldForEver) {
  const auto words = tokenizer();
  const Texts stops;
  TextStream stream(words.get(), stops);
  std::string seen;
  for (const std::string& piece : read(stream, Ids(20, 255)).pieces) seen += piece;
  EXPECT_GE(seen.size(), 12 * kReplacement.size());
  EXPECT_TRUE(stream.finish().ok());
  EXPECT_EQ(seen + stream.take(), *words->decode(Ids(20, 255), true));
}

TEST(TextStream, AStopIsFoundAcrossTokensAndLeftOut) {
  const auto words = tokenizer();
  const Texts stops = {"b" + kEmojiText + "!"};
  TextStream stream(words.get(), stops);
  const Read before = read(stream, {kA, kB, kFirstOfEmoji, 255, 248, 224});
  EXPECT_EQ(before.pieces, (Texts{"a", "", "", "", "", ""})) << "what may become a stop is held back";
  EXPECT_FALSE(before.stopped);
  EXPECT_TRUE(read(stream, {kExclamation}).stopped);
  EXPECT_TRUE(stream.finish().ok());
  EXPECT_EQ(stream.take(), "");
  EXPECT_EQ(stream.text(), "a");
}

TEST(TextStream, WhatWasNoStopAfterAllAppears) {
  const auto words = tokenizer();
  const Texts stops = {"aab!"};
  TextStream stream(words.get(), stops);
  EXPECT_EQ(read(stream, {kA, kA, kA}).pieces, (Texts{"", "", "a"})) << "the last two may still begin a stop";
  EXPECT_EQ(read(stream, {kB, kB}).pieces, (Texts{"", "aabb"}));
  EXPECT_EQ(read(stream, {kA, kA}).pieces, (Texts{"", ""}));
  EXPECT_TRUE(stream.finish().ok());
  EXPECT_EQ(stream.take(), "aa");
  EXPECT_EQ(stream.text(), "aaabbaa");
}

TEST(TextStream, AStopInWhatWasHeldBackEndsTheTextToo) {
  const auto words = tokenizer();
  const Texts stops = {"a"};
  TextStream stream(words.get(), stops);
  constexpr std::int32_t kAndHalfACharacter = 296;  // "a" and the first byte of two
  EXPECT_EQ(read(stream, {kExclamation, kAndHalfACharacter}).pieces, (Texts{"!", ""}));
  const Result<bool> stopped = stream.finish();
  EXPECT_TRUE(stopped.ok() && *stopped);
  EXPECT_EQ(stream.take(), "");
  EXPECT_EQ(stream.text(), "!");
}

TEST(TextStream, TheFirstOfSeveralStopsEndsTheText) {
  const auto words = tokenizer();
  const Texts stops = {"b", "ab"};
  TextStream stream(words.get(), stops);
  EXPECT_EQ(read(stream, {kExclamation, kA}).pieces, (Texts{"!", ""}));
  EXPECT_TRUE(read(stream, {kB}).stopped);
  EXPECT_EQ(stream.text(), "!");
}

TEST(TextStream, TokensWithoutTextAddNone) {
  const auto words = tokenizer();
  const Texts stops;
  TextStream stream(words.get(), stops);
  EXPECT_EQ(read(stream, {kStart, kA, 1000000, kStart, kB}).pieces, (Texts{"", "a", "", "", "b"}));
  EXPECT_TRUE(stream.finish().ok());
  EXPECT_EQ(stream.text(), "ab");
  TextStream none(nullptr, stops);
  EXPECT_EQ(read(none, {kA, kB}).pieces, (Texts{"", ""}));
  EXPECT_TRUE(none.finish().ok());
  EXPECT_EQ(none.text(), "");
}

TEST(TextStream, PiecesAreTheTextOfAllTokensDecodedAtOnce) {
  const std::string text =
      "The bank of the river: caf\xC3\xA9, \xE6\x97\xA5\xE6\x9C\xAC " + kEmojiText + "  tokens and layers";
  for (const char* name : {"byte_level", "unigram", "split_pattern"}) {
    const auto words = tokenizer(name);
    const auto encoded = words->encode(text, std::nullopt, {});
    ASSERT_TRUE(encoded.ok());
    const Texts stops = {"nowhere in it"};
    TextStream stream(words.get(), stops);
    std::string seen;
    for (const std::string& piece : read(stream, encoded->ids).pieces) {
      seen += piece;
      EXPECT_EQ(stream.text().substr(0, seen.size()), seen);
    }
    EXPECT_TRUE(stream.finish().ok());
    EXPECT_EQ(seen + stream.take(), *words->decode(encoded->ids, true)) << name;
  }
}

}  // namespace
}  // namespace layerscope
