// Attention: its precision over shapes and masks, what a masked key may do, and that a row's bits depend on what it
// sees.
#include <limits>

#include "support.h"

namespace layerscope {
namespace {

using namespace testing_support;

struct Case {
  std::int64_t queries, keys, heads, kv_heads, d_qk, d_v, first;
  Reach reach;
  bool bias;
  float scale;
  float softcap = 0;
  bool sinks = false;
};

/// Queries, keys, values and a bias of one case, side by side in rows with a gap.
struct Operands {
  explicit Operands(const Case& c, double deviation = 1)
      : q(random_rows(DType::kF32, c.queries, c.heads * c.d_qk, 1, 3, 0, deviation)),
        k(random_rows(DType::kF32, c.keys, c.kv_heads * c.d_qk, 2, 5, 0, deviation)),
        v(random_rows(DType::kF32, c.keys, c.kv_heads * c.d_v, 3, 1)),
        table(random_floats(c.heads * 2 * (c.keys + c.queries + c.first), 4)),
        sinks(random_floats(c.heads, 5, 1)) {
    bias = {table.data(), 2 * (c.keys + c.queries + c.first), c.keys + c.queries + c.first};
    arguments = {q.view(),
                 k.view(),
                 v.view(),
                 c.heads,
                 c.kv_heads,
                 c.d_qk,
                 c.d_v,
                 c.scale,
                 c.reach,
                 c.first,
                 c.bias ? &bias : nullptr,
                 c.softcap,
                 c.sinks ? sinks.data() : nullptr};
  }
  Operands(const Operands&) = delete;
  Operands& operator=(const Operands&) = delete;
  Rows q, k, v;
  std::vector<float> table, sinks;
  DistanceBias bias;
  AttentionArguments arguments;
};

constexpr std::int64_t kAll = Reach::kUnlimited;
const Case kCases[] = {
    {1, 1, 1, 1, 1, 1, 0, {}, false, 1.0F},
    {5, 5, 2, 2, 3, 3, 0, {}, false, 0.5F},
    {33, 33, 3, 3, 32, 32, 0, {}, false, 0.177F},
    {55, 55, 2, 1, 64, 64, 0, {}, false, 0.125F},
    {130, 130, 4, 2, 64, 64, 0, {kAll, 0}, false, 0.125F},
    {300, 300, 1, 1, 64, 64, 0, {}, false, 0.125F},
    {300, 300, 2, 2, 17, 33, 0, {50, 20}, false, 0.25F},
    {257, 257, 2, 1, 128, 128, 0, {64, 0}, false, 0.088F},
    {70, 200, 2, 2, 40, 70, 130, {kAll, 0}, false, 0.16F},
    {1, 500, 2, 1, 64, 64, 499, {kAll, 0}, false, 0.125F},
    {140, 140, 3, 3, 64, 64, 0, {}, true, 1.0F},
    {140, 140, 2, 2, 20, 20, 0, {30, 0}, true, 0.3F},
    {40, 40, 1, 1, 16, 16, 0, {}, false, -0.25F},
    {20, 60, 1, 1, 8, 8, 0, {}, false, 0.0F},
    {150, 150, 4, 2, 64, 64, 0, {kAll, 0}, false, 0.125F, 5.0F},
    {150, 150, 2, 2, 16, 16, 0, {40, 0}, true, 0.25F, 1.5F},
    {40, 40, 1, 1, 16, 16, 0, {}, false, -0.25F, 2.0F},
    {150, 150, 4, 2, 64, 64, 0, {kAll, 0}, false, 0.125F, 0, true},
    {300, 300, 2, 1, 24, 24, 0, {20, 0}, false, 0.2F, 0, true},
    {130, 130, 2, 2, 16, 16, 0, {30, 30}, true, 0.25F, 3.0F, true},
    {140, 140, 3, 3, 64, 64, 0, {kAll, 0}, true, 0.125F, 0, false},
    {60, 190, 2, 2, 20, 20, 130, {kAll, 0}, true, 0.3F, 0, false},
    {300, 300, 2, 2, 32, 32, 0, {64, 64}, false, 0.177F},
    {200, 200, 2, 2, 192, 128, 0, {kAll, 0}, false, 0.072F},
    {70, 70, 2, 1, 576, 512, 0, {kAll, 0}, false, 0.042F},
    {33, 33, 3, 1, 21, 5, 0, {4, 2}, false, 0.2F},
    {33, 33, 2, 2, 7, 97, 0, {}, false, 0.4F, 0, true},
};

class Attention : public EveryBackend {
 protected:
  Rows run(const AttentionArguments& arguments, DType type) {
    Rows z(type, arguments.q.rows, arguments.heads * arguments.d_v, 2);
    backend->attention(arguments, z.mutable_view(), *scratch);
    EXPECT_TRUE(z.gaps_intact());
    return z;
  }
};
INSTANTIATE_TEST_SUITE_P(All, Attention, ::testing::ValuesIn(all_kinds()), kind_name);

TEST_P(Attention, IsThatOfFloat64) {
  for (const Case& c : kCases) {
    const Operands operands(c);
    Rows expected(DType::kF64, c.queries, c.heads * c.d_v);
    reference::attention<double>(operands.arguments, expected.mutable_view());
    for (const DType type : {DType::kF32, operand}) {
      EXPECT_LT(relative_l2(run(operands.arguments, type), expected), operand == DType::kBF16 ? 1.2e-2
                                                                      : c.scale == 1          ? 1.5e-6
                                                                                              : 6e-7)
          << c.queries << " queries, " << c.keys << " keys, d " << c.d_qk << ", " << c.d_v;
    }
  }
}

TEST_P(Attention, ProbabilitiesAreThoseOfFloat64AndSumToOne) {
  for (const Case& c : kCases) {
    const Operands operands(c);
    for (std::int64_t head = 0; head < c.heads; ++head) {
      const std::int64_t first = c.queries / 3, count = c.queries - first;
      Rows p(DType::kF32, count, c.keys, 3), expected(DType::kF64, count, c.keys);
      backend->attention_probabilities(operands.arguments, head, first, p.mutable_view(), *scratch);
      reference::attention_probabilities<double>(operands.arguments, head, first, expected.mutable_view());
      EXPECT_LT(relative_l2(p, expected), operand == DType::kBF16 ? 1.2e-2 : 2e-6);
      EXPECT_TRUE(p.gaps_intact());
      for (std::int64_t row = 0; row < count; ++row) {
        double sum = 0;
        const KeyRange seen = visible_keys(c.reach, c.first + first + row, c.keys);
        for (std::int64_t j = 0; j < c.keys; ++j) {
          sum += p.at(row, j);
          if (j < seen.begin || j >= seen.end) {
            EXPECT_EQ(p.at(row, j), 0.0);
          }
        }
        if (c.sinks) {
          EXPECT_LT(sum, 1);
        } else {
          EXPECT_NEAR(sum, 1, 1e-6);
        }
      }
    }
  }
}

TEST_P(Attention, ARowAloneHasTheSameBits) {
  for (const Case& c : kCases) {
    const Operands operands(c);
    const Rows together = run(operands.arguments, DType::kF32);
    for (std::int64_t row = 0; row < c.queries; row += 1 + c.queries / 23) {
      for (const std::int64_t count :
           {std::int64_t{1}, std::min<std::int64_t>(7, c.queries - row), std::min<std::int64_t>(50, c.queries - row)}) {
        AttentionArguments part = operands.arguments;
        part.q = operands.q.slice(row, count);
        part.first_position = c.first + row;
        const Rows alone = run(part, DType::kF32);
        for (std::int64_t i = 0; i < count; ++i) {
          EXPECT_TRUE(same_bytes(alone, i, together, row + i))
              << "row " << row + i << " of " << c.queries << ", " << count << " together";
        }
      }
    }
  }
}

TEST_P(Attention, KeysThatNobodySeesYetChangeNothing) {
  // Causal attention over a prefix gives the bits of the whole sequence's first rows.
  const Case c{200, 200, 2, 2, 24, 24, 0, {kAll, 0}, false, 0.2F};
  const Operands operands(c);
  const Rows whole = run(operands.arguments, DType::kF32);
  for (const std::int64_t prefix : {1, 15, 16, 63, 64, 127, 128, 129, 199}) {
    AttentionArguments part = operands.arguments;
    part.q = operands.q.slice(0, prefix);
    part.k = operands.k.slice(0, prefix);
    part.v = operands.v.slice(0, prefix);
    const Rows z = run(part, DType::kF32);
    for (std::int64_t row = 0; row < prefix; ++row) EXPECT_TRUE(same_bytes(z, row, whole, row)) << prefix << " " << row;
  }
}

TEST_P(Attention, NaNInAMaskedKeyStaysThere) {
  const Case c{100, 100, 1, 1, 16, 16, 0, {kAll, 0}, false, 0.25F};
  Operands operands(c);
  for (std::int64_t i = 0; i < 16; ++i) {
    operands.k.set(70, i, std::numeric_limits<double>::quiet_NaN());
    operands.v.set(70, i, std::numeric_limits<double>::infinity());
    operands.v.set(71, i, std::numeric_limits<double>::quiet_NaN());
  }
  const Rows z = run(operands.arguments, DType::kF32);
  Rows expected(DType::kF64, 100, 16);
  reference::attention<double>(operands.arguments, expected.mutable_view());
  for (std::int64_t row = 0; row < 100; ++row) {
    for (std::int64_t i = 0; i < 16; ++i) {
      if (row < 70) {
        EXPECT_NEAR(z.at(row, i), expected.at(row, i), operand == DType::kBF16 ? 3e-2 : 1e-5) << row;
      } else {
        EXPECT_TRUE(std::isnan(z.at(row, i))) << row;
      }
    }
  }
}

TEST_P(Attention, LargeScoresDoNotOverflow) {
  const Case c{150, 150, 1, 1, 32, 32, 0, {}, false, 1.0F};
  const Operands operands(c, 30);
  Rows expected(DType::kF64, 150, 32);
  reference::attention<double>(operands.arguments, expected.mutable_view());
  const Rows z = run(operands.arguments, DType::kF32);
  EXPECT_TRUE(backend->all_finite(z.view()));
  if (operand == DType::kF32) {
    EXPECT_LT(relative_l2(z, expected), 1e-3);
  }
}

TEST_P(Attention, AQueryThatSeesNothingGetsZeros) {
  for (const bool sinks : {false, true}) {
    const Case c{5, 5, 1, 1, 4, 4, 50, {10, 0}, false, 1.0F, 0, sinks};
    const Operands operands(c);
    const Rows z = run(operands.arguments, DType::kF32);
    for (std::int64_t i = 0; i < 4; ++i) EXPECT_EQ(z.at(4, i), 0.0);
    Rows p(DType::kF32, 5, 5);
    backend->attention_probabilities(operands.arguments, 0, 0, p.mutable_view(), *scratch);
    EXPECT_EQ(p.at(4, 4), 0.0);
  }
}

/// One query, two keys whose scores are 2 and -1; values 10 and 20.
struct TwoKeys {
  TwoKeys() {
    q.set(0, 0, 1);
    k.set(0, 0, 2);
    k.set(1, 0, -1);
    v.set(0, 0, 10);
    v.set(1, 0, 20);
    arguments = {q.view(), k.view(), v.view(), 1, 1, 1, 1};
    arguments.first_position = 1;
  }
  Rows q{DType::kF32, 1, 1}, k{DType::kF32, 2, 1}, v{DType::kF32, 2, 1};
  AttentionArguments arguments;
};

TEST_P(Attention, CapSinkAndBiasByHand) {
  const double tolerance = operand == DType::kBF16 ? 0.1 : 1e-5;
  const TwoKeys keys;
  const auto result = [&](const AttentionArguments& a) { return run(a, DType::kF32).at(0, 0); };
  const auto mean = [](double first, double second, double sink) {
    return (10 * std::exp(first) + 20 * std::exp(second)) / (std::exp(first) + std::exp(second) + sink);
  };
  EXPECT_NEAR(result(keys.arguments), mean(2, -1, 0), tolerance);

  const float sink = 1.5F;
  AttentionArguments a = keys.arguments;
  a.sinks = &sink;
  EXPECT_NEAR(result(a), mean(2, -1, std::exp(1.5)), tolerance);

  const std::vector<float> table = {7, 0.25F, -0.5F, 7};
  const DistanceBias bias{table.data(), 4, 2};
  a = keys.arguments;
  a.softcap = 1.5F;
  a.bias = &bias;
  const double first = 1.5 * std::tanh(2 / 1.5) + 0.25, second = 1.5 * std::tanh(-1 / 1.5) - 0.5;
  EXPECT_NEAR(result(a), mean(first, second, 0), tolerance);

  Rows p(DType::kF32, 1, 2);
  a.sinks = &sink;
  backend->attention_probabilities(a, 0, 0, p.mutable_view(), *scratch);
  EXPECT_NEAR(p.at(0, 1), std::exp(second) / (std::exp(first) + std::exp(second) + std::exp(1.5)), tolerance / 10);
}

}  // namespace
}  // namespace layerscope
