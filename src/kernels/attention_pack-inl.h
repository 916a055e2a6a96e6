// Queries, keys and values of one head as the operands of the micro product.
#pragma once

#include "kernels/micro-inl.h"

LAYERSCOPE_BEGIN_KERNELS

inline constexpr std::int64_t kWordRows = 4;  // keys transposed at a time

[[nodiscard]] constexpr std::int64_t round_up(std::int64_t value, std::int64_t step) {
  return (value + step - 1) / step * step;
}

/// One row of `width` stream elements as operands: floats (rounded to bf16's values if `rounded`) or bf16, zero up to
/// `padded` elements.
template <class To>
HWY_INLINE void copy_operands(const float* from, std::int64_t width, std::int64_t padded, bool rounded, To* to) {
  for_each_vector(width, [&](std::int64_t j, auto count) LAYERSCOPE_ATTR {
    const Vector x = load(from + j, count);
    store(to + j, rounded && sizeof(To) == sizeof(float) ? round_to_bf16(x) : x, count);
  });
  std::fill(to + width, to + padded, To{});
}

template <class Operand>
void pack_queries(const AttentionArguments& a, std::int64_t head, std::int64_t first, std::int64_t rows, bool rounded,
                  std::int64_t steps, typename Operand::A* to) {
  const std::int64_t depth = steps * Operand::kDepth;
  for (std::int64_t row = 0; row < rows; ++row) {
    copy_operands(a.q.row<float>(first + row) + head * a.d_qk, a.d_qk, depth, rounded, to + row * depth);
  }
}

/// Four rows of words (`steps` each, end to end) become four columns from `column` on of a panel.
HWY_INLINE void transpose_words(const std::uint32_t* rows, std::int64_t steps, std::uint32_t* panel) {
  const hn::FixedTag<std::uint32_t, 4> four;
  const hn::FixedTag<std::uint64_t, 2> two;
  std::int64_t step = 0;
  for (; step + 4 <= steps; step += 4) {
    const auto a = hn::LoadU(four, rows + step), b = hn::LoadU(four, rows + steps + step);
    const auto c = hn::LoadU(four, rows + 2 * steps + step), d = hn::LoadU(four, rows + 3 * steps + step);
    const auto ab_low = hn::BitCast(two, hn::InterleaveLower(four, a, b)),
               ab_high = hn::BitCast(two, hn::InterleaveUpper(four, a, b));
    const auto cd_low = hn::BitCast(two, hn::InterleaveLower(four, c, d)),
               cd_high = hn::BitCast(two, hn::InterleaveUpper(four, c, d));
    hn::StoreU(hn::BitCast(four, hn::InterleaveLower(two, ab_low, cd_low)), four, panel + step * kPanel);
    hn::StoreU(hn::BitCast(four, hn::InterleaveUpper(two, ab_low, cd_low)), four, panel + (step + 1) * kPanel);
    hn::StoreU(hn::BitCast(four, hn::InterleaveLower(two, ab_high, cd_high)), four, panel + (step + 2) * kPanel);
    hn::StoreU(hn::BitCast(four, hn::InterleaveUpper(two, ab_high, cd_high)), four, panel + (step + 3) * kPanel);
  }
  for (; step < steps; ++step) {
    for (std::int64_t r = 0; r < 4; ++r) panel[step * kPanel + r] = rows[r * steps + step];
  }
}

/// K^T in panels of kPanel keys: [panel][step][key][depth of a step], from column `first` (a multiple of kWordRows) on;
/// columns up to a whole vector beyond the last key are 0.
template <class Operand>
void pack_keys(const AttentionArguments& a, std::int64_t kv_head, bool rounded, std::int64_t steps,
               std::uint32_t* words, typename Operand::B* to, std::int64_t first = 0) {
  static_assert(sizeof(typename Operand::B) * Operand::kDepth == sizeof(std::uint32_t));
  const std::int64_t keys = a.k.rows, depth = steps * Operand::kDepth;
  for (std::int64_t key = 0; key < round_up(first + keys, kLanes) - first; key += kWordRows) {
    for (std::int64_t r = 0; r < kWordRows; ++r) {
      auto* row = reinterpret_cast<typename Operand::B*>(words) + r * depth;
      if (key + r < keys) {
        copy_operands(a.k.row<float>(key + r) + kv_head * a.d_qk, a.d_qk, depth, rounded, row);
      } else {
        std::memset(row, 0, static_cast<std::size_t>(steps) * sizeof(std::uint32_t));
      }
    }
    const std::int64_t column = first + key;
    transpose_words(words, steps,
                    reinterpret_cast<std::uint32_t*>(to) + column / kPanel * kPanel * steps + column % kPanel);
  }
}

