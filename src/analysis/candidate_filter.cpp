#include "analysis/candidate_filter.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>
#include <limits>

namespace layerscope {
namespace {

constexpr double kUnit = 0x1p-24;
constexpr double kLeastNorm = 0x1p-30, kMostNorm = 0x1p30;
constexpr float kInfinity = std::numeric_limits<float>::infinity();

float float_below(double value) noexcept { return std::nextafter(static_cast<float>(value), -kInfinity); }

bool trusted(double norm) noexcept { return norm >= kLeastNorm && norm <= kMostNorm; }

}  // namespace

float sum_of_products(std::span<const float> a, std::span<const float> b) noexcept {
  // Four accumulators of four lanes, by the compiler's own vectors: arrays of lanes would live in memory.
  using Lanes [[gnu::vector_size(16)]] = float;
  constexpr std::size_t kLanes = 4;
  std::array<Lanes, 4> sums{};
  const auto load = [](const float* from) {
    Lanes lanes;
    std::memcpy(&lanes, from, sizeof(lanes));
    return lanes;
  };
  const float *x = a.data(), *y = b.data();
  const std::size_t width = a.size();
  std::size_t i = 0;
  for (; i + kLanes * sums.size() <= width; i += kLanes * sums.size()) {
    sums[0] += load(x + i) * load(y + i);
    sums[1] += load(x + i + kLanes) * load(y + i + kLanes);
    sums[2] += load(x + i + 2 * kLanes) * load(y + i + 2 * kLanes);
    sums[3] += load(x + i + 3 * kLanes) * load(y + i + 3 * kLanes);
  }
  const Lanes sum = (sums[0] + sums[1]) + (sums[2] + sums[3]);
  float total = (sum[0] + sum[1]) + (sum[2] + sum[3]);
  for (; i < width; ++i) total += x[i] * y[i];
  return total;
}

CandidateFilter::CandidateFilter(Metric metric, std::size_t width) noexcept
    : metric_(metric), slack_(2 * (static_cast<double>(width) + 16) * kUnit) {
  // So wide that the bound says nothing any more: every row is a candidate.
  if (slack_ > 0.25) slack_ = std::numeric_limits<double>::infinity();
}

double CandidateFilter::add_query(double norm) {
  norms_.push_back(trusted(norm) ? norm : 0);
  thresholds_.push_back(-kInfinity);
  factors_.push_back(metric_ == Metric::kEuclidean && trusted(norm) ? static_cast<float>(0.5 / norm) : 0);
  return trusted(norm) ? 1 / norm : 0;
}

void CandidateFilter::fill_group() {
  thresholds_.resize((thresholds_.size() + kGroup - 1) / kGroup * kGroup, kInfinity);
  factors_.resize(thresholds_.size(), 0);
}

void CandidateFilter::raise(std::size_t query, double score) noexcept {
  const double norm = norms_[query];
  if (norm == 0) return;
  double threshold = score;
  if (metric_ == Metric::kDot) threshold = score / norm;
  if (metric_ == Metric::kEuclidean) {
    // |q - c|^2 <= s^2 is q.c / |q| >= (|q|^2 - s^2) / 2|q| + |c|^2 / 2|q|; the first term may cancel.
    const double ours = norm * norm, theirs = score * score;
    threshold = (ours - theirs - 8 * kUnit * (ours + theirs)) / (2 * norm);
  }
  thresholds_[query] = std::max(thresholds_[query], float_below(threshold));
}

RowTerms CandidateFilter::row_terms(std::span<const float> row, float rough_squares) const noexcept {
  RowTerms terms;
  double squares = static_cast<double>(rough_squares);
  double norm = std::sqrt(squares);
  if (!trusted(norm)) {
    squares = dot_product(row, row);
    norm = std::sqrt(squares);
    terms.finite = std::isfinite(squares);
    if (norm == 0) return terms;  // every product is 0
  }
  terms.margin = trusted(norm) ? float_below(-slack_ * norm) : -kInfinity;
  if (metric_ == Metric::kCosine) terms.scale = static_cast<float>(norm);
  if (metric_ == Metric::kEuclidean && trusted(norm)) terms.squares = float_below(squares * (1 - 2 * slack_));
  return terms;
}

std::uint32_t CandidateFilter::candidates(const float* products, std::size_t first,
                                          const RowTerms& row) const noexcept {
  const float* const thresholds = thresholds_.data() + first;
  const float* const factors = factors_.data() + first;
  // Whatever is no number is no reason to rule out.
  const auto ruled_out = [&](std::size_t i) {
    return products[i] < thresholds[i] * row.scale + factors[i] * row.squares + row.margin;
  };
  std::int32_t all = 1;
  for (std::size_t i = 0; i < kGroup; ++i) all &= ruled_out(i) ? 1 : 0;
  if (all != 0) return 0;
  std::uint32_t bits = 0;
  for (std::size_t i = 0; i < kGroup; ++i) bits |= (ruled_out(i) ? 0U : 1U) << i;
  return bits;
}

}  // namespace layerscope
