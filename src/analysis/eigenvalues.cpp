#include "analysis/eigenvalues.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace layerscope {
namespace {

constexpr double kEpsilon = std::numeric_limits<double>::epsilon();

double dot(const double* a, const double* b, std::size_t count) {
  constexpr std::size_t kChains = 8;  // additions that need not wait for each other
  double sums[kChains] = {};
  std::size_t k = 0;
  for (; k + kChains <= count; k += kChains) {
    for (std::size_t chain = 0; chain < kChains; ++chain) sums[chain] += a[k + chain] * b[k + chain];
  }
  for (std::size_t chain = 0; k < count; ++k, ++chain) sums[chain] += a[k] * b[k];
  return ((sums[0] + sums[1]) + (sums[2] + sums[3])) + ((sums[4] + sums[5]) + (sums[6] + sums[7]));
}

struct Tridiagonal {
  std::vector<double> diagonal;
  std::vector<double> beside;  ///< beside[k] stands between k - 1 and k; beside[0] is 0
};

/// Reduces from the last row up: reflecting away row `k` left of its neighbour touches only what lies above.
Tridiagonal reduce(std::vector<double>& matrix, std::size_t size) {
  Tridiagonal out{std::vector<double>(size), std::vector<double>(size)};
  std::vector<double> product(size);
  for (std::size_t k = size; k-- > 0;) {
    double* const row = matrix.data() + k * size;  // row[0 ... k - 1] becomes the reflection's vector u
    out.diagonal[k] = row[k];
    if (k == 0) break;
    double scale = 0;
    for (std::size_t i = 0; i < k; ++i) scale = std::max(scale, std::abs(row[i]));
    if (k == 1 || scale == 0) {
      out.beside[k] = row[k - 1];
      continue;
    }
    double squares = 0;
    for (std::size_t i = 0; i < k; ++i) {
      row[i] /= scale;
      squares += row[i] * row[i];
    }
    const double length = row[k - 1] > 0 ? -std::sqrt(squares) : std::sqrt(squares);
    out.beside[k] = scale * length;
    const double half = squares - row[k - 1] * length;  // u.u / 2
    row[k - 1] -= length;
    // A <- A - u q' - q u' with p = A u / half, q = p - (u.p / (2 half)) u
    std::fill_n(product.begin(), k, 0.0);
    for (std::size_t i = 0; i < k; ++i) {
      const double* const line = matrix.data() + i * size;
      product[i] += line[i] * row[i] + dot(line, row, i);
      for (std::size_t j = 0; j < i; ++j) product[j] += line[j] * row[i];
    }
    double along = 0;
    for (std::size_t i = 0; i < k; ++i) {
      product[i] /= half;
      along += row[i] * product[i];
    }
    along /= 2 * half;
    for (std::size_t i = 0; i < k; ++i) product[i] -= along * row[i];
    for (std::size_t i = 0; i < k; ++i) {
      double* const line = matrix.data() + i * size;
      for (std::size_t j = 0; j <= i; ++j) line[j] -= row[i] * product[j] + product[i] * row[j];
    }
  }
  return out;
}

/// How many eigenvalues lie below `x`: the negative pivots of T - x.
std::size_t below(const Tridiagonal& t, const std::vector<double>& squares, double x, double least) {
  std::size_t count = 0;
  double pivot = 1;
  for (std::size_t k = 0; k < t.diagonal.size(); ++k) {
    pivot = t.diagonal[k] - x - (k == 0 ? 0 : squares[k] / pivot);
    if (std::abs(pivot) < least) pivot = -least;
    count += pivot < 0 ? 1 : 0;
  }
  return count;
}

}  // namespace

std::vector<double> symmetric_eigenvalues(std::vector<double> matrix, std::int64_t size) {
  const auto count = static_cast<std::size_t>(size);
  const Tridiagonal t = reduce(matrix, count);
  std::vector<double> squares(count);
  double low = std::numeric_limits<double>::infinity(), high = -low;
  for (std::size_t k = 0; k < count; ++k) {  // Gershgorin's circles hold all eigenvalues
    squares[k] = t.beside[k] * t.beside[k];
    const double reach = std::abs(t.beside[k]) + (k + 1 < count ? std::abs(t.beside[k + 1]) : 0);
    low = std::min(low, t.diagonal[k] - reach);
    high = std::max(high, t.diagonal[k] + reach);
  }
  const double norm = std::max(std::abs(low), std::abs(high));
  const double least = std::max(kEpsilon * kEpsilon * norm, std::numeric_limits<double>::min());
  std::vector<double> values(count);
  double from = low;
  for (std::size_t k = 0; k < count; ++k) {
    double left = from, right = high;
    while (right - left > kEpsilon * norm) {
      const double middle = left + (right - left) / 2;
      if (middle <= left || middle >= right) break;
      (below(t, squares, middle, least) > k ? right : left) = middle;
    }
    values[k] = left + (right - left) / 2;
    from = left;
  }
  return values;
}

double effective_rank(const std::vector<double>& squares) {
  const double largest = squares.empty() ? 0 : *std::max_element(squares.begin(), squares.end());
  const double least = largest * kEpsilon * static_cast<double>(squares.size());
  double sum = 0;
  for (const double square : squares) sum += square > least ? std::sqrt(square) : 0;
  if (!(sum > 0)) return std::numeric_limits<double>::quiet_NaN();
  double entropy = 0;
  for (const double square : squares) {
    if (!(square > least)) continue;
    const double share = std::sqrt(square) / sum;
    entropy -= share * std::log(share);
  }
  return std::exp(entropy);
}

}  // namespace layerscope
