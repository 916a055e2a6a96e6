#include "checkpoint/safetensors.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>

#include "support/safetensors_bytes.h"

namespace layerscope {
namespace {

using test::bytes_of;
using test::length_bytes;
using test::safetensors_bytes;
using ::testing::HasSubstr;
using ::testing::StartsWith;

Result<SafetensorsHeader> parse(std::string_view file) { return parse_safetensors(bytes_of(file), "m.safetensors"); }

/// The refusal of a file, or what was taken from it.
std::string refusal(std::string_view file) {
  const auto header = parse(file);
  if (header.ok()) return "accepted with " + std::to_string(header->tensors.size()) + " tensors";
  EXPECT_EQ(header.error().code, ErrorCode::kModel);
  EXPECT_THAT(header.error().message, StartsWith("m.safetensors: "));
  EXPECT_EQ(header.error().message.find('\n'), std::string::npos) << header.error().message;
  return header.error().message;
}

std::string entry(std::string_view name, std::string_view dtype, std::string_view shape, std::string_view offsets) {
  return "\"" + std::string(name) + "\":{\"dtype\":\"" + std::string(dtype) + "\",\"shape\":" + std::string(shape) +
         ",\"data_offsets\":" + std::string(offsets) + "}";
}

/// The good file that the bad ones are small changes of: a is F32 [2, 2], b is I64 [1], with metadata.
constexpr std::string_view kGood =
    R"({"__metadata__":{"format":"pt"},"a":{"dtype":"F32","shape":[2,2],"data_offsets":[0,16]},)"
    R"("b":{"dtype":"I64","shape":[1],"data_offsets":[16,24]}})";
constexpr std::size_t kGoodData = 24;

std::string changed(std::string_view from, std::string_view to) {
  std::string header(kGood);
  const std::size_t at = header.find(from);
  EXPECT_NE(at, std::string::npos) << from;
  return header.replace(at, from.size(), to);
}

TEST(Safetensors, ReadsAGoodFile) {
  const auto header = parse(safetensors_bytes(kGood, kGoodData));
  ASSERT_TRUE(header.ok()) << header.error().message;
  EXPECT_EQ(header->data_offset, 8 + kGood.size());
  ASSERT_EQ(header->tensors.size(), 2U);
  EXPECT_EQ(header->tensors[0].name, "a");
  EXPECT_EQ(header->tensors[0].dtype, DType::kF32);
  EXPECT_EQ(header->tensors[0].shape, (Shape{2, 2}));
  EXPECT_EQ(header->tensors[0].end, 16U);
  EXPECT_EQ(header->tensors[1].dtype, DType::kI64);
  EXPECT_EQ(header->tensors[1].begin, 16U);
}

TEST(Safetensors, OddButGoodFilesAreRead) {
  const std::map<std::string, std::pair<std::string, std::size_t>> files = {
      {"padded with spaces", {std::string(kGood) + "     ", kGoodData}},
      {"JSON white space", {changed("\"a\":{", " \"a\" :\n{ "), kGoodData}},
      {"no tensors", {"{}", 0}},
      {"only metadata", {R"({"__metadata__":{}})", 0}},
      {"rank 0", {"{" + entry("s", "F64", "[]", "[0,8]") + "}", 8}},
      {"no elements", {"{" + entry("z", "F32", "[0]", "[0,0]") + "}", 0}},
      {"no elements between others",
       {"{" + entry("x", "U8", "[4]", "[0,4]") + "," + entry("z", "F32", "[3,0,2]", "[4,4]") + "," +
            entry("y", "U8", "[4]", "[4,8]") + "}",
        8}},
      {"header order unlike data order",
       {"{" + entry("b", "U8", "[4]", "[4,8]") + "," + entry("a", "U8", "[4]", "[0,4]") + "}", 8}},
      {"metadata last", {"{" + entry("a", "U8", "[1]", "[0,1]") + R"(,"__metadata__":{"k":""}})", 1}},
      {"fields in another order", {R"({"a":{"data_offsets":[0,2],"shape":[1],"dtype":"BF16"}})", 2}},
      {"eight dimensions", {"{" + entry("a", "U8", "[1,1,1,1,1,1,1,2]", "[0,2]") + "}", 2}},
      {"an empty name", {"{" + entry("", "U8", "[1]", "[0,1]") + "}", 1}},
      {"unaligned data", {"{" + entry("a", "U8", "[1]", "[0,1]") + "," + entry("b", "F32", "[1]", "[1,5]") + "}", 5}},
      {"a large dimension beside zero", {"{" + entry("z", "U8", "[9223372036854775807,0]", "[0,0]") + "}", 0}},
  };
  for (const auto& [what, file] : files) {
    const auto header = parse(safetensors_bytes(file.first, file.second));
    EXPECT_TRUE(header.ok()) << what << ": " << header.error().message;
  }
}

TEST(Safetensors, EveryStorageTypeIsRead) {
  for (const std::string_view name :
       {"F64", "F32", "F16", "BF16", "I64", "I32", "I16", "I8", "U64", "U32", "U16", "U8", "BOOL"}) {
    const std::size_t size = dtype_size(*dtype_from_name(name));
    const auto header =
        parse(safetensors_bytes("{" + entry("t", name, "[3]", "[0," + std::to_string(3 * size) + "]") + "}", 3 * size));
    ASSERT_TRUE(header.ok()) << header.error().message;
    EXPECT_EQ(dtype_name(header->tensors[0].dtype), name);
  }
}

TEST(Safetensors, NamesAreUnescaped) {
  const auto header = parse(safetensors_bytes("{" +
                                                  entry(R"(\u00e9\ud83d\ude00\"\\\/\b\f\n\r\t caf\u00E9 )"
                                                        "\u4e16",
                                                        "U8", "[1]", "[0,1]") +
                                                  "}",
                                              1));
  ASSERT_TRUE(header.ok()) << header.error().message;
  EXPECT_EQ(header->tensors[0].name, "\u00e9\U0001F600\"\\/\b\f\n\r\t caf\u00e9 \u4e16");
}

TEST(Safetensors, RefusesBadFrames) {
  const std::string good = safetensors_bytes(kGood, kGoodData);
  EXPECT_THAT(refusal(""), HasSubstr("has 0 bytes, too short"));
  EXPECT_THAT(refusal("1234567"), HasSubstr("has 7 bytes, too short"));
  EXPECT_THAT(refusal(length_bytes(100'000'001) + "{}"), HasSubstr("a header of 100000001 bytes, at most 100000000"));
  EXPECT_THAT(refusal(length_bytes(std::uint64_t{1} << 63) + "{}"), HasSubstr("a header of 9223372036854775808 bytes"));
  EXPECT_THAT(refusal(length_bytes(~std::uint64_t{0}) + "{}"), HasSubstr("a header of 18446744073709551615 bytes"));
  EXPECT_THAT(refusal(length_bytes(~std::uint64_t{0} - 7) + "{}"), HasSubstr("at most 100000000"));
  EXPECT_THAT(refusal(length_bytes(100'000'000) + "{}"),
              HasSubstr("is truncated: the header should have 100000000 bytes, 2 are"));
  EXPECT_THAT(refusal(length_bytes(3) + "{}"), HasSubstr("is truncated"));
  EXPECT_THAT(refusal(length_bytes(0)), HasSubstr("does not start with '{'"));
  EXPECT_THAT(refusal(good + "junk"), HasSubstr("has 4 bytes after the end of its last tensor"));
  EXPECT_THAT(refusal(good.substr(0, good.size() - 1)), HasSubstr("its tensors need 24 bytes of data, 23 are there"));
  EXPECT_THAT(refusal("PK\x03\x04 this is a zip archive"), HasSubstr("is no safetensors file"));
}

TEST(Safetensors, RefusesBadHeaders) {
  const std::pair<std::string, const char*> cases[] = {
      {" " + std::string(kGood), "does not start with '{'"},
      {"\xEF\xBB\xBF" + std::string(kGood), "does not start with '{'"},
      {"[]", "does not start with '{'"},
      {"null", "does not start with '{'"},
      {changed("\"a\"", "\"\xFF\""), "is not UTF-8 (byte 33)"},
      {changed("\"a\"", "\"\xED\xA0\x80\""), "is not UTF-8"},
      {std::string(kGood) + "{}", "expected nothing but padding"},
      {std::string(kGood) + std::string(1, '\0'), "expected nothing but padding"},
      {std::string(kGood.substr(0, kGood.size() - 1)), "expected ',' or '}', found the end of the header"},
      {"{", "expected a string as a key, found the end of the header"},
      {"{\"", "expected the end of a string"},
      {"{\"a", "expected the end of a string"},
      {"{\"a\\", "expected the end of an escape"},
      {"{\"a\\u", "four hex digits"},
      {"{a:1}", "expected a string as a key"},
      {"{,}", "expected a string as a key"},
      {changed("]}}", "]},}"), "expected a string as a key"},
      {changed("\"a\":", "\"a\" "), "expected ':' after a key"},
      {changed("[2,2]", "[2 2]"), "expected ',' or ']' in shape"},
      {changed("\"a\"", "\"a\\x\""), "an escape that JSON knows"},
      {changed("\"a\"", "\"\\u12g4\""), "four hex digits"},
      {changed("\"a\"", "\"\\u+123\""), "four hex digits"},
      {changed("\"a\"", "\"\\ud800\""), "a pair of surrogates"},
      {changed("\"a\"", "\"\\udc00\""), "a pair of surrogates"},
      {changed("\"a\"", "\"\\ud800\\u0041\""), "a pair of surrogates"},
      {changed("\"a\"", "\"a\nb\""), "no control character inside a string"},
      {changed("{\"format\":\"pt\"}", "\"pt\""), "as __metadata__ is an object"},
      {changed("{\"format\":\"pt\"}", "null"), "as __metadata__ is an object"},
      {changed("\"pt\"", "1"), "expected a string as a value of __metadata__"},
      {changed("\"pt\"", "null"), "expected a string as a value of __metadata__"},
      {changed("\"pt\"", "{}"), "expected a string as a value of __metadata__"},
      {changed("{\"format\":\"pt\"}", "{\"f\":\"1\",\"f\":\"2\"}"), "the key \"f\" appears twice in __metadata__"},
      {changed("\"a\":", "\"__metadata__\":{},\"a\":"), "\"__metadata__\" appears twice"},
      {changed("\"b\"", "\"a\""), "the key \"a\" appears twice in the header"},
      {changed("\"b\"", "\"\\u0061\""), "the key \"a\" appears twice in the header"},
      {changed("\"dtype\":\"F32\"", "\"dtype\":\"F32\",\"dtype\":\"F32\""),
       "tensor \"a\": the key \"dtype\" appears twice"},
      {changed("\"shape\":[2,2]", "\"shape\":[2,2],\"shape\":[4]"), "tensor \"a\": the key \"shape\" appears twice"},
      {changed("[0,16]", "[0,16],\"data_offsets\":[0,16]"), "tensor \"a\": the key \"data_offsets\" appears twice"},
      {changed("[0,16]", "[0,16],\"strides\":[1]"), "tensor \"a\": unknown key \"strides\""},
      {changed("\"dtype\":\"F32\",", ""), "tensor \"a\": its entry lacks dtype"},
      {changed("\"shape\":[2,2],", ""), "tensor \"a\": its entry lacks shape"},
      {changed(",\"data_offsets\":[0,16]", ""), "tensor \"a\": its entry lacks data_offsets"},
      {changed("{\"dtype\":\"F32\",\"shape\":[2,2],\"data_offsets\":[0,16]}", "{}"),
       "tensor \"a\": its entry lacks dtype"},
      {changed("{\"dtype\":\"F32\",\"shape\":[2,2],\"data_offsets\":[0,16]}", "[0,16]"), "as its entry is an object"},
      {changed("\"F32\"", "\"f32\""), "tensor \"a\": unknown dtype \"f32\""},
      {changed("\"F32\"", "\"\""), "unknown dtype \"\""},
      {changed("\"F32\"", "32"), "expected a string as dtype"},
      {changed("\"F32\"", "\"F8_E4M3\""), "tensor \"a\": dtype F8_E4M3: quantised checkpoints are not supported"},
      {changed("\"F32\"", "\"F8_E5M2FNUZ\""), "quantised checkpoints are not supported"},
      {changed("\"F32\"", "\"F4\""), "quantised checkpoints are not supported"},
      {changed("\"F32\"", "\"F6_E2M3\""), "quantised checkpoints are not supported"},
      {changed("\"F32\"", "\"C64\""), "complex tensors are not supported"},
      {changed("[2,2]", "4"), "expected shape as an array of integers"},
      {changed("[2,2]", "\"4\""), "expected shape as an array of integers"},
      {changed("[2,2]", "[[4]]"), "non-negative integer without fraction or exponent in shape"},
      {changed("[2,2]", "[2,2,]"), "non-negative integer without fraction or exponent in shape"},
      {changed("[2,2]", "[2,-2]"), "non-negative integer without fraction or exponent in shape, found \"-2]"},
      {changed("[2,2]", "[2,2.0]"), "non-negative integer without fraction or exponent in shape"},
      {changed("[2,2]", "[2,2e0]"), "non-negative integer without fraction or exponent in shape"},
      {changed("[2,2]", "[2,02]"), "non-negative integer without fraction or exponent in shape"},
      {changed("[2,2]", "[2,null]"), "non-negative integer without fraction or exponent in shape"},
      {changed("[2,2]", "[2,\"2\"]"), "non-negative integer without fraction or exponent in shape"},
      {changed("[2,2]", "[2,18446744073709551616]"), "shape overflows: 18446744073709551616 needs more than 64 bits"},
      {changed("[2,2]", "[2,9223372036854775808]"), "shape overflows: dimension 9223372036854775808"},
      {changed("[2,2]", "[4294967296,4294967296]"), "shape [4294967296, 4294967296] overflows"},
      {changed("[2,2]", "[4294967296,4294967296,0]"), "overflows"},
      {changed("[2,2]", "[4611686018427387904,2,0]"), "overflows"},
      {changed("[2,2]", "[4611686018427387904]"), "overflows"},
      {changed("[2,2]", "[1,1,1,1,1,1,1,2,2]"), "shape has more than 8 dimensions"},
      {changed("[2,2]", "[2,3]"), "tensor \"a\": shape [2, 3] of F32 needs 24 bytes, data_offsets [0, 16] hold 16"},
      {changed("[2,2]", "[2,0]"), "needs 0 bytes, data_offsets [0, 16] hold 16"},
      {changed("[2,2]", "[]"), "needs 4 bytes"},
      {changed("\"F32\"", "\"F64\""), "shape [2, 2] of F64 needs 32 bytes"},
      {changed("[0,16]", "16"), "expected data_offsets as [begin, end]"},
      {changed("[0,16]", "[]"), "non-negative integer without fraction or exponent in data_offsets"},
      {changed("[0,16]", "[0]"), "expected data_offsets as [begin, end]"},
      {changed("[0,16]", "[0,16,24]"), "expected data_offsets as [begin, end]"},
      {changed("[0,16]", "[-0,16]"), "non-negative integer without fraction or exponent in data_offsets"},
      {changed("[0,16]", "[0.0,16]"), "non-negative integer without fraction or exponent in data_offsets"},
      {changed("[0,16]", "[0,1.6e1]"), "non-negative integer without fraction or exponent in data_offsets"},
      {changed("[0,16]", "[0,99999999999999999999]"), "data_offsets overflows"},
      {changed("[0,16]", "[16,0]"), "tensor \"a\": data_offsets [16, 0] leave a hole after byte 0"},
      {changed("[16,24]", "[16,8]"), "tensor \"b\": data_offsets [16, 8] end before they begin"},
      {changed("[16,24]", "[17,25]"), "tensor \"b\": data_offsets [17, 25] leave a hole after byte 16"},
      {changed("[16,24]", "[15,23]"),
       "tensor \"b\": data_offsets [15, 23] overlap the tensor before, which ends at 16"},
      {changed("[16,24]", "[0,8]"), "overlap the tensor before"},
      {changed("[0,16]", "[4,20]"), "tensor \"a\": data_offsets [4, 20] leave a hole after byte 0"},
  };
  for (const auto& [header, expected] : cases) {
    EXPECT_THAT(refusal(safetensors_bytes(header, kGoodData)), HasSubstr(expected)) << header;
  }
}

TEST(Safetensors, TheSameBytesTwiceAreRefused) {
  const std::string header = "{" + entry("k", "U8", "[8]", "[0,8]") + "," + entry("v", "U8", "[8]", "[0,8]") + "}";
  EXPECT_THAT(refusal(safetensors_bytes(header, 8)), HasSubstr("overlap the tensor before"));
}

TEST(Safetensors, EveryCutIsRefused) {
  const std::string good = safetensors_bytes(kGood, kGoodData);
  ASSERT_TRUE(parse(good).ok());
  for (std::size_t size = 0; size < good.size(); ++size) {
    EXPECT_THAT(refusal(std::string_view(good).substr(0, size)), StartsWith("m.safetensors: ")) << size;
  }
}

TEST(Safetensors, EveryCutOfTheHeaderIsRefused) {
  for (std::size_t size = 0; size < kGood.size(); ++size) {
    EXPECT_THAT(refusal(safetensors_bytes(kGood.substr(0, size), kGoodData)), StartsWith("m.safetensors: ")) << size;
  }
}

/// Every number of the file, replaced by every value at the edge of something.
TEST(Safetensors, EveryFieldAtEveryEdge) {
  const std::string_view numbers[] = {"0",
                                      "1",
                                      "2",
                                      "-1",
                                      "127",
                                      "128",
                                      "255",
                                      "256",
                                      "65535",
                                      "65536",
                                      "2147483647",
                                      "2147483648",
                                      "4294967295",
                                      "4294967296",
                                      "-2147483648",
                                      "9007199254740993",
                                      "9223372036854775807",
                                      "9223372036854775808",
                                      "18446744073709551615",
                                      "18446744073709551616",
                                      "-9223372036854775808",
                                      "1e3",
                                      "1.5",
                                      "1e400",
                                      "null",
                                      "true",
                                      "\"1\"",
                                      "[]",
                                      "{}",
                                      ""};
  constexpr std::string_view kTemplate = R"({"a":{"dtype":"F32","shape":[2,2,1],"data_offsets":[0,16]},)"
                                         R"("b":{"dtype":"U8","shape":[8],"data_offsets":[16,24]},)"
                                         R"("c":{"dtype":"F32","shape":[2],"data_offsets":[24,32]}})";
  constexpr std::size_t kData = 32;
  ASSERT_TRUE(parse(safetensors_bytes(kTemplate, kData)).ok());
  std::size_t cases = 0;
  for (std::size_t at = 0; at < kTemplate.size(); ++at) {
    const bool starts_number = (kTemplate[at - (at > 0)] == '[' || kTemplate[at - (at > 0)] == ',') &&
                               kTemplate[at] >= '0' && kTemplate[at] <= '9';
    if (!starts_number) continue;
    const std::size_t end = kTemplate.find_first_of(",]", at);
    const std::string_view original = kTemplate.substr(at, end - at);
    for (const std::string_view number : numbers) {
      if (number == original) continue;
      std::string header(kTemplate);
      header.replace(at, end - at, number);
      EXPECT_THAT(refusal(safetensors_bytes(header, kData)), StartsWith("m.safetensors: ")) << header;
      ++cases;
    }
  }
  const std::string body = safetensors_bytes(kTemplate, kData).substr(8);
  const std::uint64_t edge_lengths[] = {0,
                                        1,
                                        7,
                                        8,
                                        127,
                                        255,
                                        65536,
                                        0x7FFFFFFF,
                                        0x80000000,
                                        0xFFFFFFFF,
                                        0x100000000,
                                        99'999'999,
                                        100'000'000,
                                        100'000'001,
                                        0x7FFFFFFFFFFFFFFF,
                                        0x8000000000000000,
                                        0xFFFFFFFFFFFFFFF7,
                                        0xFFFFFFFFFFFFFFF8,
                                        0xFFFFFFFFFFFFFFFF,
                                        kTemplate.size() - 1,
                                        kTemplate.size() + 1};
  for (const std::uint64_t length : edge_lengths) {
    EXPECT_THAT(refusal(length_bytes(length) + body), StartsWith("m.safetensors: ")) << length;
    ++cases;
  }
  EXPECT_GT(cases, 300U);
}

/// Every byte of a good file flipped in every bit: whatever is still accepted must describe the file exactly.
TEST(Safetensors, EveryFlippedBitIsRefusedOrHarmless) {
  const std::string good = safetensors_bytes(kGood, kGoodData);
  for (std::size_t at = 0; at < 8 + kGood.size(); ++at) {
    for (unsigned bit = 0; bit < 8; ++bit) {
      std::string file = good;
      file[at] = static_cast<char>(static_cast<unsigned char>(file[at]) ^ (1U << bit));
      const auto header = parse(file);
      if (!header.ok()) continue;
      std::uint64_t end = 0;
      for (const TensorEntry& tensor : header->tensors) {
        EXPECT_EQ(tensor.begin, end);
        end = tensor.end;
        EXPECT_EQ(tensor.end - tensor.begin, (TensorView{tensor.dtype, tensor.shape, nullptr}).bytes());
      }
      EXPECT_EQ(header->data_offset + end, file.size());
    }
  }
}

TEST(Safetensors, LongNamesAreCutInMessages) {
  const std::string name(kMaxNameBytes, 'n');
  const std::string message = refusal(safetensors_bytes("{" + entry(name, "F99", "[1]", "[0,4]") + "}", 4));
  EXPECT_THAT(message, HasSubstr("nnn..."));
  EXPECT_LT(message.size(), 300U);
}

TEST(Safetensors, LongMetadataIsFine) {
  const std::string value = std::string(kMaxNameBytes, 'v') + R"(\n\ud83d\ude00)" + std::string(kMaxNameBytes, 'v');
  EXPECT_EQ(refusal(safetensors_bytes(R"({"__metadata__":{"workflow":")" + value + "\"}}", 0)),
            "accepted with 0 tensors");
  EXPECT_THAT(refusal(safetensors_bytes(R"({"__metadata__":{"workflow":")" + value + "\\x\"}}", 0)),
              HasSubstr("an escape that JSON"));
}

