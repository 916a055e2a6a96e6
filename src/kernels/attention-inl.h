// Attention of one sequence, head by head (Dao et al. 2022: online softmax over tiles of keys, in the keys' order).
//
// Keys are packed as K^T and values as they lie, in panels. A tile of queries meets one tile of keys after the other:
// scores, their exponentials, their product with the values. Tiles of keys start at fixed indices and every element is
// one chain over the depth or the keys, so a row's bits depend on its own query and on the keys it sees. Entries it
// does not see are exactly 0 and add nothing.
#pragma once

#include "kernels/attention_tiles-inl.h"
#include "kernels/micro-inl.h"

LAYERSCOPE_BEGIN_KERNELS

inline constexpr std::int64_t kQueryTile = 48;

/// The memory of one call, laid out anew for each, and the tiles of the key head that it is at.
template <class Operand>
class AttentionMemory {
 public:
  AttentionMemory(const AttentionArguments& a, AlignedBuffer& scratch)
      : depth_steps(TileLayout<Operand>(a.d_qk, a.d_v).steps),
        value_stride(round_up(a.d_v, kLanes)),
        a_(a),
        layout_(a.d_qk, a.d_v) {
    const std::int64_t tiles = a.cache.pages != nullptr ? 0 : (a.k.rows + kKeyTile - 1) / kKeyTile;
    std::size_t bytes = 0;
    const auto place = [&bytes](std::int64_t count, std::size_t size) {
      const std::size_t at = bytes;
      bytes += (static_cast<std::size_t>(count) * size + 63) / 64 * 64;
      return at;
    };
    const std::size_t at_tiles = place(tiles, layout_.bytes());
    const std::size_t at_words = place(kWordRows * depth_steps, sizeof(std::uint32_t));
    const std::size_t at_queries = place(kQueryTile * layout_.depth(), sizeof(typename Operand::A));
    const std::size_t at_scores = place(kQueryTile * kKeyTile, sizeof(float));
    const std::size_t at_weights = place(kQueryTile * kKeyTile, sizeof(typename Operand::A));
    const std::size_t at_sums = place(kQueryTile * value_stride, sizeof(float));
    std::byte* base = scratch.reserve(bytes);
    tiles_ = base + at_tiles;
    words_ = reinterpret_cast<std::uint32_t*>(base + at_words);
    queries = reinterpret_cast<typename Operand::A*>(base + at_queries);
    scores = reinterpret_cast<float*>(base + at_scores);
    weights = reinterpret_cast<typename Operand::A*>(base + at_weights);
    sums = reinterpret_cast<float*>(base + at_sums);
  }

  /// Turns to a key head: packs its keys and values where they are not in a cache.
  void enter(std::int64_t kv_head, bool rounded) {
    head_offset_ = static_cast<std::size_t>(a_.cache.first_head + kv_head) * layout_.bytes();
    if (a_.cache.pages != nullptr) return;
    for (std::int64_t first = 0; first < a_.k.rows; first += kKeyTile) {
      AttentionArguments part = a_;
      const auto take = [&](RowsView& rows) {
        rows.data += first * rows.stride * static_cast<std::int64_t>(sizeof(float));
        rows.rows = std::min(kKeyTile, a_.k.rows - first);
      };
      take(part.k);
      take(part.v);
      *layout_.nonfinite(tile(first)) = 0;
      pack_keys<Operand>(part, kv_head, rounded, depth_steps, words_, layout_.keys(tile(first)));
      if (!pack_values<Operand>(part, kv_head, rounded, kKeyTile, layout_.values(tile(first))))
        *layout_.nonfinite(tile(first)) = 1;
    }
  }
  /// Of the tile that starts at key `first`: K^T in panels, V in panels, and whether all of V is finite.
  [[nodiscard]] const typename Operand::B* keys(std::int64_t first) const { return layout_.keys(tile(first)); }
  [[nodiscard]] const typename Operand::B* values(std::int64_t first) const { return layout_.values(tile(first)); }
  [[nodiscard]] bool finite(std::int64_t first) const { return *layout_.nonfinite(tile(first)) == 0; }

