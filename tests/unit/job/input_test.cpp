#include "job/input.h"
#include "job/line_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "support/temp_folder.h"

namespace layerscope {
namespace {

using test::TempFolder;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

std::vector<InputRow> read_all(RowReader& reader) {
  std::vector<InputRow> rows;
  while (true) {
    auto row = reader.next();
    EXPECT_TRUE(row.ok());
    if (!row.ok() || !row->has_value()) return rows;
    rows.push_back(std::move(**row));
  }
}

std::vector<InputRow> read_file(const TempFolder& temp, const std::string& name, const std::string& text) {
  auto reader = open_rows(temp.write(name, text), false);
  EXPECT_TRUE(reader.ok());
  return read_all(**reader);
}

/// One JSON line as a row.
InputRow json_row(const std::string& line) {
  const TempFolder temp;
  auto rows = read_file(temp, "rows.jsonl", line + "\n");
  EXPECT_EQ(rows.size(), 1U);
  return rows.at(0);
}

TEST(TextRows, NumbersLinesAndDropsMarks) {
  const TempFolder temp;
  const auto rows = read_file(temp, "a.txt",
                              "\xEF\xBB\xBF"
                              "first\r\n\n  \t\nfourth \r x\r\n\r\nlast");
  ASSERT_EQ(rows.size(), 3U);
  EXPECT_EQ(*rows[0].row.text, "first");
  EXPECT_EQ(rows[0].number, 0);
  EXPECT_EQ(*rows[1].row.text, "fourth \r x");
  EXPECT_EQ(rows[1].number, 3);
  EXPECT_THAT(rows[1].where, ::testing::EndsWith("a.txt:4"));
  EXPECT_EQ(*rows[2].row.text, "last");
  EXPECT_EQ(rows[2].number, 5);
}

TEST(TextRows, InvalidUtf8IsABadRowAndTheNextLineGoesOn) {
  const TempFolder temp;
  const auto rows = read_file(temp, "a.txt", "good\n\xC3\x28\nalso good\n");
  ASSERT_EQ(rows.size(), 3U);
  ASSERT_TRUE(rows[1].bad);
  EXPECT_EQ(rows[1].bad->code, ErrorCode::kInput);
  EXPECT_THAT(rows[1].bad->message, HasSubstr("a.txt:2: is not valid UTF-8 (at byte 0"));
  EXPECT_FALSE(rows[2].bad);
}

TEST(TextRows, ALineThatIsTooLongIsSkippedOver) {
  const TempFolder temp;
  const auto rows = read_file(
      temp, "a.txt", "a\n" + std::string(kMaxLineBytes + 1, 'x') + "\n" + std::string(kMaxLineBytes, 'y') + "\n");
  ASSERT_EQ(rows.size(), 3U);
  ASSERT_TRUE(rows[1].bad);
  EXPECT_THAT(rows[1].bad->message, HasSubstr(":2: the line is longer than 67108864 bytes"));
  EXPECT_FALSE(rows[2].bad);
  EXPECT_EQ(rows[2].row.text->size(), kMaxLineBytes);
}

TEST(TextRows, HashesWhatWasReadSoFar) {
  const TempFolder temp;
  const std::string text = "one\n\ntwo\r\nthree";
  auto reader = open_rows(temp.write("a.txt", text), false);
  ASSERT_TRUE(reader.ok());
  const auto hash_of = [](std::string_view bytes) {
    Hasher hasher;
    hasher.update(bytes);
    return hasher.hex();
  };
  for (const std::size_t end : {4U, 10U, 15U}) {
    ASSERT_TRUE((*reader)->next().ok());
    EXPECT_EQ((*reader)->bytes(), end);
    EXPECT_EQ((*reader)->prefix_hash(), hash_of(text.substr(0, end)));
  }
  EXPECT_EQ((*reader)->total_bytes(), text.size());
  EXPECT_EQ((*reader)->kind(), "txt");
}

TEST(TextRows, MissingFilesAndFoldersAreErrors) {
  const TempFolder temp;
  for (const std::string& path : {temp.file("absent.txt"), temp.path().string()}) {
    const auto reader = open_rows(path, false);
    ASSERT_FALSE(reader.ok());
    EXPECT_EQ(reader.error().code, ErrorCode::kRuntime);
    EXPECT_THAT(reader.error().message, ::testing::StartsWith(path));
  }
}

TEST(ArgumentRows, EveryTextIsARow) {
  const auto reader = rows_of({"one", "", "\xFF"});
  const auto rows = read_all(*reader);
  ASSERT_EQ(rows.size(), 3U);
  EXPECT_EQ(*rows[1].row.text, "");
  EXPECT_FALSE(rows[1].bad);
  EXPECT_THAT(rows[2].bad->message, HasSubstr("TEXT argument 3"));
  EXPECT_EQ(reader->bytes(), 7U);
}

TEST(JsonRows, ReadsEveryKey) {
  const InputRow text = json_row(
      R"( {"text":"a\u00e9\ud83d\ude00\n\"\\\/","pair":"","target":"t","id":"x\ty","other":[1,{"a":[true,null,-1.5e3]}]} )");
  ASSERT_FALSE(text.bad) << text.bad->message;
  EXPECT_EQ(*text.row.text, "a\xC3\xA9\xF0\x9F\x98\x80\n\"\\/");
  EXPECT_EQ(*text.row.pair, "");
  EXPECT_EQ(*text.row.target, "t");
  EXPECT_EQ(*text.id, R"("x\ty")");
  const InputRow ids =
      json_row(R"({"ids":[0, 2147483647],"type_ids":[0,1],"decoder_ids":[],"id":-12345678901234567890})");
  ASSERT_FALSE(ids.bad) << ids.bad->message;
  EXPECT_THAT(*ids.row.ids, ElementsAre(0, 2147483647));
  EXPECT_THAT(*ids.row.type_ids, ElementsAre(0, 1));
  EXPECT_TRUE(ids.row.decoder_ids->empty());
  EXPECT_EQ(*ids.id, "-12345678901234567890");
  EXPECT_FALSE(json_row(R"({"text":""})").bad);
  EXPECT_FALSE(json_row(R"({"ids":[]})").bad);
}

TEST(JsonRows, SaysWhatIsWrong) {
  const std::vector<std::pair<std::string, std::string>> cases = {
      {R"([1])", "expected an object"},
      {R"({"text":"a"} x)", "something follows"},
      {R"({"text":"a",})", "expected a key"},
      {R"({"text":"a" "pair":"b"})", "expected ',' or '}'"},
      {R"({"text":1})", "\"text\" is no string"},
      {R"({"text":"a)", "does not end"},
      {R"({"text":"a","text":"b"})", "stands twice"},
      {R"({"text":"\x"})", "bad escape"},
      {R"({"text":"\ud800"})", "surrogate"},
      {R"({"text":"\ude00"})", "surrogate"},
      {"{\"text\":\"a\tb\"}", "control character"},
      {R"({"pair":"b"})", "neither \"text\" nor \"ids\""},
      {R"({})", "neither \"text\" nor \"ids\""},
      {R"({"text":"a","ids":[1]})", "both \"text\" and \"ids\""},
      {R"({"ids":[1],"pair":"b"})", "\"pair\" without \"text\""},
      {R"({"text":"a","type_ids":[0]})", "\"type_ids\" without \"ids\""},
      {R"({"ids":[1,2],"type_ids":[0]})", "as many"},
      {R"({"ids":[1],"decoder_ids":[1],"target":"t"})", "both \"decoder_ids\" and \"target\""},
      {R"({"ids":[1.0]})", "no integer"},
      {R"({"ids":[1e2]})", "no integer"},
      {R"({"ids":["1"]})", "no integer"},
      {R"({"ids":[-1]})", "holds -1, expected 0 to 2147483647"},
      {R"({"ids":[2147483648]})", "holds 2147483648"},
      {R"({"ids":[99999999999999999999999]})", "holds 99999999999999999999999"},
      {R"({"ids":[01]})", "bad number"},
      {R"({"ids":[1,]})", "no integer"},
      {R"({"ids":1})", "no array"},
      {R"({"ids":[1],"type_ids":[256]})", "expected 0 to 255"},
      {R"({"text":"a","id":1.5})", "neither a string nor an integer"},
      {R"({"text":"a","id":null})", "neither a string nor an integer"},
      {R"({"text":"a","more":tru})", "bad number"},
      {R"({"text":"a","more":)" + std::string(100, '[') + std::string(100, ']') + "}", "nested"},
  };
  for (const auto& [line, expected] : cases) {
    const InputRow row = json_row(line);
    ASSERT_TRUE(row.bad) << line;
    EXPECT_EQ(row.bad->code, ErrorCode::kInput);
    EXPECT_THAT(row.bad->message, HasSubstr("rows.jsonl:1: ")) << line;
    EXPECT_THAT(row.bad->message, HasSubstr(expected)) << line;
  }
}

}  // namespace
}  // namespace layerscope
