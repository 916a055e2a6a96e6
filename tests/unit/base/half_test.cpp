// float16 and bfloat16 against a slow definition.
#include "base/half.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <random>

namespace layerscope::testing {
namespace {

struct Format {
  int exponent_bits, mantissa_bits;
  [[nodiscard]] int bias() const { return (1 << (exponent_bits - 1)) - 1; }
  [[nodiscard]] std::uint16_t infinity() const {
    return static_cast<std::uint16_t>(((1 << exponent_bits) - 1) << mantissa_bits);
  }
};
constexpr Format kHalf = {5, 10}, kBrain = {8, 7};

// The value of finite bits, by the definition of the format.
double value_of(const Format& format, std::uint16_t bits) {
  const int exponent = (bits >> format.mantissa_bits) & ((1 << format.exponent_bits) - 1);
  const int mantissa = bits & ((1 << format.mantissa_bits) - 1);
  const double magnitude = exponent == 0 ? std::ldexp(mantissa, 1 - format.bias() - format.mantissa_bits)
                                         : std::ldexp(mantissa + (1 << format.mantissa_bits),
                                                      exponent - format.bias() - format.mantissa_bits);
  return (bits & 0x8000) != 0 ? -magnitude : magnitude;
}

// Nearest finite value by bisection over all magnitudes, ties to the even one; infinity stands where the next power
// would.
std::uint16_t nearest(const Format& format, float value) {
  const auto sign = static_cast<std::uint16_t>(std::signbit(value) ? 0x8000 : 0);
  const double magnitude = std::abs(static_cast<double>(value));
  const auto size = [&](std::uint16_t bits) {
    return bits == format.infinity() ? std::ldexp(1.0, format.bias() + 1) : value_of(format, bits);
  };
  std::uint16_t low = 0, high = format.infinity();
  if (magnitude >= size(high)) return static_cast<std::uint16_t>(sign | high);
  while (high - low > 1) {
    const auto middle = static_cast<std::uint16_t>((low + high) / 2);
    (size(middle) <= magnitude ? low : high) = middle;
  }
  const double below = magnitude - size(low), above = size(high) - magnitude;
  const bool up = above < below || (above == below && (low & 1) != 0);
  return static_cast<std::uint16_t>(sign | (up ? high : low));
}

TEST(Half, All65536RoundTrip) {
  for (std::uint32_t i = 0; i < 65536; ++i) {
    const auto bits = static_cast<std::uint16_t>(i);
    for (const Format& format : {kHalf, kBrain}) {
      const bool half = format.mantissa_bits == 10;
      const float value = half ? f16_to_float(bits) : bf16_to_float(bits);
      const std::uint16_t back = half ? float_to_f16(value) : float_to_bf16(value);
      const std::uint16_t magnitude = bits & 0x7fffU;
      if (magnitude > format.infinity()) {
        ASSERT_TRUE(std::isnan(value)) << i;
        ASSERT_GT(back & 0x7fffU, format.infinity()) << "a NaN stays one, " << i;
        ASSERT_EQ(back & 0x8000U, bits & 0x8000U) << i;
        continue;
      }
      ASSERT_EQ(back, bits);
      if (magnitude == format.infinity()) {
        ASSERT_TRUE(std::isinf(value)) << i;
      } else {
        ASSERT_EQ(static_cast<double>(value), value_of(format, bits)) << i;
      }
      ASSERT_EQ(std::signbit(value), (bits & 0x8000U) != 0) << i;
    }
  }
}

void compare(float value) {
  ASSERT_EQ(float_to_f16(value), nearest(kHalf, value)) << value;
  ASSERT_EQ(float_to_bf16(value), nearest(kBrain, value)) << value;
}

TEST(Half, RandomFloatsRoundToTheNearest) {
  std::mt19937 random(3);
  for (int i = 0; i < 2000000; ++i) {
    const float value = std::bit_cast<float>(static_cast<std::uint32_t>(random()));
    if (!std::isnan(value)) compare(value);
  }
  std::uniform_real_distribution<float> exponent(-28, 17);
  for (int i = 0; i < 2000000; ++i) {
    const float value = std::exp2(exponent(random));
    compare((random() & 1U) != 0 ? -value : value);
  }
}

TEST(Half, HalfwaysAndTheirNeighbours) {
  for (const Format& format : {kHalf, kBrain}) {
    for (std::uint16_t bits = 0; bits < format.infinity(); ++bits) {
      const double next = bits + 1 == format.infinity() ? std::ldexp(1.0, format.bias() + 1)
                                                        : value_of(format, static_cast<std::uint16_t>(bits + 1));
      const auto middle = static_cast<float>((value_of(format, bits) + next) / 2);
      for (const float value :
           {middle, std::nextafter(middle, 0.0F), std::nextafter(middle, std::numeric_limits<float>::infinity())}) {
        compare(value);
        compare(-value);
      }
    }
  }
  for (const float value :
       {0.0F, -0.0F, 65504.0F, 65519.996F, 65520.0F, 1e-45F, std::numeric_limits<float>::min(),
        std::numeric_limits<float>::max(), std::numeric_limits<float>::infinity(), 0x1p-24F, 0x1p-25F, 0x1.8p-25F})
    compare(value);
}

}  // namespace
}  // namespace layerscope::testing
