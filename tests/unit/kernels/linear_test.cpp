// Matrix products: their precision, and that a row's bits do not depend on its company.
#include <omp.h>
#include <dnnl.hpp>

#include <functional>

#include "support.h"

namespace layerscope {
namespace {

using namespace testing_support;

class Linear : public EveryBackend {
 protected:
  std::unique_ptr<PackedLinear> packed(const Rows& weights, std::span<const float> bias, Activation activation) {
    const MatrixView matrix{weights.dtype, weights.bytes.data(), weights.rows, weights.width, weights.stride, 1};
    auto result = backend->pack(std::span(&matrix, 1), bias, activation);
    EXPECT_TRUE(result.ok());
    return result.ok() ? std::move(result).value() : nullptr;
  }
};
INSTANTIATE_TEST_SUITE_P(All, Linear, ::testing::ValuesIn(all_kinds()), kind_name);

TEST_P(Linear, IsThatOfFloat64) {
  struct Size {
    std::int64_t rows, inputs, outputs;
  };
  for (const Size size : {Size{1, 1, 1}, {3, 5, 7}, {17, 33, 65}, {40, 384, 130}, {300, 64, 96}, {2, 1000, 33}}) {
    const Rows weights = random_rows(operand, size.outputs, size.inputs, 1, 3, 0, 0.1);
    const Rows in = random_rows(operand, size.rows, size.inputs, 3);
    const MatrixView matrix{operand, weights.bytes.data(), size.outputs, size.inputs, weights.stride, 1};
    for (const bool with_bias : {false, true}) {
      const std::vector<float> bias = with_bias ? random_floats(size.outputs, 2) : std::vector<float>();
      Rows product(DType::kF64, size.rows, size.outputs);
      reference::linear<double>(std::span(&matrix, 1), bias, Activation::kNone, in.view(), product.mutable_view());
      for (const Activation activation :
           {Activation::kNone, Activation::kRelu, Activation::kGeluErf, Activation::kGeluTanh, Activation::kSilu,
            Activation::kQuickGelu, Activation::kTanh, Activation::kSigmoid, Activation::kReluSquared}) {
        const auto linear = packed(weights, bias, activation);
        ASSERT_NE(linear, nullptr);
        EXPECT_EQ(linear->inputs, size.inputs);
        EXPECT_EQ(linear->outputs, size.outputs);
        Rows expected = product;
        for (std::int64_t row = 0; row < size.rows; ++row) {
          for (std::int64_t o = 0; o < size.outputs; ++o) {
            expected.set(row, o, reference::activate<double>(activation, product.at(row, o)));
          }
        }
        for (const DType type : {DType::kF32, operand}) {
          Rows out(type, size.rows, size.outputs, 5);
          ASSERT_TRUE(backend->linear(*linear, in.view(), out.mutable_view(), *scratch).ok());
          EXPECT_LT(relative_l2(out, expected), type == DType::kBF16 ? 4e-3 : 1e-6)
              << size.rows << "x" << size.inputs << "x" << size.outputs << " activation "
              << static_cast<int>(activation);
          EXPECT_TRUE(out.gaps_intact());
        }
      }
    }
  }
}

TEST_P(Linear, TakesPartsTransposedHalvesAndStrides) {
  const std::int64_t inputs = 24;
  const Rows first = random_rows(DType::kF16, 10, inputs, 1), second = random_rows(DType::kF32, inputs, 9, 2);
  const Rows third = random_rows(DType::kBF16, 12, inputs, 3);
  std::vector<std::byte> shifted(third.bytes.size() + 1);
  std::copy(third.bytes.begin(), third.bytes.end(), shifted.begin() + 1);
  const std::vector<MatrixView> parts = {{DType::kF16, first.bytes.data(), 10, inputs, inputs, 1},
                                         {DType::kF32, second.bytes.data(), 9, inputs, 1, 9},
                                         {DType::kBF16, shifted.data() + 1, 6, inputs, 2 * inputs, 1}};
  const Rows in = random_rows(operand, 4, inputs, 4);
  for (const std::size_t count : {std::size_t{3}, std::size_t{2}}) {
    for (const std::size_t from : {std::size_t{0}, std::size_t{1}}) {
      if (from >= count) continue;
      const std::span<const MatrixView> chosen(parts.data() + from, count - from);
      std::int64_t outputs = 0;
      for (const MatrixView& part : chosen) outputs += part.outputs;
      const auto linear = backend->pack(chosen, {}, Activation::kNone);
      ASSERT_TRUE(linear.ok());
      Rows out(DType::kF32, 4, outputs), expected(DType::kF64, 4, outputs);
      ASSERT_TRUE(backend->linear(**linear, in.view(), out.mutable_view(), *scratch).ok());
      reference::linear<double>(chosen, {}, Activation::kNone, in.view(), expected.mutable_view());
      EXPECT_LT(relative_l2(out, expected), operand == DType::kBF16 ? 4e-3 : 1e-6);
    }
  }
}

using Multiply = std::function<void(const RowsView& in, const MutableRows& out)>;

/// Rows of products of other heights and offsets that differ from those of one product of all rows.
int changed_rows(const Multiply& multiply, const Rows& in, DType out_type, std::int64_t outputs) {
  Rows expected(out_type, in.rows, outputs);
  multiply(in.view(), expected.mutable_view());
  int changed = 0;
  for (const std::int64_t rows : {1,   2,   3,   5,   7,   8,   15,  16,  17,  31,  33,  48,  63,  64, 65,
                                  100, 127, 129, 191, 240, 255, 256, 257, 272, 300, 511, 512, 513, 600}) {
    for (const std::int64_t offset : {std::int64_t{0}, std::int64_t{1}, std::int64_t{13}, in.rows - rows}) {
      if (rows + offset > in.rows || offset < 0) continue;
      Rows out(out_type, rows, outputs);
      multiply(in.slice(offset, rows), out.mutable_view());
      for (std::int64_t row = 0; row < rows; ++row) changed += same_bytes(out, row, expected, offset + row) ? 0 : 1;
    }
  }
  return changed;
}

TEST_P(Linear, ARowsBitsDoNotDependOnItsCompany) {
  struct Size {
    std::int64_t inputs, outputs;
  };
  for (const Size size : {Size{384, 384}, {768, 96}, {1536, 48}, {100, 37}}) {
    const Rows weights = random_rows(DType::kF32, size.outputs, size.inputs, 1, 0, 0, 0.1);
    const std::vector<float> bias = random_floats(size.outputs, 2);
    const auto linear = packed(weights, bias, size.inputs == 100 ? Activation::kReluSquared : Activation::kGeluErf);
    const Rows in = random_rows(operand, 600, size.inputs, 3);
    for (const DType type : {DType::kF32, operand}) {
      const auto multiply = [&](const RowsView& rows, const MutableRows& out) {
        ASSERT_TRUE(backend->linear(*linear, rows, out, *scratch).ok());
      };
      EXPECT_EQ(changed_rows(multiply, in, type, size.outputs), 0) << size.inputs << "x" << size.outputs;
    }
  }
}

TEST_P(Linear, RowsThatDoNotLieEndToEndHaveTheSameBits) {
  struct Size {
    std::int64_t inputs, outputs;
  };
  for (const Size size : {Size{384, 130}, {1536, 48}, {100, 37}, {64, 256}}) {
    const Rows weights = random_rows(DType::kF32, size.outputs, size.inputs, 1, 0, 0, 0.1);
    const auto linear = packed(weights, random_floats(size.outputs, 2), Activation::kGeluErf);
    ASSERT_NE(linear, nullptr);
    const Rows dense = random_rows(operand, 300, size.inputs, 3), apart = random_rows(operand, 300, size.inputs, 3, 5);
    std::vector<std::int64_t> counts = {255, 256, 257, 271, 272, 273, 300};
    for (std::int64_t rows = 1; rows <= 40; ++rows) counts.push_back(rows);
    for (const DType type : {DType::kF32, operand}) {
      for (const std::int64_t rows : counts) {
        Rows expected(type, rows, size.outputs);
        ASSERT_TRUE(backend->linear(*linear, dense.slice(0, rows), expected.mutable_view(), *scratch).ok());
        for (const auto& [in, gap] : {std::pair(&dense, 3), std::pair(&apart, 0), std::pair(&apart, 70)}) {
          Rows out(type, rows, size.outputs, gap);
          ASSERT_TRUE(backend->linear(*linear, in->slice(0, rows), out.mutable_view(), *scratch).ok());
          EXPECT_TRUE(out.gaps_intact());
          int changed = 0;
          for (std::int64_t row = 0; row < rows; ++row) changed += same_bytes(out, row, expected, row) ? 0 : 1;
          EXPECT_EQ(changed, 0) << size.inputs << "x" << size.outputs << ", " << rows << " rows from a stride of "
                                << in->stride << " to one of " << out.stride;
        }
      }
    }
  }
}

TEST(LinearControl, TheCheckCatchesAProductThatDependsOnTheNumberOfRows) {
  // Sums in two halves when there are many rows, in one chain when there are few: what libraries do to use more
  // registers.
  const std::int64_t inputs = 100, outputs = 9;
  const Rows weights = random_rows(DType::kF32, outputs, inputs, 1), in = random_rows(DType::kF32, 600, inputs, 3);
  const auto multiply = [&](const RowsView& rows, const MutableRows& out) {
    for (std::int64_t row = 0; row < rows.rows; ++row) {
      for (std::int64_t o = 0; o < outputs; ++o) {
        float sums[2] = {0, 0};
        for (std::int64_t i = 0; i < inputs; ++i) {
          sums[rows.rows > 64 ? i % 2 : 0] += rows.row<float>(row)[i] * weights.view().row<float>(o)[i];
        }
        out.row<float>(row)[o] = sums[0] + sums[1];
      }
    }
  };
  EXPECT_GT(changed_rows(multiply, in, DType::kF32, outputs), 0);
}

TEST(LinearControl, TheLibrarysPlainProductIsNotRowInvariant) {
  // The reason why products go through packed weights and fixed tiles. A library that passes has outgrown this test.
  omp_set_num_threads(1);
  int changed = 0;
  for (const std::int64_t outputs : {48, 100}) {
    for (const std::int64_t inputs : {384, 1000}) {
      const Rows weights = random_rows(DType::kF32, inputs, outputs, 1), in = random_rows(DType::kF32, 600, inputs, 3);
      const auto multiply = [&](const RowsView& rows, const MutableRows& out) {
        dnnl::sgemm('N', 'N', rows.rows, outputs, inputs, 1, rows.row<float>(0), rows.stride,
                    weights.view().row<float>(0), outputs, 0, out.row<float>(0), out.stride);
      };
      changed += changed_rows(multiply, in, DType::kF32, outputs);
    }
  }
  EXPECT_GT(changed, 0);
}

TEST(Backends, AnUnknownInstructionSetIsAUsageError) {
  const auto made = make_cpu_backend({Precision::kF32, "avx9000"});
  ASSERT_FALSE(made.ok());
  EXPECT_EQ(made.error().code, ErrorCode::kUsage);
  EXPECT_NE(made.error().message.find("avx9000"), std::string::npos);
  EXPECT_NE(made.error().message.find(cpu_isas().front()), std::string::npos);
}

TEST(Backends, SayWhatTheyAre) {
  for (const Kind& kind : all_kinds()) {
    const auto made = make_cpu_backend({kind.precision, kind.isa});
    ASSERT_TRUE(made.ok());
    const BackendInfo& info = (*made)->info();
    EXPECT_EQ(info.device, "cpu");
    EXPECT_EQ(info.isa, kind.isa);
    EXPECT_EQ(info.stream, DType::kF32);
    EXPECT_EQ(info.operand, kind.precision == Precision::kBF16 ? DType::kBF16 : DType::kF32);
    EXPECT_NE(info.determinism.find(info.library), std::string::npos);
  }
}

}  // namespace
}  // namespace layerscope
