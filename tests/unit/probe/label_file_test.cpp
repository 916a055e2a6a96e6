#include "probe/label_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "support/temp_folder.h"

namespace layerscope {
namespace {

using test::TempFolder;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

Result<LabelFile> read(const TempFolder& temp, const std::string& name, const std::string& text,
                       const std::string& key = "") {
  return LabelFile::read(temp.write(name, text), key);
}

const RowLabels* row(const LabelFile& file, std::int64_t number, const std::optional<std::string>& id = {}) {
  Result<const RowLabels*> found = file.find(number, id);
  return found ? *found : nullptr;
}

std::string label(const LabelFile& file, const RowLabels* row, std::size_t index = 0) {
  const LabelValue& value = row->labels[index];
  if (value.none()) return "none";
  return value.text >= 0 ? file.texts()[static_cast<std::size_t>(value.text)] : std::to_string(value.number);
}

TEST(LabelFile, NamesRowsByLineNumberOrId) {
  const TempFolder temp;
  const auto file =
      read(temp, "a.jsonl",
           "\xEF\xBB\xBF{\"label\":\"a\",\"text\":\"x\"}\r\n\n{\"label\":\"b\"}\n{\"row\":7,\"label\":\"c\"}\n"
           "{\"id\":\"x\\u0041\",\"label\":\"d\",\"group\":5}\n{\"id\":12,\"label\":null}\n");
  ASSERT_TRUE(file) << file.error().message;
  EXPECT_EQ(file->level(), LabelLevel::kRow);
  EXPECT_FALSE(file->numbers());
  EXPECT_EQ(file->rows(), 5U);
  EXPECT_EQ(label(*file, row(*file, 0)), "a");
  EXPECT_EQ(row(*file, 1), nullptr);
  EXPECT_EQ(label(*file, row(*file, 2)), "b");
  EXPECT_EQ(label(*file, row(*file, 7)), "c");
  EXPECT_EQ(label(*file, row(*file, 99, "\"xA\"")), "d");
  EXPECT_EQ(row(*file, 99, "\"xA\"")->group, "5");
  EXPECT_TRUE(row(*file, 98, "12")->labels.empty());
  EXPECT_THAT(file->where(*row(*file, 7)), HasSubstr("a.jsonl:4"));
  const auto both = file->find(7, "12");
  ASSERT_FALSE(both);
  EXPECT_THAT(both.error().message, HasSubstr("named by its id here and by its number in line 4"));
}

TEST(LabelFile, LabelsOfWordsTokensAndSpans) {
  const TempFolder temp;
  const auto words = read(temp, "w.jsonl", R"({"words":["I","run"],"labels":["PRON",null]})");
  ASSERT_TRUE(words) << words.error().message;
  EXPECT_EQ(words->level(), LabelLevel::kWords);
  EXPECT_THAT(row(*words, 0)->words, ElementsAre("I", "run"));
  EXPECT_EQ(label(*words, row(*words, 0), 1), "none");
  const auto tokens = read(temp, "t.jsonl", R"({"labels":[1,2.5,-3]})");
  ASSERT_TRUE(tokens) << tokens.error().message;
  EXPECT_EQ(tokens->level(), LabelLevel::kTokens);
  EXPECT_TRUE(tokens->numbers());
  const auto spans = read(temp, "s.jsonl", R"({"spans":[[0,2,"A"],[2,5,"B"]]})");
  ASSERT_TRUE(spans) << spans.error().message;
  EXPECT_EQ(spans->level(), LabelLevel::kSpans);
  EXPECT_THAT(row(*spans, 0)->spans, ElementsAre(std::pair(0, 2), std::pair(2, 5)));
  const auto keyed = read(temp, "k.jsonl", "{\"label\":\"x\",\"tense\":\"past\"}\n{\"tense\":true}\n", "tense");
  ASSERT_TRUE(keyed) << keyed.error().message;
  EXPECT_EQ(label(*keyed, row(*keyed, 0)), "past");
  EXPECT_EQ(label(*keyed, row(*keyed, 1)), "true");
}

TEST(LabelFile, LinesAndColumns) {
  const TempFolder temp;
  const auto lines = read(temp, "l.txt", " noun \n\nverb\tphrase\n");
  ASSERT_TRUE(lines) << lines.error().message;
  EXPECT_EQ(label(*lines, row(*lines, 0)), "noun");
  EXPECT_EQ(row(*lines, 1), nullptr);
  EXPECT_EQ(label(*lines, row(*lines, 2)), "verb\tphrase");
  const auto numbers = read(temp, "n.txt", "1\n2.5\n-1e3\n1\n");
  ASSERT_TRUE(numbers) << numbers.error().message;
  EXPECT_TRUE(numbers->numbers());
  EXPECT_EQ(row(*numbers, 2)->labels.front().number, -1000.0);
  EXPECT_EQ(row(*numbers, 3)->labels.front().number, 1.0);
  const auto columns = read(temp, "c.tsv", "id\tgroup\tlabel\nx\tg1\tA\n7\t\tB\n8\t\t\n");
  ASSERT_TRUE(columns) << columns.error().message;
  EXPECT_EQ(label(*columns, row(*columns, 99, "\"x\"")), "A");
  EXPECT_EQ(row(*columns, 99, "\"x\"")->group, "g1");
  EXPECT_EQ(label(*columns, row(*columns, 99, "7")), "B");
  EXPECT_FALSE(row(*columns, 99, "7")->group.has_value());
  EXPECT_TRUE(row(*columns, 99, "8")->labels.empty());
  const auto counted = read(temp, "r.tsv", "label\nA\nB\n");
  ASSERT_TRUE(counted) << counted.error().message;
  EXPECT_EQ(label(*counted, row(*counted, 1)), "B");
  EXPECT_THAT(counted->where(*row(*counted, 1)), HasSubstr("r.tsv:3"));
  const auto given = read(temp, "g.tsv", "y\trow\n0.5\t4\n", "y");
  ASSERT_TRUE(given) << given.error().message;
  EXPECT_EQ(row(*given, 4)->labels.front().number, 0.5);
}

TEST(LabelFile, RefusesWhatItCannotTrust) {
  const TempFolder temp;
  const std::vector<std::array<std::string, 3>> bad = {
      {"a.jsonl", "{\"label\":\"a\"}\n{\"label\":3}\n", "a.jsonl:2: labels are texts and numbers"},
      {"a.jsonl", "{\"label\":\"a\"}\n{\"labels\":[\"b\"]}\n", "a.jsonl:2: labels of rows"},
      {"a.jsonl", "{\"label\":\"a\",\"labels\":[\"b\"]}\n", "a.jsonl:1: has more than one"},
      {"a.jsonl", "{\"row\":1,\"label\":\"a\"}\n{\"label\":\"b\"}\n", "a.jsonl:2: row 1 has its labels in line 1"},
      {"a.jsonl", "{\"id\":\"k\",\"label\":\"a\"}\n{\"id\":\"k\",\"label\":\"b\"}\n", "a.jsonl:2: row \"k\" has"},
      {"a.jsonl", "{\"row\":-1,\"label\":\"a\"}\n", "a.jsonl:1: \"row\" is -1"},
      {"a.jsonl", "{\"row\":1e300,\"label\":\"a\"}\n", "a.jsonl:1: \"row\" is"},
      {"a.jsonl", "{\"id\":null,\"label\":\"a\"}\n", "a.jsonl:1: \"id\" is neither"},
      {"a.jsonl", "{\"label\":\"a\",\"group\":[1]}\n", "a.jsonl:1: \"group\" is neither"},
      {"a.jsonl", "{\"label\":{\"a\":1}}\n", "a.jsonl:1: a label is"},
      {"a.jsonl", "{\"labels\":[[1]]}\n", "a.jsonl:1: a label is"},
      {"a.jsonl", "{\"label\":1e999}\n", "a.jsonl:1"},
      {"a.jsonl", "{\"words\":[\"a\"],\"labels\":[1,2]}\n", "a.jsonl:1: has 1 words and 2 labels"},
      {"a.jsonl", "{\"words\":[\"\"],\"labels\":[1]}\n", "a.jsonl:1: \"words\" holds"},
      {"a.jsonl", "{\"words\":3,\"labels\":[1]}\n", "a.jsonl:1: \"words\" is no array"},
      {"a.jsonl", "{\"spans\":[[0,2,\"A\"],[1,3,\"B\"]]}\n", "a.jsonl:1: the span [1, 3]"},
      {"a.jsonl", "{\"spans\":[[-1,2,\"A\"]]}\n", "a.jsonl:1: the span [-1, 2]"},
      {"a.jsonl", "{\"spans\":[[2,2,\"A\"]]}\n", "a.jsonl:1: the span [2, 2]"},
      {"a.jsonl", "{\"spans\":[[0,9223372036854775808,\"A\"]]}\n", "a.jsonl:1: a span is"},
      {"a.jsonl", "{\"spans\":[[0,2]]}\n", "a.jsonl:1: a span is"},
      {"a.jsonl", "{\"label\":\"a\",\"label\":\"b\"}\n", "a.jsonl:1"},
      {"a.jsonl", "[1]\n", "a.jsonl:1: is no JSON object"},
      {"a.jsonl", "{\"label\":\"\xff\"}\n", "a.jsonl:1: is not valid UTF-8"},
      {"a.txt", "a\n\xff\n", "a.txt:2: is not valid UTF-8"},
      {"a.tsv", "label\trow\nA\t1\nB\n", "a.tsv:3: has 1 columns, the first line names 2"},
      {"a.tsv", "label\trow\nA\tx\n", "a.tsv:2: the row is \"x\""},
  };
  for (const auto& [name, text, message] : bad) {
    const auto file = read(temp, name, text);
    ASSERT_FALSE(file) << text;
    EXPECT_EQ(file.error().code, ErrorCode::kInput) << text;
    EXPECT_THAT(file.error().message, HasSubstr(message)) << text;
  }
  for (const auto& [name, text, key] :
       std::vector<std::array<std::string, 3>>{{"a.jsonl", "{\"text\":\"a\"}\n", ""},
                                               {"a.jsonl", "{\"label\":\"a\"}\n", "tense"},
                                               {"a.jsonl", "", ""},
                                               {"a.tsv", "", ""},
                                               {"a.tsv", "name\nA\n", ""},
                                               {"a.txt", "A\n", "tense"}}) {
    const auto file = read(temp, name, text, key);
    ASSERT_FALSE(file) << text;
    EXPECT_EQ(file.error().code, ErrorCode::kUsage) << file.error().message;
  }
  EXPECT_EQ(LabelFile::read("/nothing/there.txt", "").error().code, ErrorCode::kRuntime);
}

}  // namespace
}  // namespace layerscope
