#include <gtest/gtest.h>

#include <limits>

#include "base/numbers.h"
#include "base/utf8.h"
#include "layerscope/tensor.h"

namespace layerscope {
namespace {

TEST(Utf8, EveryCodePointGoesRoundAndOnlyThose) {
  for (char32_t code_point = 0; code_point <= 0x110000; ++code_point) {
    std::string text;
    append_utf8(text, code_point);
    std::size_t offset = 0;
    const char32_t read = next_code_point(text, offset);
    const bool legal = code_point <= 0x10FFFF && (code_point < 0xD800 || code_point > 0xDFFF);
    ASSERT_EQ(read, legal ? code_point : kInvalidCodePoint) << static_cast<std::uint32_t>(code_point);
    ASSERT_EQ(offset, legal ? text.size() : 1U);
  }
}

TEST(Utf8, FindsTheFirstInvalidByte) {
  EXPECT_EQ(find_invalid_utf8("plain text that is longer than a word"), std::string_view::npos);
  EXPECT_EQ(find_invalid_utf8("h\u00e9llo \u4e16\u754c \U0001F600"), std::string_view::npos);
  EXPECT_EQ(find_invalid_utf8("0123456789abcde\xFF"), 15U);
  EXPECT_EQ(find_invalid_utf8("ab\xC0\x80"), 2U) << "overlong NUL";
  EXPECT_EQ(find_invalid_utf8("\xE0\x9F\xBF"), 0U) << "overlong, three bytes";
  EXPECT_EQ(find_invalid_utf8("\xF0\x8F\xBF\xBF"), 0U) << "overlong, four bytes";
  EXPECT_EQ(find_invalid_utf8("x\xE2\x82"), 1U) << "cut short";
  EXPECT_EQ(find_invalid_utf8("\xE2\x82x"), 0U);
  EXPECT_EQ(find_invalid_utf8("\x80"), 0U);
  EXPECT_FALSE(is_valid_utf8("\xF5\x80\x80\x80"));
  EXPECT_TRUE(is_valid_utf8(""));
}

TEST(Utf8, CountsCodePoints) {
  EXPECT_EQ(count_code_points(""), 0U);
  EXPECT_EQ(count_code_points("a\u00e9\u4e16\U0001F600"), 4U);
  EXPECT_EQ(count_code_points("\xFF\xFF"), 2U);
}

TEST(Utf8, PrintableStaysOnOneLine) {
  EXPECT_EQ(printable("plain \u00e9"), "plain \u00e9");
  EXPECT_EQ(printable(std::string_view("a\nb\0\x7f\xFF", 6)), "a\\x0ab\\x00\\x7f\\xff");
  EXPECT_EQ(printable("\u2028"), "\\xe2\\x80\\xa8");
  EXPECT_EQ(printable(std::string(5000, 'x'), 10), "xxxxxxxxxx...");
  EXPECT_EQ(printable("ab\u4e16", 4), "ab...") << "never cuts inside a code point";
}

TEST(Numbers, CheckedArithmetic) {
  constexpr auto kMax = std::numeric_limits<std::uint64_t>::max();
  EXPECT_EQ(checked_add(kMax - 1, 1), kMax);
  EXPECT_FALSE(checked_add(kMax, 1));
  EXPECT_EQ(checked_multiply(std::uint64_t{1} << 32, (std::uint64_t{1} << 32) - 1), kMax - 0xFFFFFFFF);
  EXPECT_FALSE(checked_multiply(std::uint64_t{1} << 32, std::uint64_t{1} << 32));
  EXPECT_EQ(checked_multiply(0, kMax), 0U);
}

TEST(Tensor, DTypeNamesGoRound) {
  for (const DType dtype : {DType::kF64, DType::kF32, DType::kF16, DType::kBF16, DType::kI64, DType::kI32, DType::kI16,
                            DType::kI8, DType::kU64, DType::kU32, DType::kU16, DType::kU8, DType::kBool}) {
    EXPECT_EQ(dtype_from_name(dtype_name(dtype)), dtype);
  }
  EXPECT_EQ(dtype_name(DType::kBF16), "BF16");
  EXPECT_EQ(dtype_name(DType::kBool), "BOOL");
  for (const std::string_view name : {"", "f32", "F8_E4M3", "C64", "F32 "}) EXPECT_FALSE(dtype_from_name(name)) << name;
}

TEST(Tensor, Shapes) {
  EXPECT_EQ(Shape().elements(), 1);
  EXPECT_EQ(Shape().text(), "[]");
  EXPECT_EQ((Shape{2, 3, 4}).elements(), 24);
  EXPECT_EQ((Shape{2, 0}).elements(), 0);
  EXPECT_EQ((Shape{2, 3}).text(), "[2, 3]");
  EXPECT_EQ((Shape{2, 3}), (Shape{2, 3}));
  EXPECT_FALSE((Shape{2, 3}) == (Shape{3, 2}));
  EXPECT_FALSE((Shape{2}) == (Shape{2, 1}));
  Shape full{1, 1, 1, 1, 1, 1, 1, 1};
  EXPECT_FALSE(full.push_back(1));
  EXPECT_EQ(full.rank(), kMaxRank);
  EXPECT_EQ((TensorView{DType::kF16, {2, 3}, nullptr}).bytes(), 12U);
}

}  // namespace
}  // namespace layerscope
