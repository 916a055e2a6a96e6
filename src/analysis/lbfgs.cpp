#include "analysis/lbfgs.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "analysis/cholesky.h"

namespace layerscope {
namespace {

constexpr std::size_t kPairs = 8;
constexpr int kMostShortened = 12;    // a step that is still too long then: directions are no good, or rounding rules
constexpr double kDecrease = 1e-4;    // Nocedal and Wright, section 3.1
constexpr double kFlat = 3e-7;        // of the value: beyond float32 products
constexpr double kAtPrecision = 0.1;  // a step shorter than this that cannot be improved is the end

double dot(const std::vector<double>& a, const std::vector<double>& b) {
  return interleaved_dot(a.data(), b.data(), a.size());
}

void add_scaled(std::vector<double>& into, double factor, const std::vector<double>& from) {
  for (std::size_t i = 0; i < into.size(); ++i) into[i] += factor * from[i];
}

double greatest(const std::vector<double>& values) {
  double most = 0;
  for (const double value : values) most = std::max(most, std::abs(value));
  return most;
}

}  // namespace

Lbfgs::Lbfgs(std::vector<double> start, const LbfgsLimits& limits) : limits_(limits), point_(std::move(start)) {}

bool Lbfgs::acceptable(double value, const std::vector<double>& gradient) const noexcept {
  if (!std::isfinite(value)) return false;
  if (value <= value_ + kDecrease * length_ * slope_) return true;
  return value <= value_ + kFlat * std::abs(value_) && std::abs(dot(gradient, direction_)) <= 0.9 * std::abs(slope_);
}

void Lbfgs::finish(bool converged) {
  point_ = x_;
  done_ = true;
  converged_ = converged;
}

void Lbfgs::try_length(double length) {
  length_ = length;
  point_ = x_;
  add_scaled(point_, length, direction_);
}

void Lbfgs::shorten(double value, const Precondition& precondition) {
  if (++shortened_ < kMostShortened) {
    // The least of the parabola through what is known, within bounds.
    const double curve = value - value_ - length_ * slope_;
    const double wish = std::isfinite(curve) && curve > 0 ? -slope_ * length_ * length_ / (2 * curve) : 0;
    return try_length(std::clamp(wish, 0.1 * length_, 0.5 * length_));
  }
  if (pairs_.empty()) return finish(greatest(direction_) <= kAtPrecision);
  pairs_.clear();
  choose_direction(precondition);
}

void Lbfgs::choose_direction(const Precondition& precondition) {
  direction_ = gradient_;
  std::vector<double> shares;
  for (auto pair = pairs_.rbegin(); pair != pairs_.rend(); ++pair) {
    shares.push_back(pair->rho * dot(pair->s, direction_));
    add_scaled(direction_, -shares.back(), pair->y);
  }
  double scale = 1;
  if (!pairs_.empty()) {
    std::vector<double> turned = pairs_.back().y;
    precondition(turned);
    scale = 1 / (pairs_.back().rho * dot(pairs_.back().y, turned));
  }
  precondition(direction_);
  for (double& value : direction_) value *= scale;
  for (const Pair& pair : pairs_) {
    const double share = shares.back() - pair.rho * dot(pair.y, direction_);
    shares.pop_back();
    add_scaled(direction_, share, pair.s);
  }
  for (double& value : direction_) value = -value;
  slope_ = dot(gradient_, direction_);
  shortened_ = 0;
  if (!(slope_ < 0)) {
    const bool still = greatest(gradient_) == 0;
    if (pairs_.empty() || still) return finish(still);
    pairs_.clear();
    return choose_direction(precondition);
  }
  if (greatest(direction_) <= limits_.move || -slope_ / 2 <= limits_.gain) return finish(true);
  try_length(1);
}

void Lbfgs::tell(double value, std::vector<double> gradient, const Precondition& precondition) {
  ++evaluations_;
  if (evaluations_ == 1) {
    x_ = point_;
  } else if (!acceptable(value, gradient)) {
    if (evaluations_ >= limits_.evaluations) return finish(false);
    return shorten(value, precondition);
  } else {
    Pair pair{point_, gradient, 0};
    add_scaled(pair.s, -1, x_);
    add_scaled(pair.y, -1, gradient_);
    const double curvature = dot(pair.s, pair.y);
    if (curvature > 1e-12 * std::sqrt(dot(pair.s, pair.s) * dot(pair.y, pair.y))) {
      pair.rho = 1 / curvature;
      pairs_.push_back(std::move(pair));
      if (pairs_.size() > kPairs) pairs_.pop_front();
    }
    x_ = point_;
    ++steps_;
  }
  value_ = value;
  gradient_ = std::move(gradient);
  choose_direction(precondition);
  if (!done_ && evaluations_ >= limits_.evaluations) finish(false);
}

}  // namespace layerscope
