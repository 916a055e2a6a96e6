// Attention with scores between contents and relative positions: its precision, and that bits depend on the sequence
// alone.
#include "kernels/reference_disentangled.h"
#include "support.h"

namespace layerscope {
namespace {

using namespace testing_support;

struct Case {
  std::int64_t tokens, heads, d_qk, d_v, positions;
  bool keys, queries;
};
const Case kCases[] = {
    {1, 1, 1, 1, 2, true, true},       {5, 2, 3, 4, 16, true, true},      {16, 1, 8, 8, 3, true, false},
    {33, 3, 32, 32, 66, false, true},  {96, 1, 64, 64, 200, true, true},  {97, 2, 64, 64, 40, true, true},
    {130, 2, 17, 20, 260, true, true}, {300, 1, 64, 64, 512, true, true}, {300, 1, 20, 33, 12, false, true},
};

/// Queries, keys, values and positions of one case; distances take rows that fall and stop at both ends.
struct Operands {
  explicit Operands(const Case& c, std::int64_t more = 0)
      : q(random_rows(DType::kF32, c.tokens, c.heads * c.d_qk, 1, 3)),
        k(random_rows(DType::kF32, c.tokens, c.heads * c.d_qk, 2, 5)),
        v(random_rows(DType::kF32, c.tokens, c.heads * c.d_v, 3, 1)),
        position_keys(random_rows(DType::kF32, c.positions, c.heads * c.d_qk, 4, 2)),
        position_queries(random_rows(DType::kF32, c.positions, c.heads * c.d_qk, 5, 4)) {
    const std::int64_t longest = c.tokens + more;
    for (std::int64_t ahead = 1 - longest; ahead < longest; ++ahead)
      rows.push_back(static_cast<std::int32_t>(std::clamp<std::int64_t>(c.positions / 2 - ahead, 0, c.positions - 1)));
    terms.rows = rows.data();
    terms.zero = longest - 1;
    if (c.keys) terms.keys = position_keys.view();
    if (c.queries) terms.queries = position_queries.view();
    arguments.q = q.view();
    arguments.k = k.view();
    arguments.v = v.view();
    arguments.heads = arguments.kv_heads = c.heads;
    arguments.d_qk = c.d_qk;
    arguments.d_v = c.d_v;
    arguments.scale = 1 / std::sqrt(3.0F * static_cast<float>(c.d_qk));
    arguments.positions = &terms;
  }
  Operands(const Operands&) = delete;
  Operands& operator=(const Operands&) = delete;
  Rows q, k, v, position_keys, position_queries;
  std::vector<std::int32_t> rows;
  PositionTerms terms;
  AttentionArguments arguments;
};

class DisentangledAttention : public EveryBackend {
 protected:
  Rows run(const AttentionArguments& arguments, DType type) {
    Rows z(type, arguments.q.rows, arguments.heads * arguments.d_v, 2);
    backend->attention(arguments, z.mutable_view(), *scratch);
    EXPECT_TRUE(z.gaps_intact());
    return z;
  }
};
INSTANTIATE_TEST_SUITE_P(All, DisentangledAttention, ::testing::ValuesIn(all_kinds()), kind_name);

TEST_P(DisentangledAttention, IsThatOfFloat64) {
  for (const Case& c : kCases) {
    const Operands operands(c);
    Rows expected(DType::kF64, c.tokens, c.heads * c.d_v);
    reference::disentangled_attention<double>(operands.arguments, expected.mutable_view());
    for (const DType type : {DType::kF32, operand}) {
      EXPECT_LT(relative_l2(run(operands.arguments, type), expected), operand == DType::kBF16 ? 1.2e-2 : 8e-7)
          << c.tokens << " tokens, d " << c.d_qk << ", " << c.positions << " positions";
    }
  }
}

TEST_P(DisentangledAttention, ProbabilitiesAreThoseOfFloat64AndSumToOne) {
  for (const Case& c : kCases) {
    const Operands operands(c);
    const std::int64_t first = c.tokens / 3, count = c.tokens - first, head = c.heads - 1;
    Rows p(DType::kF32, count, c.tokens, 3), expected(DType::kF64, count, c.tokens);
    backend->attention_probabilities(operands.arguments, head, first, p.mutable_view(), *scratch);
    reference::disentangled_attention_probabilities<double>(operands.arguments, head, first, expected.mutable_view());
    EXPECT_LT(relative_l2(p, expected), operand == DType::kBF16 ? 1.2e-2 : 2e-6);
    EXPECT_TRUE(p.gaps_intact());
    for (std::int64_t row = 0; row < count; ++row) {
      double sum = 0;
      for (std::int64_t j = 0; j < c.tokens; ++j) sum += p.at(row, j);
      EXPECT_NEAR(sum, 1, 1e-6);
    }
  }
}

TEST_P(DisentangledAttention, LongerSequencesInTheBatchChangeNothing) {
  for (const Case& c : kCases) {
    const Operands alone(c), company(c, 211);
    const Rows a = run(alone.arguments, DType::kF32), b = run(company.arguments, DType::kF32);
    for (std::int64_t row = 0; row < c.tokens; ++row) EXPECT_TRUE(same_bytes(a, row, b, row)) << c.tokens << " " << row;
  }
}

TEST(DisentangledReference, WithZeroPositionsIsPlainAttention) {
  const Case c{20, 2, 8, 8, 64, true, true};
  Operands operands(c);
  for (Rows* rows : {&operands.position_keys, &operands.position_queries}) {
    for (std::int64_t i = 0; i < rows->rows; ++i) {
      for (std::int64_t j = 0; j < rows->width; ++j) rows->set(i, j, 0);
    }
  }
  Rows with(DType::kF64, 20, 16), plain(DType::kF64, 20, 16);
  reference::disentangled_attention<double>(operands.arguments, with.mutable_view());
  AttentionArguments arguments = operands.arguments;
  arguments.positions = nullptr;
  reference::attention<double>(arguments, plain.mutable_view());
  EXPECT_LT(relative_l2(with, plain), 1e-14);
}

TEST(DisentangledReference, TermsFollowTheirFormula) {
  // Two tokens, one head of one element: scores by hand.
  const Case c{2, 1, 1, 1, 4, true, true};
  Operands operands(c);
  const double q[] = {2, -1}, k[] = {3, 0.5}, keys[] = {0.1, 0.2, 0.4, 0.8}, queries[] = {1, -2, 3, -4};
  for (int i = 0; i < 2; ++i) {
    operands.q.set(i, 0, q[i]);
    operands.k.set(i, 0, k[i]);
  }
  for (int r = 0; r < 4; ++r) {
    operands.position_keys.set(r, 0, keys[r]);
    operands.position_queries.set(r, 0, queries[r]);
  }
  Rows p(DType::kF64, 2, 2);
  reference::disentangled_attention_probabilities<double>(operands.arguments, 0, 0, p.mutable_view());
  for (int i = 0; i < 2; ++i) {
    double score[2];
    for (int j = 0; j < 2; ++j) {
      const int row = 2 + i - j;
      score[j] = (q[i] * k[j] + static_cast<float>(keys[row]) * q[i] + queries[row] * k[j]) *
                 static_cast<double>(operands.arguments.scale);
    }
    EXPECT_NEAR(p.at(i, 0), 1 / (1 + std::exp(score[1] - score[0])), 1e-12);
  }
}

}  // namespace
}  // namespace layerscope