  std::int64_t depth_steps = 0;  ///< steps of the micro product over d_qk
  std::int64_t value_stride = 0;
  typename Operand::A* queries = nullptr;  ///< [kQueryTile, depth]
  float* scores = nullptr;                 ///< [kQueryTile, kKeyTile]
  typename Operand::A* weights = nullptr;  ///< exponentials as an operand, [kQueryTile, kKeyTile]
  float* sums = nullptr;                   ///< [kQueryTile, value_stride]

 private:
  [[nodiscard]] std::byte* tile(std::int64_t first) const {
    const std::int64_t index = first / kKeyTile;
    if (a_.cache.pages != nullptr) return a_.cache.pages[index] + head_offset_;
    return tiles_ + static_cast<std::size_t>(index) * layout_.bytes();
  }

  const AttentionArguments& a_;
  TileLayout<Operand> layout_;
  std::size_t head_offset_ = 0;
  std::byte* tiles_ = nullptr;
  std::uint32_t* words_ = nullptr;  ///< rows of keys as operands, before they are transposed
};

inline constexpr float kLog2E = 1.44269504F;

/// Scores become exponents by score * factor; with a bias, a cap or a factor that is not positive they are scaled
/// beforehand.
struct Scaling {
  float before = 1;
  float factor = 1;
  bool needed = false;
};
inline Scaling scaling_of(const AttentionArguments& a) {
  if (a.bias == nullptr && a.scale > 0 && !(a.softcap > 0)) return {1.0F, a.scale * kLog2E, false};
  return {a.scale, kLog2E, true};
}

/// Scores of a tile of queries with the keys [begin, end) of the tile that starts at `tile`.
template <class Operand>
void score_tile(const AttentionMemory<Operand>& m, std::int64_t rows, std::int64_t tile, KeyRange tile_keys) {
  const std::int64_t depth = m.depth_steps * Operand::kDepth;
  for (std::int64_t panel = tile_keys.begin / kPanel * kPanel; panel < tile_keys.end; panel += kPanel) {
    panel_product<Operand>(m.queries, depth, rows, m.keys(tile) + panel * depth,
                           std::min(kPanel, tile_keys.end - panel), m.depth_steps, m.scores + panel, kKeyTile, false);
  }
}

/// softcap * tanh(before * score / softcap)
HWY_INLINE void scale_and_cap(float before, float softcap, std::int64_t count_of_scores, float* scores) {
  for_each_vector(count_of_scores, [&](std::int64_t j, auto count) LAYERSCOPE_ATTR {
    const Vector x = hn::Div(hn::Mul(load(scores + j, count), set(before)), set(softcap));
    store(scores + j, hn::Mul(set(softcap), tanh(x)), count);
  });
}

/// Scales the row's visible scores and adds the bias; `position` and `tile` say where they stand.
inline void scale_and_bias(const AttentionArguments& a, const Scaling& scaling, std::int64_t head,
                           std::int64_t position, std::int64_t tile, KeyRange seen, float* scores) {
  if (!scaling.needed) return;
  float before = scaling.before;
  if (a.softcap > 0) {
    scale_and_cap(before, a.softcap, seen.end - seen.begin, scores + seen.begin);
    if (a.bias == nullptr) return;
    before = 1;
  }
  const std::int64_t first = tile + seen.begin - position;
  const float* bias = a.bias == nullptr ? nullptr : a.bias->table + head * a.bias->stride + a.bias->zero + first;
  for_each_vector(seen.end - seen.begin, [&](std::int64_t j, auto count) LAYERSCOPE_ATTR {
    float* at = scores + seen.begin + j;
    Vector x = hn::Mul(load(at, count), set(before));
    if (bias != nullptr) x = hn::Add(x, load(bias + j, count));
    store(at, x, count);
  });
}

