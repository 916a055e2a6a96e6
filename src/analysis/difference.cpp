#include "analysis/difference.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>

#include "base/half.h"

namespace layerscope {
namespace {

// Floats by size: neighbours in value are neighbours in number, across zero too.
template <class Unsigned>
std::int64_t ordinal(Unsigned bits) noexcept {
  constexpr auto kSign = static_cast<Unsigned>(Unsigned{1} << (sizeof(Unsigned) * 8 - 1));
  const auto size = static_cast<std::int64_t>(bits & static_cast<Unsigned>(~kSign));
  return (bits & kSign) != 0 ? -size : size;
}

std::int64_t ordinal_in(double value, DType grid) noexcept {
  const auto single = static_cast<float>(value);
  if (grid == DType::kF16) return ordinal(float_to_f16(single));
  if (grid == DType::kBF16) return ordinal(float_to_bf16(single));
  return ordinal(std::bit_cast<std::uint32_t>(single));
}

double ratio(double difference, double size) noexcept {
  if (difference == 0) return 0;
  return size == 0 ? std::numeric_limits<double>::infinity() : std::sqrt(difference / size);
}

// 0 and 1 have places of their own, then [2^k, 2^(k+1)) has k + 1.
std::size_t place_of(std::uint64_t ulps) noexcept { return static_cast<std::size_t>(std::bit_width(ulps)); }

}  // namespace

double relative_error(std::span<const double> a, std::span<const double> b) noexcept {
  double difference = 0, size = 0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    difference += (a[i] - b[i]) * (a[i] - b[i]);
    size += b[i] * b[i];
  }
  return ratio(difference, size);
}

std::uint64_t ulps_between(double a, double b, DType grid) noexcept {
  const std::int64_t distance = ordinal_in(a, grid) - ordinal_in(b, grid);
  return static_cast<std::uint64_t>(distance < 0 ? -distance : distance);
}

double DifferenceSum::add(std::span<const double> a, std::span<const double> b) {
  double difference = 0, size = 0, largest = -1;
  std::int64_t dimension = -1;
  for (std::size_t i = 0; i < a.size(); ++i) {
    const double delta = std::abs(a[i] - b[i]);
    difference += delta * delta;
    size += b[i] * b[i];
    a_ += a[i] * a[i];
    dot_ += a[i] * b[i];
    absolute_ += delta;
    if (delta > largest || std::isnan(delta)) {
      largest = delta;
      dimension = static_cast<std::int64_t>(i);
    }
    const std::uint64_t ulps = ulps_between(a[i], b[i], grid_);
    ++ulps_[place_of(ulps)];
    so_far_.max_ulps = std::max(so_far_.max_ulps, ulps);
  }
  difference_ += difference;
  b_ += size;
  double relative = ratio(difference, size);
  if (std::isnan(relative)) relative = std::numeric_limits<double>::infinity();
  so_far_.max_abs = std::max(so_far_.max_abs, std::isnan(largest) ? std::numeric_limits<double>::infinity() : largest);
  if (relative > so_far_.worst_token_rel) {
    so_far_.worst_token_rel = relative;
    so_far_.worst_token = so_far_.tokens;
    so_far_.worst_dimension = dimension;
  }
  ++so_far_.tokens;
  so_far_.elements += static_cast<std::int64_t>(a.size());
  return relative;
}

Difference DifferenceSum::result() const {
  Difference all = so_far_;
  if (all.elements == 0) return all;
  all.rel_l2 = ratio(difference_, b_);
  if (std::isnan(all.rel_l2)) all.rel_l2 = std::numeric_limits<double>::infinity();
  all.mean_abs = absolute_ / static_cast<double>(all.elements);
  if (a_ > 0 && b_ > 0) {
    all.cosine = std::clamp(dot_ / std::sqrt(a_ * b_), -1.0, 1.0);
  } else {
    all.cosine = a_ == b_ ? 1 : 0;
  }
  std::int64_t below = 0;
  for (std::size_t place = 0; place < ulps_.size(); ++place) {
    below += ulps_[place];
    if (2 * below < all.elements) continue;
    all.median_ulps = place == 0 ? 0 : std::ldexp(1.0, static_cast<int>(place) - 1);
    break;
  }
  return all;
}

}  // namespace layerscope
