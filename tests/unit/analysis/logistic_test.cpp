// Logistic regression against scikit-learn and against plain Newton steps, and what must hold beyond it.
#include "analysis/logistic.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include <gtest/gtest.h>

#include "analysis/random.h"
#include "probe_cases.h"

namespace layerscope {
namespace {

/// Everything that a fit needs, in one place.
struct Setting {
  std::unique_ptr<Backend> backend = std::move(make_cpu_backend({}).value());
  VectorBlock block;
  VectorSet set;
  std::vector<std::uint8_t> parts;
  std::unique_ptr<ProbeRows> rows;
  std::vector<RowSums> sums;

  Setting(const VectorBlock& vectors, std::vector<std::uint8_t> part_of_rows, std::size_t count)
      : block(vectors), set{std::span(&block, 1), vectors.values.width}, parts(std::move(part_of_rows)) {
    std::vector<std::int64_t> all(parts.size());
    std::iota(all.begin(), all.end(), 0);
    rows = std::make_unique<ProbeRows>(*backend, set, all);
    sums = sum_parts(*rows, parts, count, 1).value();
  }
  /// From now on the rows are standardised, each part's sums with them.
  void standardise() {
    RowSums total(static_cast<std::size_t>(rows->width()));
    for (const RowSums& part : sums) total.add(part);
    rows->set_standard(total.standard());
    sums = sum_parts(*rows, parts, sums.size(), 1).value();
  }
};

std::vector<std::uint8_t> five_parts(std::size_t rows) {
  std::vector<std::uint8_t> parts;
  for (std::size_t row = 0; row < rows; ++row) parts.push_back(static_cast<std::uint8_t>(row % 5));
  return parts;
}

double furthest(const std::vector<double>& a, const std::vector<double>& b) {
  double most = 0;
  for (std::size_t i = 0; i < a.size(); ++i) most = std::max(most, std::abs(a[i] - b[i]));
  return a.size() == b.size() ? most : 1e300;
}

TEST(Logistic, EqualsScikitLearn) {
  for (const ProbeCase& one : probe_cases()) {
    if (one.name == "diabetes") continue;
    Setting setting(one.block(), five_parts(one.rows()), 5);
    setting.standardise();
    for (const ProbeCase::Fit& fit : one.fits) {
      SCOPED_TRACE(one.name + ", C = " + std::to_string(fit.strength));
      std::vector<LogisticModel> models{
          logistic_model(*setting.rows, setting.parts, setting.sums, 31, one.labels, one.classes, fit.strength)};
      for (unsigned fold = 0; fold < 5; ++fold)
        models.push_back(logistic_model(*setting.rows, setting.parts, setting.sums, 31U ^ (1U << fold), one.labels,
                                        one.classes, fit.strength));
      ASSERT_TRUE(fit_logistic(*setting.rows, setting.parts, models, {}));
      EXPECT_TRUE(models[0].converged);
      EXPECT_LT(furthest(models[0].weights, fit.weights), 1e-4);
      std::vector<std::int32_t> predicted(one.rows(), -1);
      const std::vector<std::int32_t*> to(5, predicted.data());
      const std::vector<std::uint64_t> held{1, 2, 4, 8, 16};
      ASSERT_TRUE(score_logistic(*setting.rows, setting.parts, std::span(models).subspan(1), held, to, 1));
      std::size_t other = 0;
      for (std::size_t row = 0; row < one.rows(); ++row)
        other += predicted[row] != static_cast<std::int32_t>(fit.predicted[row]) ? 1 : 0;
      EXPECT_LE(other, 0U);
    }
  }
}

/// Rows around centres that overlap, far from 0, elements of unlike size.
struct Cloud {
  std::vector<float> points;
  std::vector<std::int32_t> labels;
  std::int64_t width;
  Cloud(std::size_t rows, std::int64_t wide, std::int32_t classes, std::uint64_t seed) : width(wide) {
    SplitMix64 random(seed);
    std::vector<double> centres(static_cast<std::size_t>(classes * wide));
    for (double& value : centres) value = random.unit();
    for (std::size_t row = 0; row < rows; ++row) {
      labels.push_back(static_cast<std::int32_t>(random.below(static_cast<std::uint64_t>(classes))));
      for (std::int64_t i = 0; i < wide; ++i) {
        const double value = centres[static_cast<std::size_t>(labels.back() * wide + i)] + 2 * random.unit();
        points.push_back(static_cast<float>((value + 7) * static_cast<double>(i + 1)));
      }
    }
  }
  [[nodiscard]] VectorBlock block() const {
    return {.values = {DType::kF32, reinterpret_cast<const std::byte*>(points.data()),
                       static_cast<std::int64_t>(labels.size()), width, width},
            .numbers = {}};
  }
};

TEST(Logistic, EqualsItsReference) {
  for (const std::int32_t classes : {2, 4}) {
    const Cloud cloud(1500, 6, classes, 5);
    Setting setting(cloud.block(), five_parts(1500), 5);
    setting.standardise();
    std::vector<double> x;
    const Standard standard = setting.rows->standard();
    for (std::size_t i = 0; i < cloud.points.size(); ++i)
      x.push_back((static_cast<double>(cloud.points[i]) - standard.mean[i % 6]) / standard.scale[i % 6]);
    for (const double strength : {0.01, 1.0, 100.0}) {
      std::vector<LogisticModel> models{
          logistic_model(*setting.rows, setting.parts, setting.sums, 31, cloud.labels, classes, strength)};
      ASSERT_TRUE(fit_logistic(*setting.rows, setting.parts, models, {}));
      EXPECT_LT(furthest(models[0].weights, fit_logistic_reference(x, cloud.labels, classes, strength)), 2e-5);
    }
  }
}

TEST(Logistic, ThreadsAndCompanyChangeNothing) {
  const Cloud cloud(9000, 7, 5, 6);
  Setting setting(cloud.block(), five_parts(9000), 5);
  setting.standardise();
  std::vector<std::vector<double>> found;
  for (const int threads : {1, 3, 8}) {
    std::vector<LogisticModel> models;
    for (unsigned fold = 0; fold < 5; ++fold)
      models.push_back(
          logistic_model(*setting.rows, setting.parts, setting.sums, 31U ^ (1U << fold), cloud.labels, 5, 1));
    ASSERT_TRUE(fit_logistic(*setting.rows, setting.parts, models, {.limits = {}, .threads = threads}));
    found.push_back(models[3].weights);
  }
  EXPECT_EQ(found[0], found[1]);
  EXPECT_EQ(found[0], found[2]);
}

TEST(Logistic, AClassWithoutRowsIsNeverPredictedAndHasAPrice) {
  Cloud cloud(300, 4, 3, 7);
  std::vector<std::uint8_t> parts;
  for (std::int32_t& label : cloud.labels) {
    parts.push_back(label == 2 ? 1 : 0);  // the third class is in the part that is held out, alone
  }
  Setting setting(cloud.block(), parts, 2);
  setting.standardise();
  std::vector<LogisticModel> models{logistic_model(*setting.rows, parts, setting.sums, 1, cloud.labels, 3, 1)};
  ASSERT_TRUE(fit_logistic(*setting.rows, parts, models, {}));
  EXPECT_TRUE(models[0].converged);
  std::vector<std::int32_t> predicted(300, -1);
  std::int32_t* const to = predicted.data();
  const std::uint64_t held = 2;
  const auto scores = score_logistic(*setting.rows, parts, models, std::span(&held, 1), std::span(&to, 1), 1);
  ASSERT_TRUE(scores);
  const double rows = models[0].rows;
  EXPECT_NEAR(scores->log_likelihood[0], (300 - rows) * std::log(1 / (1 + rows) / 3), 1e-6 * rows);
  EXPECT_EQ(std::count(predicted.begin(), predicted.end(), 2), 0);
}

}  // namespace
}  // namespace layerscope
