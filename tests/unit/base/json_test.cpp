#include "base/json.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <limits>
#include <random>

#include "support/temp_folder.h"

namespace layerscope {
namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;

Result<Json> parse(std::string_view text, JsonLimits limits = {}) {
  return parse_json(text, "doc.json", ErrorCode::kModel, limits);
}

std::string message_of(std::string_view text, JsonLimits limits = {}) {
  const Result<Json> result = parse(text, limits);
  return result.ok() ? "accepted: " + result->dump() : result.error().message;
}

TEST(Json, ReadsEveryKind) {
  const auto json = parse(R"( {"n":null, "t":true, "f":false, "i":-12, "r":0.5, "e":1e3, "s":"a\u00e9\n\ud83d\ude00",
                              "a":[1,[],{}], "o":{"":"empty key"}} )");
  ASSERT_TRUE(json.ok()) << json.error().message;
  EXPECT_TRUE(json->find("n")->is_null());
  EXPECT_TRUE(*json->find("t")->boolean());
  EXPECT_FALSE(*json->find("f")->boolean());
  EXPECT_EQ(*json->find("i")->integer(), -12);
  EXPECT_EQ(*json->find("r")->real(), 0.5);
  EXPECT_EQ(*json->find("e")->real(), 1000.0);
  EXPECT_EQ(*json->find("s")->string(), "a\u00e9\n\U0001F600");
  EXPECT_EQ(json->find("a")->array()->size(), 3U);
  EXPECT_EQ(*json->find("o")->find("")->string(), "empty key");
  EXPECT_EQ(json->find("absent"), nullptr);
  EXPECT_EQ(json->find("a")->find("x"), nullptr);
  EXPECT_EQ(json->find("i")->real(), nullptr);
  EXPECT_EQ(json->find("e")->integer(), nullptr);
  EXPECT_EQ(json->object()->front().first, "n") << "members keep the order of the file";
}

TEST(Json, ReadsScalarsAtTheTop) {
  EXPECT_EQ(parse(" 7 ")->dump(), "7");
  EXPECT_EQ(parse("\"x\"")->dump(), "\"x\"");
  EXPECT_EQ(parse("null")->dump(), "null");
  EXPECT_EQ(parse("true\n")->dump(), "true");
  EXPECT_EQ(parse("-0.25")->dump(), "-0.25");
}

TEST(Json, NumbersAtTheEdges) {
  EXPECT_EQ(*parse("9223372036854775807")->integer(), std::numeric_limits<std::int64_t>::max());
  EXPECT_EQ(*parse("-9223372036854775808")->integer(), std::numeric_limits<std::int64_t>::min());
  EXPECT_EQ(*parse("9223372036854775808")->real(), 9223372036854775808.0);
  EXPECT_EQ(*parse("18446744073709551616")->real(), 18446744073709551616.0);
  EXPECT_EQ(*parse("1000000000000000019884624838656")->real(), 1e30)
      << "model_max_length of many tokenizer_config.json";
  EXPECT_EQ(*parse("1.0")->real(), 1.0);
  EXPECT_TRUE(std::signbit(*parse("-0.0")->real()));
}

