#include "diff/scalar_fit.h"

#include <cmath>
#include <limits>

namespace layerscope {
namespace {

constexpr int kMostSteps = 8;
constexpr double kPromising = 0.7;  // of the error without a change: below it a value is refined

struct Trial {
  double value = 0, error = std::numeric_limits<double>::infinity();
  std::vector<double> output;
};

Trial trial(const BlockLab& lab, const BlockSetup& base, const ScalarVariant& scalar, double value) {
  BlockSetup setup = base;
  scalar.apply(setup, value);
  Trial result{.value = value};
  auto output = lab.run(setup);
  if (!output) return result;
  result.error = lab.distance(*output);
  result.output = std::move(*output);
  return result;
}

// The step that makes the weighted residuals of a linear model least.
double step_to(const BlockLab& lab, const Trial& here, const Trial& aside) {
  const std::vector<double>& expected = lab.expected();
  const auto width = static_cast<std::size_t>(lab.output_width());
  double up = 0, down = 0;
  for (std::size_t at = 0; at < expected.size(); at += width) {
    double size = 0, along = 0, slope = 0;
    for (std::size_t j = at; j < at + width; ++j) {
      const double change = aside.output[j] - here.output[j];
      size += expected[j] * expected[j];
      along += change * (expected[j] - here.output[j]);
      slope += change * change;
    }
    if (size == 0) continue;
    up += along / size;
    down += slope / size;
  }
  return down > 0 ? up / down * (aside.value - here.value) : 0;
}

}  // namespace

ScalarFit fit_scalar(const BlockLab& lab, const BlockSetup& base, const ScalarVariant& scalar, double before) {
  Trial best{.value = scalar.ours, .error = before};
  for (const double value : scalar.tried) {
    const bool ours = std::isfinite(scalar.ours) && std::abs(value - scalar.ours) <= 1e-6 * std::abs(scalar.ours);
    if (ours || !std::isfinite(value)) continue;
    Trial tried = trial(lab, base, scalar, value);
    if (tried.error < best.error) best = std::move(tried);
  }
  if (!scalar.refine || best.error > kPromising * before) return {best.value, best.error};
  for (int i = 0; i < kMostSteps && best.error > lab.noise(); ++i) {
    const double aside = best.value == 0 ? 1e-9 : best.value * (1 + 1e-3);
    const Trial beside = trial(lab, base, scalar, aside);
    if (beside.output.empty() || best.output.empty()) break;
    const double step = step_to(lab, best, beside);
    bool nearer = false;
    for (double share = 1; share > 0.1 && !nearer; share /= 2) {
      Trial next = trial(lab, base, scalar, best.value + share * step);
      nearer = next.error < best.error * 0.99;
      if (nearer) best = std::move(next);
    }
    if (!nearer) break;
  }
  return {best.value, best.error};
}

}  // namespace layerscope
