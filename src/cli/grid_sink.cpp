#include "cli/grid_sink.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "base/half.h"

namespace layerscope::cli {
namespace {

double dot(const std::vector<float>& a, const std::vector<float>& b) {
  double sum = 0;
  for (std::size_t k = 0; k < a.size(); ++k) sum += double{a[k]} * double{b[k]};
  return sum;
}

}  // namespace

void read_row(const RowsView& rows, std::int64_t index, std::vector<float>& out) {
  out.resize(static_cast<std::size_t>(rows.width));
  switch (rows.dtype) {
    case DType::kF16:
      std::transform(rows.row<std::uint16_t>(index), rows.row<std::uint16_t>(index) + rows.width, out.begin(),
                     f16_to_float);
      break;
    case DType::kBF16:
      std::transform(rows.row<std::uint16_t>(index), rows.row<std::uint16_t>(index) + rows.width, out.begin(),
                     bf16_to_float);
      break;
    default: std::copy_n(rows.row<float>(index), rows.width, out.begin()); break;
  }
}

GridSink::GridSink(const TapPlan& plan, Measure measure)
    : plan_(plan), measure_(measure), values_(plan.stored().size()) {}

float GridSink::measure_row(Reference& reference, std::size_t row, const std::vector<float>& state) const {
  if (measure_ == Measure::kNorm) return static_cast<float>(std::sqrt(dot(state, state)));
  if (reference.rows.size() <= row) reference.rows.resize(row + 1);
  std::vector<float>& before = reference.rows[row];
  float cosine = std::numeric_limits<float>::quiet_NaN();
  if (before.size() == state.size()) {
    const double lengths = std::sqrt(dot(state, state) * dot(before, before));
    if (lengths > 0) cosine = static_cast<float>(dot(state, before) / lengths);
  }
  if (measure_ == Measure::kStep || before.empty()) before = state;
  return cosine;
}

Status GridSink::accept(const StateFrame& frame) {
  const auto site = static_cast<std::size_t>(frame.site);
  Reference& reference = references_[static_cast<std::size_t>(plan_.stored()[site].stack)];
  const std::size_t end = static_cast<std::size_t>(frame.first_row + frame.rows.rows);
  if (values_[site].size() < end) values_[site].resize(end, std::numeric_limits<float>::quiet_NaN());
  std::vector<float> state;
  for (std::int64_t row = 0; row < frame.rows.rows; ++row) {
    const auto at = static_cast<std::size_t>(frame.first_row + row);
    read_row(frame.rows, row, state);
    values_[site][at] = measure_row(reference, at, state);
  }
  return {};
}

}  // namespace layerscope::cli