TEST(Json, RefusesWhatIsNotJson) {
  for (const std::string_view text : {"",
                                      "   ",
                                      "{",
                                      "}",
                                      "[",
                                      "]",
                                      "[1",
                                      "1]",
                                      "{\"a\":1",
                                      "\"a\":1}",
                                      "[1,]",
                                      "[,1]",
                                      "[1 2]",
                                      "{\"a\" 1}",
                                      "{\"a\":}",
                                      "{\"a\":1,}",
                                      "{,}",
                                      "{1:2}",
                                      "{\"a\":1 \"b\":2}",
                                      "{'a':1}",
                                      "nul",
                                      "nulll",
                                      "truee",
                                      "tru",
                                      "True",
                                      "NaN",
                                      "Infinity",
                                      "-Infinity",
                                      "[NaN]",
                                      "01",
                                      "-01",
                                      "+1",
                                      "1.",
                                      ".5",
                                      "1.e5",
                                      "1e",
                                      "1e+",
                                      "-",
                                      "--1",
                                      "0x10",
                                      "1_000",
                                      "1e999",
                                      "\"",
                                      "\"abc",
                                      "\"\\x\"",
                                      "\"\\u12\"",
                                      "\"\\ud800\"",
                                      "\"\\ud800\\u0041\"",
                                      "\"a\nb\"",
                                      "\"tab\there\"",
                                      "// c\n1",
                                      "/* c */ 1",
                                      "1 // c",
                                      "[1]]",
                                      "[[1]",
                                      "{}}",
                                      "{} {}",
                                      "1 2",
                                      "1,2",
                                      "1],[2",
                                      "null null",
                                      "[1}",
                                      "{\"a\":1]",
                                      "{\"a\"}",
                                      "{\"a\":1:2}",
                                      "[\"a\":1]",
                                      "\\",
                                      "[\"a\\\"]",
                                      "\xEF\xBB\xBF{}",
                                      "{\"a\":1}\x01",
                                      ":",
                                      ",",
                                      "[1,,2]",
                                      "{\"a\":1,,\"b\":2}",
                                      "{\"a\":1}{\"a\":1",
                                      "{\"a\":[}",
                                      "{[1]:2}",
                                      "null\f",
                                      "null\x1a",
                                      "[null\f]",
                                      "true\f",
                                      "1\f",
                                      "[1\f2]",
                                      "{\"a\"\x1a"
                                      "1}",
                                      "\f1",
                                      "\"a\" \"b\"",
                                      "[1]1",
                                      "1[1]"}) {
    const Result<Json> result = parse(text);
    ASSERT_FALSE(result.ok()) << "accepted: " << text;
    EXPECT_EQ(result.error().code, ErrorCode::kModel);
    EXPECT_THAT(result.error().message, StartsWith("doc.json: ")) << text;
    EXPECT_EQ(result.error().message.find('\n'), std::string::npos) << text;
  }
  EXPECT_FALSE(parse(std::string_view("{\"a\":1}\0", 8)).ok()) << "a NUL at the end is content";
}

TEST(Json, SaysWhere) {
  EXPECT_THAT(message_of("{\n  \"a\": 1,\n  \"b\": 01\n}"), HasSubstr("(near line 3, column 8)"));
  EXPECT_THAT(message_of("{}, {}"), HasSubstr("more text after the end"));
  EXPECT_THAT(message_of(""), HasSubstr("empty"));
}

TEST(Json, RefusesDuplicateKeysAtEveryLevel) {
  EXPECT_THAT(message_of(R"({"a":1,"b":2,"a":3})"), HasSubstr("the key \"a\" appears twice"));
  EXPECT_THAT(message_of(R"([{"x":{"k":1,"k":1}}])"), HasSubstr("the key \"k\" appears twice"));
  EXPECT_THAT(message_of(R"({"a":1,"\u0061":2})"), HasSubstr("appears twice")) << "compared after unescaping";
  EXPECT_TRUE(parse(R"({"a":{"a":1},"b":[{"a":1},{"a":2}]})").ok()) << "the same key in different objects is fine";
}

TEST(Json, RefusesInvalidUtf8) {
  for (const std::string_view text :
       {"\"\xFF\"", "\"\xC0\x80\"", "\"\xED\xA0\x80\"", "\"\xF4\x90\x80\x80\"", "\"\xE2\x82\"", "\x80"}) {
    EXPECT_THAT(message_of(text), HasSubstr("not UTF-8 (byte ")) << text.size();
  }
}