/// The greatest of the visible scores. What else lies in their vectors is overwritten, so that it becomes 0 as
/// exponential.
HWY_INLINE float mask_and_max(float* scores, KeyRange seen) {
  const std::int64_t first = seen.begin / kLanes * kLanes, last = round_up(seen.end, kLanes);
  std::fill(scores + first, scores + seen.begin, -FLT_MAX);
  std::fill(scores + seen.end, scores + last, -FLT_MAX);
  Vector highest = set(-FLT_MAX);
  for (std::int64_t j = first; j < last; j += kLanes) highest = hn::Max(highest, load(scores + j, Full{}));
  return hn::GetLane(hn::MaxOfLanes(kFloats, highest));
}

/// Exponentials of one row's visible scores, 0 in the rest of `all`; returns their sum. Bf16 operands are rounded after
/// they are summed.
template <class Operand>
HWY_INLINE float exponentials(const float* scores, typename Operand::A* weights, KeyRange seen, KeyRange all,
                              float factor, float shift, bool rounded) {
  const std::int64_t first = seen.begin / kLanes * kLanes, last = round_up(seen.end, kLanes);
  for (std::int64_t j = all.begin / kLanes * kLanes; j < first; j += kLanes)
    store(weights + j, hn::Zero(kFloats), Full{});
  const Vector factors = set(factor), shifts = set(shift);
  Vector sum = hn::Zero(kFloats);
  for (std::int64_t j = first; j < last; j += kLanes) {
    const Vector p = exp2(hn::MulSub(load(scores + j, Full{}), factors, shifts));
    sum = hn::Add(sum, p);
    store(weights + j, rounded && sizeof(typename Operand::A) == sizeof(float) ? round_to_bf16(p) : p, Full{});
  }
  for (std::int64_t j = last; j < all.end; j += kLanes) store(weights + j, hn::Zero(kFloats), Full{});
  return sum_of_lanes(sum);
}

/// One tile of queries of one head: keys and values are packed.
template <class Operand>
class QueryTile {
 public:
  QueryTile(const AttentionArguments& a, const AttentionMemory<Operand>& m, bool rounded, std::int64_t head,
            std::int64_t first, std::int64_t rows)
      : a_(a), m_(m), scaling_(scaling_of(a)), rounded_(rounded), head_(head), first_(first), rows_(rows) {}

  void run(const MutableRows& z) {
    pack_queries<Operand>(a_, head_, first_, rows_, rounded_, m_.depth_steps, m_.queries);
    // A sink is a score that came before the first key.
    const bool sink = a_.sinks != nullptr;
    std::fill_n(shift_, kQueryTile, sink ? a_.sinks[head_] * kLog2E : 0.0F);
    std::fill_n(sum_, kQueryTile, sink ? 1.0F : 0.0F);
    std::fill_n(started_, kQueryTile, sink);
    std::memset(m_.sums, 0, static_cast<std::size_t>(rows_ * m_.value_stride) * sizeof(float));
    const KeyRange all = union_of_keys();
    for (std::int64_t tile = all.begin / kKeyTile * kKeyTile; tile < all.end; tile += kKeyTile) {
      const KeyRange in_tile = {std::max<std::int64_t>(all.begin - tile, 0), std::min(all.end - tile, kKeyTile)};
      score_tile(m_, rows_, tile, in_tile);
      for (std::int64_t row = 0; row < rows_; ++row) weigh(row, tile, in_tile);
      if (m_.finite(tile)) {
        add_values(tile, in_tile);
      } else {
        add_values_one_by_one(tile);
      }
    }
    write(z);
  }

