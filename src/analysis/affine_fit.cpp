#include "analysis/affine_fit.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <functional>

#include "analysis/cholesky.h"

namespace layerscope {
namespace {

constexpr std::size_t kTogether = 4;  // pairs that share one pass over the sums

// One pair after the other, as if each had come alone.
void add_scaled(double* into, const std::array<double, kTogether>& factors,
                const std::array<std::vector<double>, kTogether>& from, std::size_t count) {
  const double* const a = from[0].data();
  const double* const b = from[1].data();
  const double* const c = from[2].data();
  const double* const d = from[3].data();
  for (std::size_t k = 0; k < count; ++k)
    into[k] = (((into[k] + factors[0] * a[k]) + factors[1] * b[k]) + factors[2] * c[k]) + factors[3] * d[k];
}

}  // namespace

ResidualMoments::ResidualMoments(std::int64_t width) : width_(width) {
  const auto size = static_cast<std::size_t>(width);
  x_.resize(size);
  r_.resize(size);
  xx_.resize(size * size);
  xr_.resize(size * size);
}

std::uint64_t ResidualMoments::bytes(std::int64_t width) noexcept {
  return 2 * sizeof(double) * static_cast<std::uint64_t>(width) * static_cast<std::uint64_t>(width);
}

void ResidualMoments::add(std::span<const WeightedPair> pairs) {
  const auto size = static_cast<std::size_t>(width_);
  std::array<std::vector<double>, kTogether> inputs, scaled, residuals;
  for (auto* const set : {&inputs, &scaled, &residuals}) set->fill(std::vector<double>(size));
  for (std::size_t first = 0; first < pairs.size(); first += kTogether) {
    const std::size_t count = std::min(kTogether, pairs.size() - first);
    for (std::size_t k = 0; k < kTogether; ++k) {
      if (k >= count) {
        for (auto* const set : {&inputs, &scaled, &residuals}) std::fill((*set)[k].begin(), (*set)[k].end(), 0.0);
        continue;
      }
      const WeightedPair& pair = pairs[first + k];
      for (std::size_t at = 0; at < size; ++at) {
        const double x = pair.x[at];
        const double residual = double{pair.target[at]} - x;
        inputs[k][at] = x;
        scaled[k][at] = pair.weight * x;
        residuals[k][at] = residual;
        x_[at] += pair.weight * x;
        r_[at] += pair.weight * residual;
        rr_ += pair.weight * residual * residual;
      }
      weight_ += pair.weight;
    }
    for (std::size_t row = 0; row < size; ++row) {
      const std::array factors{scaled[0][row], scaled[1][row], scaled[2][row], scaled[3][row]};
      add_scaled(xx_.data() + row * size, factors, inputs, row + 1);
      add_scaled(xr_.data() + row * size, factors, residuals, size);
    }
  }
  pairs_ += static_cast<std::int64_t>(pairs.size());
}

void ResidualMoments::add(const ResidualMoments& other) {
  const auto sum = [](std::vector<double>& into, const std::vector<double>& from) {
    std::transform(into.begin(), into.end(), from.begin(), into.begin(), std::plus<>());
  };
  sum(x_, other.x_);
  sum(r_, other.r_);
  sum(xx_, other.xx_);
  sum(xr_, other.xr_);
  rr_ += other.rr_;
  weight_ += other.weight_;
  pairs_ += other.pairs_;
}

std::optional<ResidualMap> ResidualFit::solve(const ResidualMoments& moments, double ridge) {
  const auto size = static_cast<std::size_t>(moments.width_);
  if (moments.pairs_ == 0) return std::nullopt;
  std::vector<double> covariance = moments.xx_;
  std::vector<double> turned = moments.xr_;  // becomes D'
  double trace = 0;
  for (std::size_t row = 0; row < size; ++row) {
    const double mean = moments.x_[row] / moments.weight_;
    for (std::size_t k = 0; k <= row; ++k) covariance[row * size + k] -= mean * moments.x_[k];
    for (std::size_t k = 0; k < size; ++k) turned[row * size + k] -= mean * moments.r_[k];
    trace += covariance[row * size + row];
  }
  const double added = ridge * trace / static_cast<double>(size);
  for (std::size_t row = 0; row < size; ++row) covariance[row * size + row] += added;
  if (cholesky_factorise(covariance, size)) {
    cholesky_solve(covariance, size, turned.data(), size);
  } else {
    std::fill(turned.begin(), turned.end(), 0.0);  // inputs without any spread: a shift is all there is to learn
  }
  ResidualMap map{std::vector<float>(size * size), std::vector<float>(size)};
  for (std::size_t out = 0; out < size; ++out) {
    double shift = moments.r_[out];
    for (std::size_t in = 0; in < size; ++in) {
      map.turn[out * size + in] = static_cast<float>(turned[in * size + out]);
      shift -= turned[in * size + out] * moments.x_[in];
    }
    map.shift[out] = static_cast<float>(shift / moments.weight_);
  }
  return map;
}

// sum w |r - Dx - c|^2 = rr - 2 tr(D xr) + tr(D xx D') - 2 c.r + 2 c.(D x) + weight c.c
double ResidualFit::error(const ResidualMoments& moments, const ResidualMap* map) {
  const auto size = static_cast<std::size_t>(moments.width_);
  double sum = moments.rr_;
  std::vector<double> turn(size);
  std::vector<double> xx(size);  // xx D' of one output
  for (std::size_t out = 0; out < size && map != nullptr; ++out) {
    const double shift = map->shift[out];
    std::copy_n(map->turn.begin() + static_cast<std::ptrdiff_t>(out * size), size, turn.begin());
    std::fill(xx.begin(), xx.end(), 0.0);
    for (std::size_t row = 0; row < size; ++row) {
      const double* const line = moments.xx_.data() + row * size;
      xx[row] += interleaved_dot(line, turn.data(), row + 1);
      for (std::size_t k = 0; k < row; ++k) xx[k] += line[k] * turn[row];
      sum -= 2 * turn[row] * moments.xr_[row * size + out];
    }
    sum += interleaved_dot(turn.data(), xx.data(), size) +
           2 * shift * interleaved_dot(turn.data(), moments.x_.data(), size);
    sum += shift * (moments.weight_ * shift - 2 * moments.r_[out]);
  }
  return moments.pairs_ > 0 ? std::max(0.0, sum) / static_cast<double>(moments.pairs_) : 0;
}

}  // namespace layerscope
