// Headers of .npy files: what NumPy writes, and what a stranger may.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "store/npy.h"

namespace layerscope {
namespace {

using ::testing::HasSubstr;

/// A file of version 1 with this dictionary and `values` bytes.
std::string file(const std::string& dict, std::size_t values, char version = 1) {
  std::string header = std::string("\x93NUMPY") + version + '\0';
  std::string padded = dict;
  const std::size_t before = version == 1 ? 10 : 12;
  padded.resize((before + dict.size() + 1 + 63) / 64 * 64 - before - 1, ' ');
  padded += '\n';
  header += static_cast<char>(padded.size() & 0xFF);
  header += static_cast<char>(padded.size() >> 8);
  if (version != 1) header += std::string(2, '\0');
  return header + padded + std::string(values, 'x');
}

Result<NpyHeader> parse(const std::string& content) {
  return parse_npy_header(std::as_bytes(std::span(content)), "x.npy");
}

std::string refusal(const std::string& content) {
  const auto header = parse(content);
  if (header) return "read";
  EXPECT_EQ(header.error().code, ErrorCode::kRuntime);
  EXPECT_TRUE(header.error().message.starts_with("x.npy: ")) << header.error().message;
  EXPECT_EQ(header.error().message.find('\n'), std::string::npos);
  return header.error().message;
}

TEST(NpyReader, ReadsWhatIsWritten) {
  for (const DType dtype : {DType::kF64, DType::kF32, DType::kF16, DType::kI64, DType::kI32, DType::kI16, DType::kI8,
                            DType::kU64, DType::kU32, DType::kU16, DType::kU8, DType::kBool}) {
    for (const Shape& shape : {Shape{5}, Shape{0}, Shape{3, 4}, Shape{2, 0, 7}, Shape{1, 2, 3, 4}}) {
      const std::string text = npy_header(dtype, shape);
      const auto header =
          parse(text + std::string(static_cast<std::size_t>(shape.elements()) * dtype_size(dtype), 'x'));
      ASSERT_TRUE(header) << header.error().message;
      EXPECT_EQ(header->dtype, dtype);
      EXPECT_EQ(header->shape, shape);
      EXPECT_EQ(header->begin, text.size());
    }
  }
}

TEST(NpyReader, ReadsOtherSpellingsAndVersions) {
  const std::string usual = "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }";
  for (const char version : {'\1', '\2', '\3'}) EXPECT_EQ(refusal(file(usual, 24, version)), "read");
  EXPECT_EQ(refusal(file("{\"shape\":(2,3),\"descr\":\"<f4\",\"fortran_order\":False}", 24)), "read");
  EXPECT_EQ(refusal(file("{'descr': '>i1', 'fortran_order': False, 'shape': (24,), }", 24)), "read");
  EXPECT_EQ(parse(file("{'descr': '<f4', 'fortran_order': False, 'shape': (), }", 4))->shape.rank(), 0U);
}

TEST(NpyReader, RefusesByFieldWhatItDoesNotUnderstand) {
  const auto dict = [](const std::string& descr, const std::string& order, const std::string& shape) {
    return "{'descr': " + descr + ", 'fortran_order': " + order + ", 'shape': " + shape + ", }";
  };
  EXPECT_THAT(refusal(file(dict("'>f4'", "False", "(2, 3)"), 24)), HasSubstr("descr"));
  EXPECT_THAT(refusal(file(dict("'<c8'", "False", "(2, 3)"), 48)), HasSubstr("<c8"));
  EXPECT_THAT(refusal(file(dict("'|O'", "False", "(2, 3)"), 48)), HasSubstr("descr"));
  EXPECT_THAT(refusal(file(dict("[('a', '<f4')]", "False", "(6,)"), 24)), HasSubstr("descr"));
  EXPECT_THAT(refusal(file(dict("'<f4'", "True", "(2, 3)"), 24)), HasSubstr("fortran_order"));
  for (const char* shape : {"(2, -3)", "(2, 3", "2", "(2 3)", "(99999999999999999999,)", "(1,1,1,1,1,1,1,1,1)"})
    EXPECT_THAT(refusal(file(dict("'<f4'", "False", shape), 24)), HasSubstr("shape")) << shape;
  EXPECT_THAT(refusal(file("{'descr': '<f4', 'shape': (6,), }", 24)), HasSubstr("fortran_order"));
  EXPECT_THAT(refusal(file(dict("'<f4'", "False", "(6,), 'more': 1"), 24)), HasSubstr("more"));
}

TEST(NpyReader, RefusesSizesThatDoNotFit) {
  const auto shaped = [](const std::string& shape, std::size_t bytes) {
    return refusal(file("{'descr': '<f4', 'fortran_order': False, 'shape': " + shape + ", }", bytes));
  };
  EXPECT_EQ(shaped("(2, 3)", 24), "read");
  for (const std::size_t bytes : {0U, 20U, 23U, 25U, 28U})
    EXPECT_THAT(shaped("(2, 3)", bytes), HasSubstr("does not fit"));
  EXPECT_THAT(shaped("(4611686018427387904,)", 0), HasSubstr("does not fit"));
  EXPECT_THAT(shaped("(4294967296, 4294967296)", 0), HasSubstr("does not fit"));
}

TEST(NpyReader, RefusesWhatIsCutAnywhere) {
  const std::string whole = file("{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }", 24);
  ASSERT_EQ(refusal(whole), "read");
  for (std::size_t bytes = 0; bytes < whole.size(); ++bytes)
    EXPECT_NE(refusal(whole.substr(0, bytes)), "read") << bytes;
  std::string other = whole;
  other[1] = 'X';
  EXPECT_THAT(refusal(other), HasSubstr("no .npy"));
  other = whole;
  other[6] = 9;
  EXPECT_THAT(refusal(other), HasSubstr("version 9"));
  other = whole;
  other[9] = '\x7F';
  EXPECT_THAT(refusal(other), HasSubstr("cut off"));
}

}  // namespace
}  // namespace layerscope