 private:
  [[nodiscard]] KeyRange seen(std::int64_t row) const {
    return visible_keys(a_.reach, a_.first_position + first_ + row, a_.keys());
  }
  [[nodiscard]] KeyRange seen_in_tile(std::int64_t row, std::int64_t tile) const {
    const KeyRange range = seen(row);
    return {std::clamp<std::int64_t>(range.begin - tile, 0, kKeyTile),
            std::clamp<std::int64_t>(range.end - tile, 0, kKeyTile)};
  }
  /// Both ends of a row's keys grow with its position.
  [[nodiscard]] KeyRange union_of_keys() const { return {seen(0).begin, seen(rows_ - 1).end}; }

  /// Softmax of one row so far: shift is the greatest exponent, sum that of the exponentials below it.
  void weigh(std::int64_t row, std::int64_t tile, KeyRange all) {
    float* scores = m_.scores + row * kKeyTile;
    auto* weights = m_.weights + row * kKeyTile;
    const KeyRange here = seen_in_tile(row, tile);
    if (here.begin >= here.end) {
      for (std::int64_t j = all.begin / kLanes * kLanes; j < all.end; j += kLanes)
        store(weights + j, hn::Zero(kFloats), Full{});
      return;
    }
    scale_and_bias(a_, scaling_, head_, a_.first_position + first_ + row, tile, here, scores);
    const float highest = mask_and_max(scores, here) * scaling_.factor;
    float& shift = shift_[row];
    if (!started_[row]) {
      started_[row] = true;
      shift = highest;
    } else if (!(highest <= shift)) {  // NaN comes here too
      const float correction = hn::GetLane(exp2(set(shift - highest)));
      sum_[row] *= correction;
      float* sums = m_.sums + row * m_.value_stride;
      for (std::int64_t j = 0; j < m_.value_stride; j += kLanes) {
        store(sums + j, hn::Mul(load(sums + j, Full{}), set(correction)), Full{});
      }
      shift = highest;
    }
    sum_[row] += exponentials<Operand>(scores, weights, here, all, scaling_.factor, shift, rounded_);
  }

  void add_values(std::int64_t tile, KeyRange all) {
    const std::int64_t begin = all.begin / Operand::kDepth, end = (all.end + Operand::kDepth - 1) / Operand::kDepth;
    for (std::int64_t column = 0; column < a_.d_v; column += kPanel) {
      const auto* panel = m_.values(tile) + column * kKeyTile + begin * Operand::kDepth * kPanel;
      panel_product<Operand>(m_.weights + begin * Operand::kDepth, kKeyTile, rows_, panel,
                             std::min(kPanel, a_.d_v - column), end - begin, m_.sums + column, m_.value_stride, true);
    }
  }

  /// With NaN or infinity among the values a weight of 0 would not hide them: each row takes the keys it sees only.
  void add_values_one_by_one(std::int64_t tile) {
    const typename Operand::B* values = m_.values(tile);
    for (std::int64_t row = 0; row < rows_; ++row) {
      const KeyRange here = seen_in_tile(row, tile);
      for (std::int64_t j = here.begin; j < here.end; ++j) {
        const float weight = operand_value(m_.weights[row * kKeyTile + j]);
        for (std::int64_t i = 0; i < a_.d_v; ++i) {
          m_.sums[row * m_.value_stride + i] += weight * operand_value(values[TileLayout<Operand>::value_at(j, i)]);
        }
      }
    }
  }
  static float operand_value(float value) { return value; }
  static float operand_value(Bf16 value) { return bf16_to_float(value); }

  void write(const MutableRows& z) {
    with_type(z.dtype, [&](auto type) LAYERSCOPE_ATTR {
      for (std::int64_t row = 0; row < rows_; ++row) {
        const Vector factor = set(started_[row] ? 1.0F / sum_[row] : 0.0F);
        const float* sums = m_.sums + row * m_.value_stride;
        auto* to = z.row<decltype(type)>(first_ + row) + head_ * a_.d_v;
        for_each_vector(a_.d_v, [&](std::int64_t j, auto count) LAYERSCOPE_ATTR {
          // Adding 0 turns -0 into 0: which of them a chain ends in depends on the zeros in it.
          store(to + j, hn::Add(hn::Mul(load(sums + j, Full{}), factor), hn::Zero(kFloats)), count);
        });
      }
    });
  }

