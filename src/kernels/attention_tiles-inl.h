// One head's keys and values in tiles of kKeyTile: made for one call, or kept in the pages of a cache.
#pragma once

#include "kernels/attention_pack-inl.h"
#include "kernels/rows-inl.h"

LAYERSCOPE_BEGIN_KERNELS

inline constexpr std::int64_t kKeyTile = KeyValuePages::kTokens;

/// What lies in a tile: a word that is not 0 if a value is NaN or infinite; the keys; the values.
template <class Operand>
struct TileLayout {
  using B = typename Operand::B;
  TileLayout(std::int64_t d_qk, std::int64_t width_of_values)
      : steps((d_qk + Operand::kDepth - 1) / Operand::kDepth), d_v(width_of_values) {}
  [[nodiscard]] std::int64_t depth() const { return steps * Operand::kDepth; }
  [[nodiscard]] std::size_t bytes() const {
    return kHeader + static_cast<std::size_t>(kKeyTile * (depth() + round_up(d_v, kPanel))) * sizeof(B);
  }
  [[nodiscard]] static std::uint32_t* nonfinite(std::byte* tile) { return reinterpret_cast<std::uint32_t*>(tile); }
  [[nodiscard]] static B* keys(std::byte* tile) { return reinterpret_cast<B*>(tile + kHeader); }
  [[nodiscard]] B* values(std::byte* tile) const { return keys(tile) + kKeyTile * depth(); }
  /// Where a value stands among those of its tile.
  [[nodiscard]] static std::int64_t value_at(std::int64_t key, std::int64_t column) {
    return column / kPanel * kPanel * kKeyTile + key / Operand::kDepth * Operand::kDepth * kPanel +
           column % kPanel * Operand::kDepth + key % Operand::kDepth;
  }

  /// Keys and values of the rows of a.k and a.v become those from `first` on of a tile; none lie behind them.
  void fill(AttentionArguments a, std::int64_t kv_head, bool rounded, std::int64_t first, std::uint32_t* words,
            std::byte* tile) const {
    const std::int64_t alone = std::min(a.k.rows, (kWordRows - first % kWordRows) % kWordRows);
    if (a.k.rows < kWordRows || alone > 0) {
      const std::int64_t count = a.k.rows < kWordRows ? a.k.rows : alone;
      for (std::int64_t row = 0; row < count; ++row) fill_one(a, kv_head, rounded, row, first + row, words, tile);
      first += count;
      drop(a.k, count);
      drop(a.v, count);
    }
    if (a.k.rows == 0) return;
    pack_keys<Operand>(a, kv_head, rounded, steps, words, keys(tile), first);
    if (!pack_values<Operand>(a, kv_head, rounded, kKeyTile, values(tile), first)) *nonfinite(tile) = 1;
  }

  std::int64_t steps = 0;  ///< of the micro product over d_qk
  std::int64_t d_v = 0;

 private:
  static constexpr std::size_t kHeader = 64;

  static void drop(RowsView& rows, std::int64_t count) {
    rows.data += count * rows.stride * static_cast<std::int64_t>(sizeof(float));
    rows.rows -= count;
  }
  void fill_one(const AttentionArguments& a, std::int64_t kv_head, bool rounded, std::int64_t row, std::int64_t at,
                std::uint32_t* words, std::byte* tile) const {
    copy_operands(a.k.row<float>(row) + kv_head * a.d_qk, a.d_qk, depth(), rounded, reinterpret_cast<B*>(words));
    auto* panel = reinterpret_cast<std::uint32_t*>(keys(tile)) + at / kPanel * kPanel * steps + at % kPanel;
    for (std::int64_t step = 0; step < steps; ++step) panel[step * kPanel] = words[step];

    const float* value = a.v.row<float>(row) + kv_head * a.d_v;
    if (!all_finite({DType::kF32, reinterpret_cast<const std::byte*>(value), 1, a.d_v, a.d_v})) *nonfinite(tile) = 1;
    B* to = values(tile);
    for_each_vector(a.d_v, [&](std::int64_t j, auto count) LAYERSCOPE_ATTR {
      B rounded_values[kLanes];
      const Vector x = keep(load(value + j, count), count);
      store(rounded_values, rounded && sizeof(B) == sizeof(float) ? round_to_bf16(x) : x, Full{});
      for (std::int64_t i = 0; i < std::min<std::int64_t>(kLanes, a.d_v - j); ++i)
        to[value_at(at, j + i)] = rounded_values[i];
    });
  }
};

template <class Operand>
void remember_with(const AttentionArguments& a, bool rounded, AlignedBuffer& scratch) {
  const TileLayout<Operand> layout(a.d_qk, a.d_v);
  auto* words = reinterpret_cast<std::uint32_t*>(
      scratch.reserve(static_cast<std::size_t>(kWordRows * layout.steps) * sizeof(std::uint32_t)));
  const std::int64_t past = a.cache.tokens - a.k.rows;
  for (std::int64_t key = past; key < a.cache.tokens;) {
    const std::int64_t first = key % kKeyTile, count = std::min(kKeyTile - first, a.cache.tokens - key);
    AttentionArguments rows = a;
    const auto part = [&](RowsView& view) {
      view.data += (key - past) * view.stride * static_cast<std::int64_t>(sizeof(float));
      view.rows = count;
    };
    part(rows.k);
    part(rows.v);
    std::byte* page = a.cache.pages[key / kKeyTile];
    for (std::int64_t head = 0; head < a.kv_heads; ++head) {
      layout.fill(rows, head, rounded, first, words,
                  page + static_cast<std::size_t>(a.cache.first_head + head) * layout.bytes());
    }
    key += count;
  }
}

inline void remember(const AttentionArguments& a, DType operand, AlignedBuffer& scratch) {
#if LAYERSCOPE_NATIVE_BF16
  if (operand == DType::kBF16) return remember_with<PairOperand>(a, true, scratch);
#endif
  remember_with<FloatOperand>(a, operand == DType::kBF16, scratch);
}

inline std::size_t page_bytes([[maybe_unused]] DType operand, std::int64_t kv_heads, std::int64_t d_qk,
                              std::int64_t d_v) {
#if LAYERSCOPE_NATIVE_BF16
  if (operand == DType::kBF16) return static_cast<std::size_t>(kv_heads) * TileLayout<PairOperand>(d_qk, d_v).bytes();
#endif
  return static_cast<std::size_t>(kv_heads) * TileLayout<FloatOperand>(d_qk, d_v).bytes();
}

LAYERSCOPE_END_KERNELS