TEST(Json, DepthAndSizeAreLimited) {
  const auto nested = [](std::size_t depth) { return std::string(depth, '[') + std::string(depth, ']'); };
  EXPECT_TRUE(parse(nested(64)).ok());
  EXPECT_THAT(message_of(nested(65)), HasSubstr("nested more than 64 levels"));
  EXPECT_THAT(message_of(nested(10'001)), HasSubstr("nested more than 64 levels"));
  EXPECT_THAT(message_of(std::string(1'000'000, '[')), HasSubstr("doc.json: "));
  std::string objects;
  for (int i = 0; i < 100; ++i) objects += "{\"a\":";
  EXPECT_THAT(message_of(objects + "1" + std::string(100, '}')), HasSubstr("nested more than 64 levels"));
  EXPECT_TRUE(parse("[1]", {.max_bytes = 3}).ok());
  EXPECT_THAT(message_of("[12]", {.max_bytes = 3}), HasSubstr("has 4 bytes of JSON, at most 3"));
}

TEST(Json, FilesAreReadWithTheirNameInTheError) {
  const test::TempFolder folder;
  EXPECT_EQ(read_json_file(folder.write("a.json", "{\"k\":[1]}"), ErrorCode::kModel)->dump(), "{\"k\":[1]}");
  for (const std::string& path : {folder.write("bad.json", "{"), folder.write("empty.json", ""),
                                  folder.file("absent.json"), folder.path().string(), std::string("/dev/zero")}) {
    const auto result = read_json_file(path, ErrorCode::kInput);
    ASSERT_FALSE(result.ok()) << path;
    EXPECT_EQ(result.error().code, ErrorCode::kInput);
    EXPECT_THAT(result.error().message, StartsWith(path + ": "));
  }
  const auto large = read_json_file(folder.write("large.json", "[1234567]"), ErrorCode::kModel, {.max_bytes = 8});
  ASSERT_FALSE(large.ok());
  EXPECT_THAT(large.error().message, HasSubstr("has 9 bytes, at most 8"));
}

TEST(Json, DumpReadsBackEqual) {
  for (const std::string_view text :
       {R"({"a":[1,-2,0.1,1e+30,5.0,-0.0,true,null],"b":{"c":"\"\\\u0001\u007f\n\té"}})", "[]", "{}", "1e-7"}) {
    const auto first = parse(text);
    ASSERT_TRUE(first.ok()) << first.error().message;
    const auto second = parse(first->dump());
    ASSERT_TRUE(second.ok()) << second.error().message;
    EXPECT_EQ(*first, *second) << first->dump();
  }
  EXPECT_EQ(parse("5.0")->dump(), "5.0") << "a real stays a real";
}

TEST(Json, StringsAreEscaped) {
  std::string out;
  append_json_string(out, "q\"b\\n\n\r\t\x01\x7f é\xFF.");
  EXPECT_EQ(out, "\"q\\\"b\\\\n\\n\\r\\t\\u0001\\u007f é\uFFFD.\"");
}

TEST(Json, FloatsReadBackExactly) {
  std::mt19937 random(20261121);
  for (int i = 0; i < 20'000; ++i) {
    const auto value = std::bit_cast<float>(static_cast<std::uint32_t>(random()));
    if (!std::isfinite(value)) continue;
    std::string text;
    append_json_number(text, value);
    const auto json = parse(text);
    ASSERT_TRUE(json.ok()) << text;
    const double read = json->real() != nullptr ? *json->real() : static_cast<double>(*json->integer());
    ASSERT_EQ(std::bit_cast<std::uint32_t>(static_cast<float>(read)), std::bit_cast<std::uint32_t>(value)) << text;
  }
  std::string shortest;
  append_json_number(shortest, 0.1F);
  append_json_number(shortest += ' ', 0.1);
  append_json_number(shortest += ' ', 1.0F);
  append_json_number(shortest += ' ', -0.0F);
  append_json_number(shortest += ' ', std::int64_t{-7});
  EXPECT_EQ(shortest, "0.1 0.1 1 -0.0 -7");
}

}  // namespace
}  // namespace layerscope