  const AttentionArguments& a_;
  const AttentionMemory<Operand>& m_;
  Scaling scaling_;
  bool rounded_;
  std::int64_t head_, first_, rows_;
  float shift_[kQueryTile], sum_[kQueryTile];
  bool started_[kQueryTile];
};

template <class Operand>
void attention_with(const AttentionArguments& a, bool rounded, const MutableRows& z, AlignedBuffer& scratch) {
  AttentionMemory<Operand> memory(a, scratch);
  const std::int64_t group = a.heads / a.kv_heads;
  for (std::int64_t kv_head = 0; kv_head < a.kv_heads; ++kv_head) {
    memory.enter(kv_head, rounded);
    for (std::int64_t head = kv_head * group; head < (kv_head + 1) * group; ++head) {
      for (std::int64_t first = 0; first < a.q.rows; first += kQueryTile) {
        QueryTile<Operand>(a, memory, rounded, head, first, std::min(kQueryTile, a.q.rows - first)).run(z);
      }
    }
  }
}

template <class Operand>
void probabilities_with(const AttentionArguments& a, bool rounded, std::int64_t head, std::int64_t first_query,
                        const MutableRows& out, AlignedBuffer& scratch) {
  AttentionMemory<Operand> memory(a, scratch);
  const Scaling scaling = scaling_of(a);
  memory.enter(head / (a.heads / a.kv_heads), rounded);
  for (std::int64_t first = 0; first < out.rows; first += kQueryTile) {
    const std::int64_t rows = std::min(kQueryTile, out.rows - first);
    pack_queries<Operand>(a, head, first_query + first, rows, rounded, memory.depth_steps, memory.queries);
    for (std::int64_t tile = 0; tile < a.keys(); tile += kKeyTile) {
      const std::int64_t keys = std::min(kKeyTile, a.keys() - tile);
      score_tile(memory, rows, tile, {0, keys});
      for (std::int64_t row = 0; row < rows; ++row) {
        std::memcpy(out.row<float>(first + row) + tile, memory.scores + row * kKeyTile,
                    static_cast<std::size_t>(keys) * sizeof(float));
      }
    }
    for (std::int64_t row = 0; row < rows; ++row) {
      const std::int64_t position = a.first_position + first_query + first + row;
      const KeyRange seen = visible_keys(a.reach, position, a.keys());
      float* p = out.row<float>(first + row);
      if (seen.begin >= seen.end) {
        std::fill_n(p, a.keys(), 0.0F);
        continue;
      }
      scale_and_bias(a, scaling, head, position, 0, seen, p);
      std::fill_n(p, seen.begin, 0.0F);
      std::fill(p + seen.end, p + a.keys(), 0.0F);
      const float sink = a.sinks != nullptr ? a.sinks[head] * kLog2E : 0.0F;
      softmax_in_place(p + seen.begin, seen.end - seen.begin, scaling.factor, a.sinks != nullptr ? &sink : nullptr);
    }
  }
}

inline void attention(const AttentionArguments& a, DType operand, const MutableRows& z, AlignedBuffer& scratch) {
#if LAYERSCOPE_NATIVE_BF16
  if (operand == DType::kBF16) return attention_with<PairOperand>(a, true, z, scratch);
#endif
  attention_with<FloatOperand>(a, operand == DType::kBF16, z, scratch);
}

inline void attention_probabilities(const AttentionArguments& a, DType operand, std::int64_t head,
                                    std::int64_t first_query, const MutableRows& out, AlignedBuffer& scratch) {
#if LAYERSCOPE_NATIVE_BF16
  if (operand == DType::kBF16) return probabilities_with<PairOperand>(a, true, head, first_query, out, scratch);
#endif
  probabilities_with<FloatOperand>(a, operand == DType::kBF16, head, first_query, out, scratch);
}

LAYERSCOPE_END_KERNELS