/// V in panels of kPanel columns: [panel][key][column], for bf16 pairs [panel][pair of keys][column][2]. A last odd key
/// is paired with 0. They begin with key `first` of the panel, an even one. False if a value is NaN or infinite.
template <class Operand>
bool pack_values(const AttentionArguments& a, std::int64_t kv_head, bool rounded, std::int64_t padded_keys,
                 typename Operand::B* to, std::int64_t first = 0) {
  const std::int64_t keys = a.v.rows;
  auto highest = hn::Zero(kWords);
  for (std::int64_t key = 0; key < keys; key += Operand::kDepth) {
    const float* row = a.v.row<float>(key) + kv_head * a.d_v;
    const float* next = Operand::kDepth == 2 && key + 1 < keys ? a.v.row<float>(key + 1) + kv_head * a.d_v : nullptr;
    for_each_vector(a.d_v, [&](std::int64_t j, auto count) LAYERSCOPE_ATTR {
      const auto magnitude = hn::Set(kWords, 0x7FFFFFFFu);
      auto* at = to + j / kPanel * kPanel * padded_keys + (first + key) * kPanel + j % kPanel * Operand::kDepth;
      const Vector x = load(row + j, count);
      highest = hn::Max(highest, hn::And(hn::BitCast(kWords, x), magnitude));
      if constexpr (Operand::kDepth == 2) {
        const Vector y = next != nullptr ? load(next + j, count) : hn::Zero(kFloats);
        highest = hn::Max(highest, hn::And(hn::BitCast(kWords, y), magnitude));
        const auto low = hn::ShiftRight<16>(round_to_bf16_bits(x));
        const auto high = hn::And(round_to_bf16_bits(y), hn::Set(kWords, 0xFFFF0000u));
        hn::StoreU(hn::Or(low, high), kWords, reinterpret_cast<std::uint32_t*>(at));
      } else {
        hn::StoreU(rounded ? round_to_bf16(x) : x, kFloats, at);
      }
    });
  }
  return hn::GetLane(hn::MaxOfLanes(kWords, highest)) < 0x7F800000u;
}

/// Softmax of scores * factor / log2(e) in place. `sink`: one more exponent that takes part, or null.
HWY_INLINE void softmax_in_place(float* scores, std::int64_t width, float factor, const float* sink) {
  Vector highest = set(-FLT_MAX);
  for_each_vector(width, [&](std::int64_t j, auto count) LAYERSCOPE_ATTR {
    const Vector rest = hn::Sub(set(-FLT_MAX), keep(set(-FLT_MAX), count));  // lowest where the row has no element
    highest = hn::Max(highest, hn::Add(load(scores + j, count), rest));
  });
  float shift = hn::GetLane(hn::MaxOfLanes(kFloats, highest)) * factor;
  if (sink != nullptr) shift = std::max(shift, *sink);
  Vector sums = hn::Zero(kFloats);
  for_each_vector(width, [&](std::int64_t j, auto count) LAYERSCOPE_ATTR {
    const Vector p = keep(exp2(hn::MulSub(load(scores + j, count), set(factor), set(shift))), count);
    sums = hn::Add(sums, p);
    store(scores + j, p, count);
  });
  float sum = sum_of_lanes(sums);
  if (sink != nullptr) sum += hn::GetLane(exp2(set(*sink - shift)));
  const Vector factors = set(1.0F / sum);
  for_each_vector(width, [&](std::int64_t j, auto count)
                             LAYERSCOPE_ATTR { store(scores + j, hn::Mul(load(scores + j, count), factors), count); });
}

LAYERSCOPE_END_KERNELS
