#include "analysis/alignment.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "analysis/cross_products.h"
#include "analysis/eigenvalues.h"
#include "base/numbers.h"
#include "base/parallel.h"
#include "base/try.h"

namespace layerscope {
namespace {

constexpr std::int64_t kWaiting = 2048;      // vectors gathered before the products are made
constexpr std::int64_t kTogether = 128;      // vectors widened to float64 at a time
constexpr std::int64_t kShiftVectors = 256;  // whose mean is the shift
constexpr double kNothing = std::numeric_limits<double>::quiet_NaN();

double squared_length(const std::vector<double>& values) {
  double sum = 0;
  for (const double value : values) sum += value * value;
  return sum;
}

double inner(const std::vector<double>& a, const std::vector<double>& b) {
  double sum = 0;
  for (std::size_t k = 0; k < a.size(); ++k) sum += a[k] * b[k];
  return sum;
}

double mean_of(std::span<const double> values) {
  return std::accumulate(values.begin(), values.end(), 0.0) / static_cast<double>(values.size());
}

void subtract(std::span<double> values, double amount) {
  for (double& value : values) value -= amount;
}

/// [layers, layers] of squared norms |X'Y|^2 of every two layers to their CKA.
std::vector<double> aligned(const std::vector<double>& squares, std::size_t layers) {
  std::vector<double> cka(layers * layers, kNothing);
  for (std::size_t a = 0; a < layers; ++a) {
    for (std::size_t b = 0; b < layers; ++b) {
      const double own = std::sqrt(squares[a * layers + a]) * std::sqrt(squares[b * layers + b]);
      if (own > 0) cka[a * layers + b] = squares[a * layers + b] / own;
    }
  }
  return cka;
}

}  // namespace

CrossMoments::CrossMoments(std::vector<std::int64_t> widths, int threads)
    : widths_(std::move(widths)), threads_(threads), waiting_(widths_.size()) {
  for (std::size_t a = 0; a < widths_.size(); ++a) {
    shift_.emplace_back(static_cast<std::size_t>(widths_[a]));
    sums_.emplace_back(static_cast<std::size_t>(widths_[a]));
    for (std::size_t b = a; b < widths_.size(); ++b)
      pairs_.push_back({a, b, std::vector<double>(static_cast<std::size_t>(widths_[a] * widths_[b]))});
  }
}

std::optional<std::uint64_t> CrossMoments::bytes(std::span<const std::int64_t> widths) {
  std::optional<std::uint64_t> sum = 0;
  for (std::size_t a = 0; a < widths.size(); ++a) {
    for (std::size_t b = a; b < widths.size(); ++b) {
      const auto area = checked_multiply(static_cast<std::uint64_t>(widths[a]), static_cast<std::uint64_t>(widths[b]));
      const auto product = area ? checked_multiply(*area, sizeof(double)) : area;
      if (!product || !sum) return std::nullopt;
      sum = checked_add(*sum, *product);
    }
  }
  return sum;
}

Status CrossMoments::add(std::span<const float* const> layers, std::int64_t rows) {
  for (std::size_t k = 0; k < widths_.size(); ++k)
    waiting_[k].insert(waiting_[k].end(), layers[k], layers[k] + rows * widths_[k]);
  waiting_rows_ += rows;
  return waiting_rows_ < kWaiting ? Status() : flush();
}

std::vector<double> CrossMoments::shifted(std::size_t layer, std::int64_t first, std::int64_t rows) const {
  const std::int64_t width = widths_[layer];
  std::vector<double> out(static_cast<std::size_t>(rows * width));
  const float* const from = waiting_[layer].data() + first * width;
  for (std::int64_t k = 0; k < rows * width; ++k)
    out[static_cast<std::size_t>(k)] = double{from[k]} - shift_[layer][static_cast<std::size_t>(k % width)];
  return out;
}

Status CrossMoments::flush() {
  if (waiting_rows_ == 0) return {};
  const bool begins = rows_ == 0;
  LAYERSCOPE_TRY(for_each_parallel(widths_.size(), threads_, [&](std::size_t layer) -> Status {
    const std::int64_t width = widths_[layer];
    const auto add_row = [&](std::int64_t row, std::vector<double>& into, const std::vector<double>* less) {
      const float* const from = waiting_[layer].data() + row * width;
      for (std::size_t k = 0; k < into.size(); ++k) into[k] += double{from[k]} - (less != nullptr ? (*less)[k] : 0);
    };
    if (begins) {
      const std::int64_t count = std::min(kShiftVectors, waiting_rows_);
      for (std::int64_t row = 0; row < count; ++row) add_row(row, shift_[layer], nullptr);
      // As a float, so that nothing is left of elements that are all equal.
      for (double& value : shift_[layer]) value = static_cast<float>(value / static_cast<double>(count));
    }
    for (std::int64_t row = 0; row < waiting_rows_; ++row) add_row(row, sums_[layer], &shift_[layer]);
    return {};
  }));
  LAYERSCOPE_TRY(for_each_parallel(pairs_.size(), threads_, [&](std::size_t index) -> Status {
    Pair& pair = pairs_[index];
    for (std::int64_t first = 0; first < waiting_rows_; first += kTogether) {
      const std::int64_t count = std::min(kTogether, waiting_rows_ - first);
      const std::vector<double> x = shifted(pair.a, first, count);
      const std::vector<double> y = pair.a == pair.b ? std::vector<double>() : shifted(pair.b, first, count);
      add_cross_products(x.data(), widths_[pair.a], pair.a == pair.b ? x.data() : y.data(), widths_[pair.b], count,
                         pair.products.data());
    }
    return {};
  }));
  rows_ += waiting_rows_;
  waiting_rows_ = 0;
  for (std::vector<float>& layer : waiting_) layer.clear();
  return {};
}

void CrossMoments::centre(Pair& pair) const {
  const std::vector<double>& x = sums_[pair.a];
  const std::vector<double>& y = sums_[pair.b];
  for (std::size_t a = 0; a < x.size(); ++a) {
    for (std::size_t b = 0; b < y.size(); ++b)
      pair.products[a * y.size() + b] -= x[a] * y[b] / static_cast<double>(rows_);
  }
}

Result<LayerAlignment> CrossMoments::finish() {
  LAYERSCOPE_TRY(flush());
  const std::size_t layers = widths_.size();
  LayerAlignment result{{}, std::vector<double>(layers, kNothing)};
  std::vector<double> squares(layers * layers);
  LAYERSCOPE_TRY(for_each_parallel(pairs_.size(), threads_, [&](std::size_t index) -> Status {
    Pair& pair = pairs_[index];
    if (rows_ < 2) return {};
    centre(pair);
    squares[pair.a * layers + pair.b] = squares[pair.b * layers + pair.a] = squared_length(pair.products);
    if (pair.a == pair.b)
      result.effective_rank[pair.a] = effective_rank(symmetric_eigenvalues(std::move(pair.products), widths_[pair.a]));
    return {};
  }));
  result.cka = aligned(squares, layers);
  return result;
}

std::optional<std::uint64_t> sample_alignment_bytes(std::size_t layers, std::int64_t rows) {
  const auto area = checked_multiply(static_cast<std::uint64_t>(rows), static_cast<std::uint64_t>(rows));
  const auto all = area ? checked_multiply(*area, sizeof(double) * (layers + 1)) : area;
  return all;
}

Result<LayerAlignment> align_sample(std::span<const std::vector<float>> layers, std::span<const std::int64_t> widths,
                                    std::int64_t rows, int threads) {
  LayerAlignment result{{}, std::vector<double>(layers.size(), kNothing)};
  std::vector<std::vector<double>> grams(layers.size());
  LAYERSCOPE_TRY(for_each_parallel(layers.size(), threads, [&](std::size_t layer) -> Status {
    const std::int64_t width = widths[layer];
    std::vector<double>& gram = grams[layer];
    gram.resize(static_cast<std::size_t>(rows * rows));
    std::vector<double> columns(static_cast<std::size_t>(kTogether * rows));
    for (std::int64_t first = 0; first < width && rows > 1; first += kTogether) {
      const std::int64_t count = std::min(kTogether, width - first);
      for (std::int64_t k = 0; k < count; ++k) {
        const std::span<double> column(columns.data() + k * rows, static_cast<std::size_t>(rows));
        const float* const from = layers[layer].data() + first + k;
        for (std::int64_t row = 0; row < rows; ++row) column[static_cast<std::size_t>(row)] = from[row * width];
        subtract(column, static_cast<float>(mean_of(column)));  // a float: nothing is left where all are equal
        subtract(column, mean_of(column));
      }
      add_cross_products(columns.data(), rows, columns.data(), rows, count, gram.data());
    }
    result.effective_rank[layer] = effective_rank(symmetric_eigenvalues(gram, rows));
    return {};
  }));
  std::vector<double> squares(layers.size() * layers.size());
  LAYERSCOPE_TRY(for_each_parallel(layers.size(), threads, [&](std::size_t a) -> Status {
    for (std::size_t b = 0; b < layers.size(); ++b) squares[a * layers.size() + b] = inner(grams[a], grams[b]);
    return {};
  }));
  result.cka = aligned(squares, layers.size());
  return result;
}

}  // namespace layerscope
