// Ridge regression from moments against scikit-learn.
#include "analysis/ridge.h"

#include <cmath>
#include <numeric>

#include <gtest/gtest.h>

#include "probe_cases.h"

namespace layerscope {
namespace {

TEST(Ridge, EqualsScikitLearn) {
  const auto backend = std::move(make_cpu_backend({}).value());
  std::vector<ProbeCase> cases = probe_cases();
  const ProbeCase& one = cases.back();
  ASSERT_EQ(one.name, "diabetes");
  const VectorBlock block = one.block();
  const VectorSet set{std::span(&block, 1), one.width};
  std::vector<std::uint8_t> parts;
  for (std::size_t row = 0; row < one.rows(); ++row) parts.push_back(static_cast<std::uint8_t>(row % 5));
  std::vector<std::int64_t> rows(one.rows());
  std::iota(rows.begin(), rows.end(), 0);
  ProbeRows plain(*backend, set, rows);
  RowSums total(static_cast<std::size_t>(one.width));
  const auto sums = sum_parts(plain, parts, 5, 1);
  for (const RowSums& part : *sums) total.add(part);
  const Standard standard = total.standard();
  plain.set_standard(standard);
  const std::span<const double> target = one.targets;
  const auto found = ridge_moments(*backend, set, standard, rows, parts, 5, std::span(&target, 1), 2);
  ASSERT_TRUE(found);
  const auto but = [&](std::size_t left_out) {
    RidgeMoments sum(found->front().columns, 1);
    for (std::size_t part = 0; part < 5; ++part) {
      if (part != left_out) sum.add((*found)[part]);
    }
    return sum;
  };
  std::vector<float> x(one.rows() * static_cast<std::size_t>(plain.columns()));
  plain.fill(0, x.data());
  const auto columns = static_cast<std::size_t>(plain.columns());
  const auto says = [&](const std::vector<double>& weights, std::size_t row) {
    double sum = 0;
    for (std::size_t i = 0; i < columns; ++i) sum += weights[i] * static_cast<double>(x[row * columns + i]);
    return sum;
  };
  for (const ProbeCase::Fit& fit : one.fits) {
    SCOPED_TRACE("alpha = " + std::to_string(1 / fit.strength));
    const RidgeMoments all = but(5);
    const std::vector<double> weights = solve_ridge(all, 0, 1 / fit.strength);
    for (std::size_t i = 0; i < columns; ++i)
      EXPECT_NEAR(weights[i], fit.weights[i], 1e-4 * std::max(1.0, std::abs(fit.weights[i])));
    double error = 0;
    for (std::size_t row = 0; row < one.rows(); ++row) {
      error += std::pow(one.targets[row] - says(weights, row), 2);
      EXPECT_NEAR(says(solve_ridge(but(row % 5), 0, 1 / fit.strength), row), fit.predicted[row], 2e-3);
    }
    EXPECT_NEAR(ridge_error(all, 0, weights), error, 1e-5 * error);
  }
}

TEST(Ridge, ConstantElementsAndFewRows) {
  RidgeMoments moments(3, 1);  // two rows: x = (1, 5), (3, 5); y = 2, 6
  moments.xx = {10, 20, 4, 20, 50, 10, 4, 10, 2};
  moments.xy[0] = {20, 40, 8};
  moments.yy[0] = 40;
  const std::vector<double> weights = solve_ridge(moments, 0, 1e-9);
  EXPECT_NEAR(weights[0], 2, 1e-6);
  EXPECT_EQ(weights[1], 0);
  EXPECT_NEAR(weights[2], 0, 1e-6);
  EXPECT_NEAR(ridge_error(moments, 0, weights), 0, 1e-6);
}

}  // namespace
}  // namespace layerscope
