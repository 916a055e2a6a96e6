#include "tap/reducer.h"

#include <algorithm>
#include <cstring>

#include "base/half.h"
#include "base/try.h"

namespace layerscope {

Reducer::Reducer(const Batch& batch, const TapPlan& plan, Sink& sink)
    : batch_(batch), plan_(plan), sink_(sink), pools_(plan.stored().size()) {
  for (auto& lists : picks_) lists.resize(batch.sequences());
}

Status Reducer::observe(const Frame& frame) {
  Frame floats = frame;
  if (frame.rows.dtype == DType::kF64) {
    floats_.resize(static_cast<std::size_t>(frame.rows.rows * frame.rows.width));
    for (std::int64_t i = 0; i < frame.rows.rows; ++i) {
      const double* row = frame.rows.row<double>(i);
      std::transform(row, row + frame.rows.width, floats_.begin() + i * frame.rows.width,
                     [](double value) { return static_cast<float>(value); });
    }
    floats.rows = {.dtype = DType::kF32,
                   .data = reinterpret_cast<const std::byte*>(floats_.data()),
                   .rows = frame.rows.rows,
                   .width = frame.rows.width,
                   .stride = frame.rows.width};
  }
  const Site& site = plan_.observed()[static_cast<std::size_t>(frame.observed)];
  if (site.kind == SiteKind::kProbs) {
    const auto stack = static_cast<std::size_t>(site.stack);
    const auto sequence = static_cast<std::size_t>(frame.sequence);
    const auto& offsets = batch_.inputs[stack].offsets;
    const std::int64_t queries = offsets[sequence + 1] - offsets[sequence];
    for (const int stored : plan_.feeds(frame.observed)) {
      LAYERSCOPE_TRY(put(stored, sequence, frame.head * queries + frame.first, floats.rows.row<float>(0),
                         floats.rows.rows, floats.rows.width, floats.rows.stride));
    }
    return {};
  }
  const std::size_t stack = site.cross ? 0 : static_cast<std::size_t>(site.stack);
  LAYERSCOPE_TRY(tokens(floats, stack));
  return plan_.mix_use(frame.observed).stored >= 0 ? mix(floats, stack) : Status();
}

Status Reducer::tokens(const Frame& frame, std::size_t stack) {
  const auto& offsets = batch_.inputs[stack].offsets;
  for (const int stored : plan_.feeds(frame.observed)) {
    auto sequence =
        static_cast<std::size_t>(std::upper_bound(offsets.begin(), offsets.end(), frame.first) - offsets.begin()) - 1;
    for (std::int64_t token = frame.first; token < frame.first + frame.rows.rows; ++sequence) {
      const std::int64_t end = std::min(offsets[sequence + 1], frame.first + frame.rows.rows);
      if (end > token) {
        LAYERSCOPE_TRY(sequence_rows(stored, sequence, token - offsets[sequence],
                                     frame.rows.row<float>(token - frame.first), end - token, frame.rows.width,
                                     frame.rows.stride));
      }
      token = end;
    }
  }
  return {};
}

Status Reducer::mix(const Frame& frame, std::size_t stack) {
  const TapPlan::MixUse& use = plan_.mix_use(frame.observed);
  const auto& offsets = batch_.inputs[stack].offsets;
  const std::int64_t width = frame.rows.width;
  mixed_[stack].resize(static_cast<std::size_t>(offsets.back() * width));
  for (std::int64_t i = 0; i < frame.rows.rows; ++i) {
    const float* in = frame.rows.row<float>(i);
    float* out = mixed_[stack].data() + (frame.first + i) * width;
    for (std::int64_t j = 0; j < width; ++j) out[j] = use.first ? use.weight * in[j] : out[j] + use.weight * in[j];
  }
  if (!use.last) return {};
  auto sequence =
      static_cast<std::size_t>(std::upper_bound(offsets.begin(), offsets.end(), frame.first) - offsets.begin()) - 1;
  for (std::int64_t token = frame.first; token < frame.first + frame.rows.rows; ++sequence) {
    const std::int64_t end = std::min(offsets[sequence + 1], frame.first + frame.rows.rows);
    if (end > token) {
      LAYERSCOPE_TRY(sequence_rows(use.stored, sequence, token - offsets[sequence],
                                   mixed_[stack].data() + token * width, end - token, width, width));
    }
    token = end;
  }
  return {};
}

Status Reducer::sequence_rows(int stored, std::size_t sequence, std::int64_t first, const float* rows,
                              std::int64_t count, std::int64_t width, std::int64_t stride) {
  const StoredSite& site = plan_.stored()[static_cast<std::size_t>(stored)];
  const std::size_t stack = site.cross ? 0 : static_cast<std::size_t>(site.stack);
  const auto& offsets = batch_.inputs[stack].offsets;
  switch (site.unit) {
    case StoredUnit::kTokens: return put(stored, sequence, first, rows, count, width, stride);
    case StoredUnit::kPooled:
      return pool_rows(stored, sequence, first, rows, count, width, stride, offsets[sequence + 1] - offsets[sequence]);
    case StoredUnit::kPicks: {
      const std::vector<std::int32_t>& picks = picks_of(stack, sequence);
      for (auto pick = std::lower_bound(picks.begin(), picks.end(), first);
           pick != picks.end() && *pick < first + count; ++pick) {
        LAYERSCOPE_TRY(put(stored, sequence, pick - picks.begin(), rows + (*pick - first) * stride, 1, width, stride));
      }
      return {};
    }
    case StoredUnit::kProbs: break;
  }
  return {};
}

Status Reducer::pool_rows(int stored, std::size_t sequence, std::int64_t first, const float* rows, std::int64_t count,
                          std::int64_t width, std::int64_t stride, std::int64_t length) {
  RowPool& pool = pools_[static_cast<std::size_t>(stored)];
  if (first == 0) pool.begin(plan_.pool(), width, length);
  for (std::int64_t i = 0; i < count; ++i) pool.add(rows + i * stride, first + i);
  if (first + count < length) return {};
  return put(stored, sequence, 0, pool.finish().data(), 1, width, width);
}

Status Reducer::put(int stored, std::size_t sequence, std::int64_t first_row, const float* rows, std::int64_t count,
                    std::int64_t width, std::int64_t stride) {
  const StoredSite& site = plan_.stored()[static_cast<std::size_t>(stored)];
  StateFrame frame{.site = stored, .tag = batch_.tags[sequence], .first_row = first_row};
  frame.rows = {.dtype = site.dtype,
                .data = reinterpret_cast<const std::byte*>(rows),
                .rows = count,
                .width = width,
                .stride = width};
  if (site.dtype == DType::kF32 && stride == width) return sink_.accept(frame);

  cast_.resize(static_cast<std::size_t>(count * width) * dtype_size(site.dtype));
  bool overflow = false;
  for (std::int64_t i = 0; i < count; ++i) {
    const float* row = rows + i * stride;
    std::byte* target = cast_.data() + static_cast<std::size_t>(i * width) * dtype_size(site.dtype);
    if (site.dtype == DType::kF32) {
      std::memcpy(target, row, static_cast<std::size_t>(width) * sizeof(float));
      continue;
    }
    auto* halves = reinterpret_cast<std::uint16_t*>(target);
    for (std::int64_t j = 0; j < width; ++j) {
      halves[j] = site.dtype == DType::kF16 ? float_to_f16(row[j]) : float_to_bf16(row[j]);
      overflow |= (halves[j] & 0x7fffU) == (site.dtype == DType::kF16 ? 0x7c00U : 0x7f80U);
    }
  }
  if (overflow) {
    return Error{ErrorCode::kRuntime,
                 "a value of site \"" + site.name + "\" in row " + std::to_string(batch_.rows[sequence]) +
                     " does not fit into " +
                     (site.dtype == DType::kF16 ? "float16, save as bf16 or f32" : "bfloat16, save as f32")};
  }
  frame.rows.data = cast_.data();
  return sink_.accept(frame);
}

const std::vector<std::int32_t>& Reducer::picks_of(std::size_t stack, std::size_t sequence) {
  std::vector<std::int32_t>& picks = picks_[stack][sequence];
  if (picks.empty()) {
    const auto& offsets = batch_.inputs[stack].offsets;
    picks = plan_.picks(batch_.rows[sequence], offsets[sequence + 1] - offsets[sequence]);
  }
  return picks;
}

}  // namespace layerscope
