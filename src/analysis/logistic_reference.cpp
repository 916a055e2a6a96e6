#include <cmath>

#include "analysis/cholesky.h"
#include "analysis/logistic.h"

namespace layerscope {
namespace {

/// Value and gradient; the Hessian [n, n] where one is asked for. Unknowns are [width + 1, columns].
double evaluate(std::span<const double> x, std::span<const std::int32_t> labels, std::size_t columns, double strength,
                const std::vector<double>& w, std::vector<double>& gradient, std::vector<double>* hessian) {
  const std::size_t rows = labels.size(), width = x.size() / rows, n = w.size();
  gradient.assign(n, 0.0);
  if (hessian != nullptr) hessian->assign(n * n, 0.0);
  double value = 0;
  std::vector<double> p(columns), row(width + 1, 1.0);
  for (std::size_t r = 0; r < rows; ++r) {
    for (std::size_t i = 0; i < width; ++i) row[i] = x[r * width + i];
    double most = columns == 1 ? 0 : -1e300;
    for (std::size_t k = 0; k < columns; ++k) {
      p[k] = 0;
      for (std::size_t i = 0; i <= width; ++i) p[k] += row[i] * w[i * columns + k];
      most = std::max(most, p[k]);
    }
    const double zero = columns == 1 ? std::exp(-most) : 0;  // of two classes the first has the score 0
    const auto label = static_cast<std::size_t>(labels[r]);
    const double told = columns > 1 ? p[label] : label == 1 ? p[0] : 0;
    double sum = zero;
    for (double& each : p) sum += each = std::exp(each - most);
    for (double& each : p) each /= sum;
    value += std::log(sum) + most - told;
    for (std::size_t k = 0; k < columns; ++k) {
      const double residual = p[k] - (label == k + (columns == 1 ? 1 : 0) ? 1 : 0);
      for (std::size_t i = 0; i <= width; ++i) {
        gradient[i * columns + k] += residual * row[i];
        for (std::size_t l = 0; l < columns && hessian != nullptr; ++l) {
          const double curve = p[k] * ((k == l ? 1 : 0) - p[l]);
          for (std::size_t j = 0; j <= width; ++j)
            (*hessian)[(i * columns + k) * n + j * columns + l] += curve * row[i] * row[j];
        }
      }
    }
  }
  for (std::size_t i = 0; i < width * columns; ++i) {
    value += w[i] * w[i] / (2 * strength);
    gradient[i] += w[i] / strength;
    if (hessian != nullptr) (*hessian)[i * n + i] += 1 / strength;
  }
  return value;
}

}  // namespace

std::vector<double> fit_logistic_reference(std::span<const double> x, std::span<const std::int32_t> labels,
                                           std::int32_t classes, double strength) {
  const std::size_t columns = classes == 2 ? 1 : static_cast<std::size_t>(classes);
  const std::size_t width = x.size() / labels.size(), n = (width + 1) * columns;
  std::vector<double> w(n), gradient, hessian, next, unused;
  double value = evaluate(x, labels, columns, strength, w, gradient, &hessian);
  for (int iteration = 0; iteration < 100; ++iteration) {
    // Adding one number to all intercepts changes nothing: here their sum stays as it is.
    for (std::size_t k = 0; k < columns && columns > 1; ++k) {
      for (std::size_t l = 0; l < columns; ++l) hessian[(width * columns + k) * n + width * columns + l] += 1;
    }
    if (!cholesky_factorise(hessian, n)) break;
    std::vector<double> step = gradient;
    cholesky_solve(hessian, n, step.data());
    double length = 1, most = 0;
    for (const double each : step) most = std::max(most, std::abs(each));
    const double before = value;
    for (int tries = 0; tries < 40; ++tries, length /= 2) {
      next = w;
      for (std::size_t i = 0; i < n; ++i) next[i] -= length * step[i];
      value = evaluate(x, labels, columns, strength, next, unused, nullptr);
      if (value <= before + 1e-12 * std::abs(before)) break;
    }
    w = next;
    if (most * length < 1e-12) break;
    value = evaluate(x, labels, columns, strength, w, gradient, &hessian);
  }
  return w;
}

}  // namespace layerscope