TEST(Safetensors, CountsAreLimited) {
  EXPECT_THAT(
      refusal(safetensors_bytes("{" + entry(std::string(kMaxNameBytes + 1, 'n'), "U8", "[0]", "[0,0]") + "}", 0)),
      HasSubstr("names of at most 4096 bytes"));
  std::string names = "{";
  for (std::size_t i = 0; i * 4000 <= kMaxNameBytesInFile; ++i) {
    names += (i > 0 ? "," : "") + entry(std::string(4000, 'n') + std::to_string(i), "U8", "[0]", "[0,0]");
  }
  EXPECT_THAT(refusal(safetensors_bytes(names + "}", 0)), HasSubstr("has names of more than 16777216 bytes together"));
  std::string tensors = "{";
  for (std::size_t i = 0; i <= kMaxTensorsInFile; ++i) {
    tensors += (i > 0 ? "," : "") + entry(std::to_string(i), "U8", "[0]", "[0,0]");
  }
  EXPECT_THAT(refusal(safetensors_bytes(tensors + "}", 0)), HasSubstr("describes more than 200000 tensors"));
  std::string metadata = "{\"__metadata__\":{";
  for (std::size_t i = 0; i <= kMaxMetadataEntries; ++i)
    metadata += (i > 0 ? ",\"" : "\"") + std::to_string(i) + "\":\"\"";
  EXPECT_THAT(refusal(safetensors_bytes(metadata + "}}", 0)), HasSubstr("__metadata__ has more than 10000 entries"));
}

}  // namespace
}  // namespace layerscope
