#include "analysis/cholesky.h"

#include <cmath>

namespace layerscope {

double interleaved_dot(const double* a, const double* b, std::size_t count) noexcept {
  // Chains of additions that need not wait for each other, in an order that stays fixed.
  constexpr std::size_t kLanes = 16;
  double sum[kLanes] = {};
  std::size_t k = 0;
  for (; k + kLanes <= count; k += kLanes) {
    for (std::size_t lane = 0; lane < kLanes; ++lane) sum[lane] += a[k + lane] * b[k + lane];
  }
  for (std::size_t lane = 0; k < count; ++k, ++lane) sum[lane] += a[k] * b[k];
  for (std::size_t half = kLanes / 2; half > 0; half /= 2) {
    for (std::size_t lane = 0; lane < half; ++lane) sum[lane] += sum[lane + half];
  }
  return sum[0];
}

bool cholesky_factorise(std::vector<double>& a, std::size_t size) noexcept {
  for (std::size_t row = 0; row < size; ++row) {
    double* const line = a.data() + row * size;
    for (std::size_t column = 0; column <= row; ++column) {
      const double* const other = a.data() + column * size;
      const double rest = line[column] - interleaved_dot(line, other, column);
      if (column < row) {
        line[column] = rest / other[column];
      } else if (rest > 0) {
        line[row] = std::sqrt(rest);
      } else {
        return false;
      }
    }
  }
  return true;
}

void cholesky_solve(const std::vector<double>& lower, std::size_t size, double* b, std::size_t columns) noexcept {
  const double* const l = lower.data();
  const auto subtract = [&](std::size_t into, std::size_t from, double factor) {
    double* const target = b + into * columns;
    const double* const source = b + from * columns;
    for (std::size_t k = 0; k < columns; ++k) target[k] -= factor * source[k];
  };
  const auto divide = [&](std::size_t row) {
    for (std::size_t k = 0; k < columns; ++k) b[row * columns + k] /= l[row * size + row];
  };
  for (std::size_t row = 0; row < size; ++row) {
    for (std::size_t k = 0; k < row; ++k) subtract(row, k, l[row * size + k]);
    divide(row);
  }
  for (std::size_t row = size; row-- > 0;) {
    divide(row);
    for (std::size_t k = 0; k < row; ++k) subtract(k, row, l[row * size + k]);
  }
}

void cholesky_solve(const std::vector<double>& lower, std::size_t size, double* b) noexcept {
  const double* const l = lower.data();
  for (std::size_t row = 0; row < size; ++row)
    b[row] = (b[row] - interleaved_dot(l + row * size, b, row)) / l[row * size + row];
  for (std::size_t row = size; row-- > 0;) {
    const double* const line = l + row * size;
    const double value = b[row] / line[row];
    b[row] = value;
    for (std::size_t k = 0; k < row; ++k) b[k] -= value * line[k];
  }
}

}  // namespace layerscope
