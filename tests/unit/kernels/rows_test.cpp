// Norms, sums, look-ups, rotation, activations and conversion against float64, on every instruction set.
#include <limits>

#include "kernels/kernels.h"
#include "support.h"

namespace layerscope {
namespace {

using namespace testing_support;

constexpr std::int64_t kWidths[] = {1, 3, 17, 33, 768, 1000};
constexpr std::int64_t kRows = 5;
const DType kTypes[] = {DType::kF32, DType::kBF16};

class RowKernels : public EveryBackend {};
INSTANTIATE_TEST_SUITE_P(All, RowKernels, ::testing::ValuesIn(all_kinds()), kind_name);

TEST_P(RowKernels, NormIsThatOfFloat64) {
  for (const NormKind kind : {NormKind::kLayer, NormKind::kRms}) {
    for (const std::int64_t width : kWidths) {
      for (const DType out_type : kTypes) {
        for (const bool affine : {true, false}) {
          const std::vector<float> weight = random_floats(width, 1, 1), bias = random_floats(width, 2);
          const NormView norm{kind, 1e-5F, affine ? weight.data() : nullptr, affine ? bias.data() : nullptr};
          const Rows in = random_rows(DType::kF32, kRows, width, 3, 5, 0.5);
          Rows out(out_type, kRows, width, 3), expected(DType::kF64, kRows, width);
          backend->norm(norm, in.view(), out.mutable_view());
          reference::norm<double>(norm, in.view(), expected.mutable_view());
          EXPECT_LT(relative_l2(out, expected), tolerance(out_type)) << "width " << width;
          EXPECT_TRUE(out.gaps_intact());
        }
      }
    }
  }
}

TEST_P(RowKernels, LayerNormKeepsItsVarianceFarFromZero) {
  // The one-pass formula E[x^2] - E[x]^2 loses every digit here.
  const NormView norm{NormKind::kLayer, 0.0F, nullptr, nullptr};
  const Rows in = random_rows(DType::kF32, kRows, 768, 4, 0, 3000);
  Rows out(DType::kF32, kRows, 768), expected(DType::kF64, kRows, 768);
  backend->norm(norm, in.view(), out.mutable_view());
  reference::norm<double>(norm, in.view(), expected.mutable_view());
  EXPECT_LT(relative_l2(out, expected), 3e-4);
}

TEST_P(RowKernels, NormInPlaceAndAloneGivesTheSameBits) {
  const std::vector<float> weight = random_floats(100, 1, 1);
  const NormView norm{NormKind::kLayer, 1e-5F, weight.data(), nullptr};
  Rows x = random_rows(DType::kF32, 9, 100, 3);
  Rows apart(DType::kF32, 9, 100), alone(DType::kF32, 1, 100);
  backend->norm(norm, x.view(), apart.mutable_view());
  backend->norm(norm, x.slice(4, 1), alone.mutable_view());
  backend->norm(norm, x.view(), x.mutable_view());
  EXPECT_EQ(x.bytes, apart.bytes);
  EXPECT_TRUE(same_bytes(x, 4, alone, 0));
}

TEST_P(RowKernels, NormOfHeads) {
  for (const std::int64_t width : {1, 8, 33, 64}) {
    const std::vector<float> weight = random_floats(width, 1, 1);
    const NormView norm{NormKind::kRms, 1e-6F, weight.data(), nullptr};
    Rows rows = random_rows(DType::kF32, kRows, 3 * width, 5, 7), expected = rows;
    backend->norm_heads(norm, 3, rows.mutable_view());
    reference::norm_heads<double>(norm, 3, expected.mutable_view());
    EXPECT_LT(relative_l2(rows, expected), tolerance(DType::kF32));
    EXPECT_TRUE(rows.gaps_intact());
  }
}

TEST_P(RowKernels, EveryHeadMayHaveItsOwnNorm) {
  for (const NormKind kind : {NormKind::kLayer, NormKind::kRms}) {
    const std::int64_t width = 33;
    const std::vector<float> weight = random_floats(3 * width, 1, 1), bias = random_floats(3 * width, 2);
    const NormView norm{kind, 1e-6F, weight.data(), kind == NormKind::kLayer ? bias.data() : nullptr, width};
    Rows rows = random_rows(DType::kF32, kRows, 3 * width, 5, 7);
    const Rows before = rows;
    backend->norm_heads(norm, 3, rows.mutable_view());
    for (std::int64_t head = 0; head < 3; ++head) {
      const NormView own{kind, 1e-6F, weight.data() + head * width,
                         kind == NormKind::kLayer ? bias.data() + head * width : nullptr};
      Rows one(DType::kF64, kRows, width);
      for (std::int64_t row = 0; row < kRows; ++row) {
        for (std::int64_t j = 0; j < width; ++j) one.set(row, j, before.at(row, head * width + j));
      }
      reference::norm<double>(own, one.view(), one.mutable_view());
      for (std::int64_t row = 0; row < kRows; ++row) {
        for (std::int64_t j = 0; j < width; ++j) {
          EXPECT_NEAR(rows.at(row, head * width + j), one.at(row, j), 4e-6) << "head " << head;
        }
      }
    }
    Rows expected = before;
    reference::norm_heads<double>(norm, 3, expected.mutable_view());
    EXPECT_LT(relative_l2(rows, expected), tolerance(DType::kF32));
    EXPECT_TRUE(rows.gaps_intact());
  }
}

TEST_P(RowKernels, AddIsThatOfFloat64AndOfTwoSteps) {
  for (const std::int64_t width : kWidths) {
    for (const DType type : kTypes) {
      const std::vector<float> weight = random_floats(width, 1, 1), bias = random_floats(width, 2);
      const NormView norm{NormKind::kLayer, 1e-5F, weight.data(), bias.data()};
      const Rows start = random_rows(DType::kF32, kRows, width, 6, 2), term = random_rows(type, kRows, width, 7, 4);
      Rows sum = start, fused = start, expected(DType::kF64, kRows, width);
      reference::convert<double>(start.view(), expected.mutable_view());
      reference::add<double>(expected.mutable_view(), term.view(), 0.75F, nullptr);
      backend->add(sum.mutable_view(), term.view(), 0.75F, nullptr);
      EXPECT_LT(relative_l2(sum, expected), tolerance(DType::kF32));
      backend->add(fused.mutable_view(), term.view(), 0.75F, &norm);
      backend->norm(norm, sum.view(), sum.mutable_view());
      EXPECT_EQ(sum.bytes, fused.bytes) << "width " << width;
    }
  }
}

TEST_P(RowKernels, GatherReadsEveryTypeUnaligned) {
  const std::vector<std::int32_t> ids = {3, 0, 6, 3, 1};
  for (const std::int64_t width : kWidths) {
    for (const DType type : {DType::kF32, DType::kF16, DType::kBF16}) {
      const Rows table = random_rows(type, 7, width, 8);
      std::vector<std::byte> shifted(table.bytes.size() + 1);
      std::copy(table.bytes.begin(), table.bytes.end(), shifted.begin() + 1);
      const MatrixView matrix{type, shifted.data() + 1, 7, width, width, 1};
      for (const bool accumulate : {false, true}) {
        Rows out = random_rows(DType::kF32, kRows, width, 9, 3), expected = out;
        backend->gather(matrix, ids, 1.5F, accumulate, out.mutable_view());
        reference::gather<double>(matrix, ids, 1.5F, accumulate, expected.mutable_view());
        EXPECT_LT(relative_l2(out, expected), 1e-7);
        EXPECT_TRUE(out.gaps_intact());
      }
    }
  }
  const Rows table = random_rows(DType::kF32, 9, 7, 8);  // stored transposed
  const MatrixView matrix{DType::kF32, table.bytes.data(), 7, 9, 1, 7};
  Rows out(DType::kF32, kRows, 9);
  backend->gather(matrix, ids, 1, false, out.mutable_view());
  EXPECT_EQ(out.at(2, 5), table.at(5, 6));
}

TEST_P(RowKernels, RotationTurnsPairs) {
  const std::vector<std::int32_t> positions = {0, 3, 1, 2, 3};
  for (const std::int64_t pairs : {1, 3, 16, 32}) {
    std::vector<float> cosine, sine;
    for (int i = 0; i < 4 * pairs; ++i) {
      const float angle = static_cast<float>(i / pairs) * (0.37F + static_cast<float>(i % pairs));
      cosine.push_back(std::cos(angle));
      sine.push_back(std::sin(angle));
    }
    for (const auto& [interleaved, first] : {std::pair{false, 0}, {true, 0}, {false, 2}, {true, 5}}) {
      const std::int64_t width = 2 * pairs + 5;  // what is not rotated stays
      Rows rows = random_rows(DType::kF32, kRows, 3 * width, 10, 3);
      const Rows before = rows;
      Rows expected(DType::kF64, kRows, 3 * width);
      reference::convert<double>(rows.view(), expected.mutable_view());
      const RotationArguments rotation{3, first, pairs, interleaved, cosine.data(), sine.data(), positions};
      backend->rotate(rotation, rows.mutable_view());
      reference::rotate<double>(rotation, expected.mutable_view());
      EXPECT_LT(relative_l2(rows, expected), 2e-7);
      EXPECT_TRUE(same_bytes(rows, 0, before, 0)) << "position 0 turns by nothing";
      for (std::int64_t j = 0; j < width; ++j) {
        if (j < first || j >= first + 2 * pairs) {
          EXPECT_EQ(rows.at(1, width + j), before.at(1, width + j)) << j;
        }
      }
      Rows alone = before;
      RotationArguments last = rotation;
      last.positions = std::span(positions).subspan(4);
      MutableRows part = alone.mutable_view();
      part.data += 4 * part.stride * static_cast<std::int64_t>(sizeof(float));
      part.rows = 1;
      backend->rotate(last, part);
      EXPECT_TRUE(same_bytes(alone, 4, rows, 4)) << "a row alone";
      EXPECT_TRUE(rows.gaps_intact());
    }
  }
}

const Activation kActivations[] = {Activation::kNone,     Activation::kRelu,    Activation::kGeluErf,
                                   Activation::kGeluTanh, Activation::kSilu,    Activation::kQuickGelu,
                                   Activation::kTanh,     Activation::kSigmoid, Activation::kReluSquared};

/// Arguments from denormals to the largest float, both signs.
Rows activation_arguments() {
  std::vector<float> values = {0.0F, -0.0F};
  for (int exponent = -149; exponent < 128; ++exponent) {
    for (const float mantissa : {1.0F, 1.37F, 1.91F}) {
      values.push_back(std::ldexp(mantissa, exponent));
      values.push_back(-std::ldexp(mantissa, exponent));
    }
  }
  for (int i = -4000; i <= 4000; ++i) values.push_back(static_cast<float>(i) * 0.0043F);
  Rows rows(DType::kF32, 1, static_cast<std::int64_t>(values.size()));
  for (std::size_t i = 0; i < values.size(); ++i) rows.set(0, static_cast<std::int64_t>(i), values[i]);
  return rows;
}

TEST_P(RowKernels, ActivationsKeepFloatPrecisionOverTheWholeRange) {
  const Kernels& kernels = *kernels_for(GetParam().isa);
  const Rows in = activation_arguments();
  for (const Activation activation : kActivations) {
    Rows out(DType::kF32, 1, in.width), expected(DType::kF64, 1, in.width);
    kernels.activate(activation, nullptr, in.view(), out.mutable_view());
    for (std::int64_t j = 0; j < in.width; ++j)
      expected.set(0, j, reference::activate<double>(activation, in.at(0, j)));
    for (std::int64_t j = 0; j < in.width; ++j) {
      // Relative to the argument where the function is small beside it: what a state's error is measured by. Far out on
      // the left the functions are exponentials, whose relative error grows with the exponent.
      const double x = in.at(0, j), y = expected.at(0, j);
      if (std::fabs(y) > 3.4e38) continue;
      const double scale = std::max(std::fabs(y), std::fabs(x) < 6 ? 1e-3 * std::fabs(x) : 0.0);
      const double exponent = x < 0 && y != 0 ? std::fabs(std::log(std::fabs(y))) : 0.0;
      EXPECT_NEAR(out.at(0, j), y, 6e-7 * scale + 1.5e-7 * exponent * std::fabs(y) + 1.2e-37)
          << "activation " << static_cast<int>(activation) << " at " << x;
    }
  }
}

TEST_P(RowKernels, ActivationsPassNaNOn) {
  const Kernels& kernels = *kernels_for(GetParam().isa);
  Rows in(DType::kF32, 1, 19);
  for (std::int64_t j = 0; j < 19; ++j) in.set(0, j, std::numeric_limits<double>::quiet_NaN());
  for (const Activation activation : kActivations) {
    Rows out(DType::kF32, 1, 19);
    kernels.activate(activation, nullptr, in.view(), out.mutable_view());
    for (std::int64_t j = 0; j < 19; ++j) EXPECT_TRUE(std::isnan(out.at(0, j))) << static_cast<int>(activation);
  }
}

TEST_P(RowKernels, GateIsThatOfFloat64) {
  for (const std::int64_t width : kWidths) {
    for (const Activation activation : kActivations) {
      const Rows gate = random_rows(DType::kF32, kRows, width, 11, 1),
                 up = random_rows(DType::kF32, kRows, width, 12, 2);
      Rows out(operand, kRows, width, 3), expected(DType::kF64, kRows, width);
      backend->gate(activation, gate.view(), up.view(), out.mutable_view());
      reference::gate<double>(activation, gate.view(), up.view(), expected.mutable_view());
      EXPECT_LT(relative_l2(out, expected), operand == DType::kBF16 ? 4e-3 : 5e-7);
      EXPECT_TRUE(out.gaps_intact());
    }
  }
}

TEST_P(RowKernels, ConversionRoundsToNearestEven) {
  std::vector<float> values;
  for (std::uint32_t bits = 0; bits < 0xFFFF8000u; bits += 0x7F51u) values.push_back(std::bit_cast<float>(bits));
  for (const float tie : {1.00390625F, 1.01171875F, 65519.0F, 65520.0F, 6e-8F, 2.98e-8F, 0x1p-25F, 0x1.8p-24F})
    values.push_back(tie);
  const auto width = static_cast<std::int64_t>(values.size());
  Rows in(DType::kF32, 1, width);
  std::memcpy(in.bytes.data(), values.data(), in.bytes.size());
  for (const DType type : {DType::kBF16, DType::kF16}) {
    Rows out(type, 1, width), back(DType::kF32, 1, width);
    backend->convert(in.view(), out.mutable_view());
    backend->convert(out.view(), back.mutable_view());
    for (std::int64_t j = 0; j < width; ++j) {
      const float x = values[static_cast<std::size_t>(j)];
      if (std::isnan(x)) {
        EXPECT_TRUE(std::isnan(back.at(0, j)));
        continue;
      }
      const std::uint16_t expected = type == DType::kBF16 ? float_to_bf16(x) : float_to_f16(x);
      EXPECT_EQ(out.view().row<std::uint16_t>(0)[j], expected) << x;
      EXPECT_EQ(static_cast<float>(back.at(0, j)), static_cast<float>(out.at(0, j)));
    }
  }
}

TEST(Scalars, KnownValues) {
  EXPECT_EQ(float_to_bf16(1.00390625F), 0x3F80);  // halfway, to even below
  EXPECT_EQ(float_to_bf16(1.01171875F), 0x3F82);  // halfway, to even above
  EXPECT_EQ(float_to_f16(65504.0F), 0x7BFF);
  EXPECT_EQ(float_to_f16(65520.0F), 0x7C00);
  EXPECT_EQ(float_to_f16(0x1p-24F), 0x0001);
  EXPECT_EQ(float_to_f16(0x1p-25F), 0x0000);
  EXPECT_EQ(float_to_f16(-0x1.8p-24F), 0x8002);
  EXPECT_EQ(f16_to_float(0x3555), 0x1.554p-2F);
  EXPECT_EQ(f16_to_float(0x0001), 0x1p-24F);
}

TEST_P(RowKernels, FindsNaNAndInfinityAnywhere) {
  for (const DType type : {DType::kF32, DType::kBF16, DType::kF16}) {
    for (const std::int64_t width : kWidths) {
      Rows rows = random_rows(type, 3, width, 13, 4);
      EXPECT_TRUE(backend->all_finite(rows.view()));
      for (const double bad : {std::numeric_limits<double>::quiet_NaN(), -std::numeric_limits<double>::infinity()}) {
        for (const std::int64_t column : {std::int64_t{0}, width / 2, width - 1}) {
          const double before = rows.at(1, column);
          rows.set(1, column, bad);
          EXPECT_FALSE(backend->all_finite(rows.view())) << width << " " << column;
          rows.set(1, column, before);
        }
      }
    }
  }
}

}  // namespace
}  // namespace layerscope
