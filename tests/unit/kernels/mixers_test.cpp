// What experts and some mixers need: the router's decisions, rows taken and given back, gates with limits, xIELU, short
// convolutions.
#include <limits>

#include "kernels/reference_experts.h"
#include "support.h"

namespace layerscope {
namespace {

using namespace testing_support;

constexpr std::int64_t kWidths[] = {1, 3, 17, 33, 130};
constexpr std::int64_t kRows = 5;
const DType kTypes[] = {DType::kF32, DType::kBF16};

class MixerKernels : public EveryBackend {};
INSTANTIATE_TEST_SUITE_P(All, MixerKernels, ::testing::ValuesIn(all_kinds()), kind_name);

/// The same rows in float64.
Rows widened(const Rows& rows) {
  Rows wide(DType::kF64, rows.rows, rows.width);
  reference::convert<double>(rows.view(), wide.mutable_view());
  return wide;
}
RowsView row_of(const Rows& rows, std::int64_t row) { return rows.slice(row, 1); }

TEST_P(MixerKernels, ClampedGateIsThatOfFloat64) {
  for (const std::int64_t width : kWidths) {
    for (const DType type : kTypes) {
      const Rows gate = random_rows(DType::kF32, kRows, width, 1, 3, 0, 3),
                 up = random_rows(DType::kF32, kRows, width, 2, 1, 0, 3);
      Rows out(type, kRows, width, 2), expected(DType::kF64, kRows, width), alone(type, 1, width);
      backend->clamped_gate(2.5F, 1.702F, gate.view(), up.view(), out.mutable_view());
      reference::clamped_gate<double>(2.5F, 1.702F, gate.view(), up.view(), expected.mutable_view());
      EXPECT_LT(relative_l2(out, expected), tolerance(type));
      EXPECT_TRUE(out.gaps_intact());
      backend->clamped_gate(2.5F, 1.702F, row_of(gate, 3), row_of(up, 3), alone.mutable_view());
      EXPECT_TRUE(same_bytes(out, 3, alone, 0));
    }
  }
  // By hand: gate 9 is held to 7, ups -9 and 9 to -7 and 7.
  Rows gate(DType::kF32, 1, 2), up(DType::kF32, 1, 2), out(DType::kF32, 1, 2);
  gate.set(0, 0, 9);
  gate.set(0, 1, -9);
  up.set(0, 0, -9);
  up.set(0, 1, 9);
  backend->clamped_gate(7, 1, gate.view(), up.view(), out.mutable_view());
  EXPECT_NEAR(out.at(0, 0), -6 * 7 / (1 + std::exp(-7.0)), 1e-4);
  EXPECT_NEAR(out.at(0, 1), 8 * -9 / (1 + std::exp(9.0)), 1e-7);
}

TEST_P(MixerKernels, XieluIsThatOfTransformers) {
  // transformers 5.23, XIELUActivation with raw alphas 0.3 and -0.7, whose softplus is given here.
  const double arguments[] = {-30, -2.5, -0.125, -1e-7, 0, 0.5, 4},
               values[] = {11.1923962,      0.178917170, -0.0557289049, -8.62867012e-07,
                           -9.03185651e-07, 0.463588834, 15.6696844};
  Rows in(DType::kF32, 1, 7), out(DType::kF32, 1, 7);
  for (std::int64_t j = 0; j < 7; ++j) in.set(0, j, arguments[j]);
  backend->xielu(0.85435528F, 0.90318608F, 0.5F, -1e-6F, in.view(), out.mutable_view());
  for (std::int64_t j = 0; j < 7; ++j) {
    EXPECT_NEAR(out.at(0, j), values[j], 4e-7 * std::max(1.0, std::fabs(values[j]))) << arguments[j];
  }
  for (const std::int64_t width : kWidths) {
    for (const DType in_type : kTypes) {
      for (const DType out_type : kTypes) {
        const Rows x = random_rows(in_type, kRows, width, 1, 3, 0, 3);
        Rows y(out_type, kRows, width, 2), expected(DType::kF64, kRows, width);
        backend->xielu(0.9F, 1.3F, 0.5F, -1e-6F, x.view(), y.mutable_view());
        reference::xielu<double>(0.9F, 1.3F, 0.5F, -1e-6F, x.view(), expected.mutable_view());
        EXPECT_LT(relative_l2(y, expected), tolerance(out_type));
        EXPECT_TRUE(y.gaps_intact());
      }
    }
  }
}

TEST_P(MixerKernels, ActivationsOfAnyTypeToAny) {
  for (const Activation activation : {Activation::kGeluErf, Activation::kTanh, Activation::kReluSquared}) {
    for (const DType in_type : kTypes) {
      for (const DType out_type : kTypes) {
        const Rows in = random_rows(in_type, kRows, 33, 1, 3);
        Rows out(out_type, kRows, 33, 2), expected(DType::kF64, kRows, 33);
        backend->activate(activation, in.view(), out.mutable_view());
        reference::activate<double>(activation, in.view(), expected.mutable_view());
        EXPECT_LT(relative_l2(out, expected), tolerance(out_type));
        EXPECT_TRUE(out.gaps_intact());
      }
    }
  }
}

TEST_P(MixerKernels, ClampHoldsWithinTheLimitAndKeepsNaN) {
  for (const DType type : kTypes) {
    Rows rows = random_rows(type, kRows, 37, 1, 3);
    rows.set(2, 5, std::numeric_limits<double>::quiet_NaN());
    rows.set(2, 6, -std::numeric_limits<double>::infinity());
    const Rows before = rows;
    backend->clamp(0.75F, rows.mutable_view());
    EXPECT_TRUE(std::isnan(rows.at(2, 5)));
    for (std::int64_t row = 0; row < kRows; ++row) {
      for (std::int64_t j = 0; j < 37; ++j) {
        if (row == 2 && j == 5) continue;
        EXPECT_EQ(rows.at(row, j), std::clamp(before.at(row, j), -0.75, 0.75));
      }
    }
    EXPECT_TRUE(rows.gaps_intact());
  }
}

TEST_P(MixerKernels, ScaledRowsAndProductsOfElements) {
  const std::vector<float> factors = {1.5F, 0, -2, 0.3F, 1};
  for (const std::int64_t width : kWidths) {
    for (const DType type : kTypes) {
      Rows rows = random_rows(type, kRows, width, 1, 3), expected = widened(rows);
      backend->scale_rows(factors, rows.mutable_view());
      reference::scale_rows<double>(factors, expected.mutable_view());
      EXPECT_LT(relative_l2(rows, expected), tolerance(type));
      EXPECT_TRUE(rows.gaps_intact());

      for (const DType out_type : kTypes) {
        const Rows a = random_rows(type, kRows, width, 2, 1), b = random_rows(DType::kF32, kRows, width, 3, 2);
        Rows out(out_type, kRows, width, 5), product(DType::kF64, kRows, width);
        backend->hadamard(a.view(), b.view(), out.mutable_view());
        reference::hadamard<double>(a.view(), b.view(), product.mutable_view());
        EXPECT_LT(relative_l2(out, product), tolerance(out_type));
        EXPECT_TRUE(out.gaps_intact());
      }
    }
  }
}

TEST_P(MixerKernels, RowsAreTakenAndGivenBack) {
  const std::vector<std::int32_t> indices = {4, 0, 3};
  const std::vector<float> factors = {0.5F, -1.25F, 3};
  for (const std::int64_t width : kWidths) {
    for (const DType type : kTypes) {
      const Rows in = random_rows(DType::kF32, kRows, width, 1, 3);
      Rows taken(type, 3, width, 2), expected(type, 3, width);
      backend->take(in.view(), indices, taken.mutable_view());
      reference::take<double>(in.view(), indices, expected.mutable_view());
      for (std::int64_t row = 0; row < 3; ++row) EXPECT_TRUE(same_bytes(taken, row, expected, row));
      EXPECT_TRUE(taken.gaps_intact());

      Rows x = random_rows(DType::kF32, kRows, width, 2, 1), sum = widened(x);
      const Rows before = x;
      backend->add_at(indices, factors, taken.view(), x.mutable_view());
      reference::add_at<double>(indices, factors, taken.view(), sum.mutable_view());
      EXPECT_LT(relative_l2(x, sum), tolerance(DType::kF32));
      EXPECT_TRUE(same_bytes(x, 1, before, 1));
      EXPECT_TRUE(same_bytes(x, 2, before, 2));
      EXPECT_TRUE(x.gaps_intact());

      Rows alone = before;
      backend->add_at(std::span(indices).subspan(2), std::span(factors).subspan(2), row_of(taken, 2),
                      alone.mutable_view());
      EXPECT_TRUE(same_bytes(alone, 3, x, 3)) << "a row given back alone";
    }
  }
}

TEST_P(MixerKernels, ShortConvolutionIsThatOfFloat64) {
  for (const std::int64_t width : kWidths) {
    for (const std::int64_t taps : {1, 3, 4}) {
      for (const bool with_bias : {false, true}) {
        for (const DType type : kTypes) {
          const std::vector<float> kernel = random_floats(width * taps, 1), bias = random_floats(width, 2);
          const float* biases = with_bias ? bias.data() : nullptr;
          const Rows bx = random_rows(DType::kF32, kRows + taps - 1, width, 3, 2),
                     c = random_rows(type, kRows, width, 4, 1);
          Rows out(operand, kRows, width, 3), expected(DType::kF64, kRows, width), alone(operand, 1, width);
          backend->short_convolution(kernel.data(), biases, taps, bx.view(), c.view(), out.mutable_view());
          reference::short_convolution<double>(kernel.data(), biases, taps, bx.view(), c.view(),
                                               expected.mutable_view());
          EXPECT_LT(relative_l2(out, expected), tolerance(operand));
          EXPECT_TRUE(out.gaps_intact());
          backend->short_convolution(kernel.data(), biases, taps, bx.slice(3, taps), row_of(c, 3),
                                     alone.mutable_view());
          EXPECT_TRUE(same_bytes(out, 3, alone, 0));
        }
      }
    }
  }
  // By hand: one channel, kernel (2, 3, 5), the current row last.
  const std::vector<float> kernel = {2, 3, 5}, bias = {1};
  Rows bx(DType::kF32, 4, 1), c(DType::kF32, 2, 1), out(DType::kF32, 2, 1);
  for (std::int64_t i = 0; i < 4; ++i) bx.set(i, 0, std::pow(10.0, static_cast<double>(i)));
  c.set(0, 0, 1);
  c.set(1, 0, 2);
  backend->short_convolution(kernel.data(), bias.data(), 3, bx.view(), c.view(), out.mutable_view());
  EXPECT_EQ(out.at(0, 0), 533);
  EXPECT_EQ(out.at(1, 0), 2 * 5321);
}

/// A decision over rows of scores.
struct Decision {
  Decision(const Backend& backend, const RoutingArguments& routing, Rows scores)
      : probabilities(std::move(scores)),
        ids(static_cast<std::size_t>(probabilities.rows * routing.chosen), -1),
        weights(ids.size(), -1.0F) {
    backend.route(routing, probabilities.mutable_view(), ids, weights);
  }
  Rows probabilities;
  std::vector<std::int32_t> ids;
  std::vector<float> weights;
};

Rows two_rows_of_scores() {
  const double scores[2][8] = {{0.5, -1.25, 2, 0.75, -0.5, 1.5, 3, -2}, {1, 0.25, -3, 0.125, 2.5, -0.75, 0, 1.75}};
  Rows rows(DType::kF32, 2, 8);
  for (std::int64_t i = 0; i < 2; ++i) {
    for (std::int64_t j = 0; j < 8; ++j) rows.set(i, j, scores[i][j]);
  }
  return rows;
}
void expect_weights(const std::vector<float>& weights, const std::vector<double>& expected) {
  ASSERT_EQ(weights.size(), expected.size());
  for (std::size_t i = 0; i < weights.size(); ++i) EXPECT_NEAR(weights[i], expected[i], 3e-7) << i;
}
using Ids = std::vector<std::int32_t>;

TEST_P(MixerKernels, RoutersDecideAsTransformersDo) {
  // Both generations, the module of each rule on these scores (its weight an identity): modeling_qwen3_moe.py,
  // modeling_gpt_oss.py, modeling_deepseek_v3.py with 4 groups of which 2 are chosen.
  RoutingArguments routing;
  routing.chosen = 3;
  const Decision plain(*backend, routing, two_rows_of_scores());
  EXPECT_EQ(plain.ids, (Ids{6, 2, 5, 4, 7, 0}));
  expect_weights(plain.weights, {0.54653966, 0.20106071, 0.12194949, 0.49532995, 0.23397729, 0.11052305});
  EXPECT_NEAR(plain.probabilities.at(0, 7), 0.00368256, 1e-8);

  routing.renormalise = true;
  const Decision renormalised(*backend, routing, two_rows_of_scores());
  expect_weights(renormalised.weights, {0.62853169, 0.23122390, 0.14024438, 0.58979768, 0.27860069, 0.13160165});

  routing = {RoutingArguments::Rule::kTopThenSoftmax, 3};
  const Decision top_first(*backend, routing, two_rows_of_scores());
  EXPECT_EQ(top_first.ids, plain.ids);
  expect_weights(top_first.weights, {0.62853169, 0.23122390, 0.14024438, 0.58979762, 0.27860066, 0.13160165});
  EXPECT_EQ(top_first.probabilities.at(0, 2), static_cast<double>(top_first.weights[1]));
  EXPECT_EQ(top_first.probabilities.at(0, 3), 0.0);

  const std::vector<float> correction = {0, 0.5F, -0.4F, 0.1F, 0.2F, -0.1F, -0.9F, 0.3F};
  routing = {RoutingArguments::Rule::kSigmoidGroups, 3, true, 2.5F, 4, 2, correction.data()};
  const Decision groups(*backend, routing, two_rows_of_scores());
  EXPECT_EQ(groups.ids, (Ids{1, 5, 0, 4, 1, 0}));
  expect_weights(groups.weights, {0.33484027, 1.22926223, 0.93589735, 1.04193139, 0.63383055, 0.82423806});
  EXPECT_NEAR(groups.probabilities.at(1, 2), 1 / (1 + std::exp(3.0)), 1e-8);
}

TEST_P(MixerKernels, RoutersAgreeWithFloat64AndRowsStandAlone) {
  for (const auto rule : {RoutingArguments::Rule::kSoftmaxThenTop, RoutingArguments::Rule::kTopThenSoftmax,
                          RoutingArguments::Rule::kSigmoidGroups}) {
    for (const bool renormalise : {false, true}) {
      const std::vector<float> correction = random_floats(24, 3);
      RoutingArguments routing{rule, 5, renormalise, 1.5F};
      if (rule == RoutingArguments::Rule::kSigmoidGroups) {
        routing.groups = 6;
        routing.chosen_groups = 3;
        routing.correction = correction.data();
      }
      const Rows scores = random_rows(DType::kF32, 40, 24, 1, 0, 0, 2);
      const Decision decision(*backend, routing, scores);
      Rows expected = widened(scores);
      std::vector<std::int32_t> ids(200);
      std::vector<float> weights(200);
      reference::route<double>(routing, expected.mutable_view(), ids, weights);
      EXPECT_EQ(decision.ids, ids);
      EXPECT_LT(relative_l2(decision.probabilities, expected), 5e-7);
      for (std::size_t i = 0; i < weights.size(); ++i) EXPECT_NEAR(decision.weights[i], weights[i], 1e-6);

      Rows one(DType::kF32, 1, 24);
      backend->convert(row_of(scores, 31), one.mutable_view());
      const Decision alone(*backend, routing, one);
      EXPECT_TRUE(same_bytes(alone.probabilities, 0, decision.probabilities, 31));
      for (std::size_t i = 0; i < 5; ++i) {
        EXPECT_EQ(alone.ids[i], decision.ids[31 * 5 + i]);
        EXPECT_EQ(alone.weights[i], decision.weights[31 * 5 + i]);
      }
    }
  }
}

TEST_P(MixerKernels, EqualScoresAreChosenByRisingIdAndExpertsOutsideTheGroupsLast) {
  Rows equal(DType::kF32, 1, 6);
  for (std::int64_t j = 0; j < 6; ++j) equal.set(0, j, j == 4 ? 2 : 1);
  EXPECT_EQ(Decision(*backend, {RoutingArguments::Rule::kSoftmaxThenTop, 4}, equal).ids, (Ids{4, 0, 1, 2}));

  // Group 1 (experts 2, 3) is the best; its values are negative, and still go before those of other groups.
  const std::vector<float> correction = {-5, -5, -3, -3, -4, -4};
  const RoutingArguments one_group{RoutingArguments::Rule::kSigmoidGroups, 2, false, 1, 3, 1, correction.data()};
  EXPECT_EQ(Decision(*backend, one_group, equal).ids, (Ids{2, 3}));
}

TEST_P(MixerKernels, RoutersOfNaNStayInRange) {
  const double nan = std::numeric_limits<double>::quiet_NaN(), infinity = std::numeric_limits<double>::infinity();
  for (const auto rule : {RoutingArguments::Rule::kSoftmaxThenTop, RoutingArguments::Rule::kTopThenSoftmax,
                          RoutingArguments::Rule::kSigmoidGroups}) {
    for (const double bad : {nan, infinity, -infinity}) {
      Rows scores(DType::kF32, 1, 8);
      for (std::int64_t j = 0; j < 8; ++j) scores.set(0, j, bad);
      const Decision decision(*backend, {rule, 3, true, 1, 4, 2}, scores);
      for (const std::int32_t id : decision.ids) {
        EXPECT_GE(id, 0);
        EXPECT_LT(id, 8);
      }
      EXPECT_NE(decision.ids[0], decision.ids[1]);
    }
  }
}

}  // namespace
}  // namespace layerscope
