// Attention of one sequence with PositionTerms, head by head.
//
// A tile of queries meets all keys: scores [queries, keys], and the products of the queries with the positions that
// these distances take. The products of keys with positions are made for few keys at a time, since from one tile of
// queries a key is seen over few distances. Every element is one chain over the depth or the keys.
#pragma once

#include "kernels/attention-inl.h"
#include "kernels/micro-inl.h"

LAYERSCOPE_BEGIN_KERNELS

inline constexpr std::int64_t kPositionQueries = 96;
inline constexpr std::int64_t kPositionKeys = 64;

template <class Operand>
class DisentangledHead {
 public:
  DisentangledHead(const AttentionArguments& a, bool rounded, AlignedBuffer& scratch)
      : a_(a),
        positions_(*a.positions),
        rounded_(rounded),
        keys_count_(a.k.rows),
        used_(taken(1 - keys_count_, keys_count_)),
        steps_((a.d_qk + Operand::kDepth - 1) / Operand::kDepth),
        depth_(steps_ * Operand::kDepth),
        score_stride_(round_up(keys_count_, kPanel)),
        position_stride_(round_up(used_.end - used_.begin, kPanel)),
        value_stride_(round_up(a.d_v, kLanes)) {
    std::size_t bytes = 0;
    const auto place = [&bytes](std::int64_t count, std::size_t size) {
      const std::size_t at = bytes;
      bytes += (static_cast<std::size_t>(count) * size + 63) / 64 * 64;
      return at;
    };
    constexpr std::size_t kA = sizeof(typename Operand::A), kB = sizeof(typename Operand::B);
    const std::size_t at_keys = place(depth_ * score_stride_, kB);
    const std::size_t at_values = place(padded_keys() * round_up(a.d_v, kPanel), kB);
    const std::size_t at_position_keys = place(depth_ * position_stride_, kB);
    const std::size_t at_position_queries = place(depth_ * position_stride_, kB);
    const std::size_t at_words = place(kWordRows * steps_, sizeof(std::uint32_t));
    const std::size_t at_rows = place(std::max(kPositionQueries, kPositionKeys) * depth_, kA);
    const std::size_t at_scores = place(kPositionQueries * score_stride_, sizeof(float));
    const std::size_t at_weights = place(kPositionQueries * padded_keys(), kA);
    const std::size_t at_content = place(kPositionQueries * position_stride_, sizeof(float));
    const std::size_t at_band = place(kPositionKeys * position_stride_, sizeof(float));
    const std::size_t at_sums = place(kPositionQueries * value_stride_, sizeof(float));
    std::byte* base = scratch.reserve(bytes);
    keys_ = reinterpret_cast<typename Operand::B*>(base + at_keys);
    values_ = reinterpret_cast<typename Operand::B*>(base + at_values);
    position_keys_ = reinterpret_cast<typename Operand::B*>(base + at_position_keys);
    position_queries_ = reinterpret_cast<typename Operand::B*>(base + at_position_queries);
    words_ = reinterpret_cast<std::uint32_t*>(base + at_words);
    rows_ = reinterpret_cast<typename Operand::A*>(base + at_rows);
    scores_ = reinterpret_cast<float*>(base + at_scores);
    weights_ = reinterpret_cast<typename Operand::A*>(base + at_weights);
    content_ = reinterpret_cast<float*>(base + at_content);
    band_ = reinterpret_cast<float*>(base + at_band);
    sums_ = reinterpret_cast<float*>(base + at_sums);
  }

  /// Lays out one head's keys and positions, for what follows.
  void enter(std::int64_t head) {
    head_ = head;
    pack_columns(a_.k, keys_);
    if (positions_.keys.rows > 0) pack_columns(used_rows(positions_.keys), position_keys_);
    if (positions_.queries.rows > 0) pack_columns(used_rows(positions_.queries), position_queries_);
  }
  /// Probabilities of a tile of queries, a row each.
  [[nodiscard]] const float* probabilities(std::int64_t first, std::int64_t rows) {
    pack_rows(a_.q, first, rows);
    product(rows, keys_, {0, keys_count_}, scores_, score_stride_);
    if (positions_.keys.rows > 0)
      product(rows, position_keys_, used(-first - rows + 1, keys_count_ - first), content_, position_stride_);
    for (std::int64_t tile = 0; tile < keys_count_; tile += kPositionKeys) {
      const std::int64_t keys = std::min(kPositionKeys, keys_count_ - tile);
      if (positions_.queries.rows > 0) {
        pack_rows(a_.k, tile, keys);
        product(keys, position_queries_, used(tile - first - rows + 1, tile + keys - first), band_, position_stride_);
      }
      for (std::int64_t row = 0; row < rows; ++row) add_positions(row, first + row, tile, keys);
    }
    for (std::int64_t row = 0; row < rows; ++row)
      softmax_in_place(scores_ + row * score_stride_, keys_count_, a_.scale * kLog2E, nullptr);
    return scores_;
  }
  [[nodiscard]] std::int64_t stride() const { return score_stride_; }

  void attend(const MutableRows& z) {
    pack_values<Operand>(a_, head_, rounded_, padded_keys(), values_);
    for (std::int64_t first = 0; first < a_.q.rows; first += kPositionQueries) {
      const std::int64_t rows = std::min(kPositionQueries, a_.q.rows - first);
      const float* p = probabilities(first, rows);
      for (std::int64_t row = 0; row < rows; ++row)
        copy_operands(p + row * score_stride_, keys_count_, padded_keys(), rounded_, weights_ + row * padded_keys());
      for (std::int64_t column = 0; column < a_.d_v; column += kPanel) {
        panel_product<Operand>(weights_, padded_keys(), rows, values_ + column * padded_keys(),
                               std::min(kPanel, a_.d_v - column), padded_keys() / Operand::kDepth, sums_ + column,
                               value_stride_, false);
      }
      write(first, rows, z);
    }
  }

 private:
  [[nodiscard]] std::int64_t padded_keys() const { return round_up(keys_count_, Operand::kDepth); }

  /// The positions that distances begin ... end - 1 take.
  [[nodiscard]] KeyRange taken(std::int64_t begin, std::int64_t end) const {
    const std::int32_t* rows = positions_.rows + positions_.zero;
    const auto [least, most] = std::minmax_element(rows + begin, rows + end);
    return {*least, *most + 1};
  }
  /// The same, counted from the first that the sequence uses.
  [[nodiscard]] KeyRange used(std::int64_t begin, std::int64_t end) const {
    const KeyRange range = taken(begin, end);
    return {range.begin - used_.begin, range.end - used_.begin};
  }
  [[nodiscard]] RowsView used_rows(RowsView rows) const {
    rows.data += used_.begin * rows.stride * static_cast<std::int64_t>(sizeof(float));
    rows.rows = used_.end - used_.begin;
    return rows;
  }
  void pack_columns(const RowsView& rows, typename Operand::B* to) {
    AttentionArguments columns = a_;
    columns.k = rows;
    pack_keys<Operand>(columns, head_, rounded_, steps_, words_, to);
  }
  void pack_rows(const RowsView& rows, std::int64_t first, std::int64_t count) {
    AttentionArguments queries = a_;
    queries.q = rows;
    pack_queries<Operand>(queries, head_, first, count, rounded_, steps_, rows_);
  }
  /// The packed rows by the columns of a range, in whole panels before its begin.
  void product(std::int64_t rows, const typename Operand::B* columns, KeyRange range, float* out, std::int64_t stride) {
    for (std::int64_t panel = range.begin / kPanel * kPanel; panel < range.end; panel += kPanel) {
      panel_product<Operand>(rows_, depth_, rows, columns + panel * depth_, std::min(kPanel, range.end - panel), steps_,
                             out + panel, stride, false);
    }
  }
  void add_positions(std::int64_t row, std::int64_t query, std::int64_t tile, std::int64_t keys) {
    const hn::RebindToSigned<Words> integers;
    const std::int32_t* at = positions_.rows + positions_.zero + tile - query;
    float* scores = scores_ + row * score_stride_ + tile;
    const float* content = positions_.keys.rows > 0 ? content_ + row * position_stride_ : nullptr;
    const float* band = positions_.queries.rows > 0 ? band_ : nullptr;
    const auto base = hn::Set(integers, static_cast<std::int32_t>(used_.begin));
    const auto lanes = hn::Mul(hn::Iota(integers, 0), hn::Set(integers, static_cast<std::int32_t>(position_stride_)));
    std::int64_t j = 0;
    for (; j + kLanes <= keys; j += kLanes) {
      const auto index = hn::Sub(hn::LoadU(integers, at + j), base);
      Vector x = load(scores + j, Full{});
      if (content != nullptr) x = hn::Add(x, hn::GatherIndex(kFloats, content, index));
      if (band != nullptr) x = hn::Add(x, hn::GatherIndex(kFloats, band + j * position_stride_, hn::Add(index, lanes)));
      store(scores + j, x, Full{});
    }
    for (; j < keys; ++j) {
      const std::int64_t index = at[j] - used_.begin;
      if (content != nullptr) scores[j] += content[index];
      if (band != nullptr) scores[j] += band[j * position_stride_ + index];
    }
  }
  void write(std::int64_t first, std::int64_t rows, const MutableRows& z) {
    with_type(z.dtype, [&](auto type) LAYERSCOPE_ATTR {
      for (std::int64_t row = 0; row < rows; ++row) {
        const float* sums = sums_ + row * value_stride_;
        auto* to = z.row<decltype(type)>(first + row) + head_ * a_.d_v;
        for_each_vector(
            a_.d_v, [&](std::int64_t j, auto count) LAYERSCOPE_ATTR { store(to + j, load(sums + j, Full{}), count); });
      }
    });
  }

  const AttentionArguments& a_;
  const PositionTerms& positions_;
  bool rounded_;
  std::int64_t head_ = 0, keys_count_;
  KeyRange used_;  ///< positions of the sequence's distances, as `rows` counts them
  std::int64_t steps_, depth_, score_stride_, position_stride_, value_stride_;
  typename Operand::B *keys_, *values_, *position_keys_, *position_queries_;
  std::uint32_t* words_;
  typename Operand::A* rows_;     ///< of queries or of keys, as an operand
  typename Operand::A* weights_;  ///< probabilities as an operand, [kPositionQueries, padded keys]
  float* scores_;                 ///< [kPositionQueries, keys]
  float* content_;                ///< queries by positions, [kPositionQueries, used positions]
  float* band_;                   ///< keys by positions, [kPositionKeys, used positions]
  float* sums_;                   ///< [kPositionQueries, d_v]
};

template <class Operand>
void disentangled_with(const AttentionArguments& a, bool rounded, const MutableRows& z, AlignedBuffer& scratch) {
  DisentangledHead<Operand> work(a, rounded, scratch);
  for (std::int64_t head = 0; head < a.heads; ++head) {
    work.enter(head);
    work.attend(z);
  }
}

template <class Operand>
void disentangled_probabilities_with(const AttentionArguments& a, bool rounded, std::int64_t head,
                                     std::int64_t first_query, const MutableRows& out, AlignedBuffer& scratch) {
  DisentangledHead<Operand> work(a, rounded, scratch);
  work.enter(head);
  for (std::int64_t first = 0; first < out.rows; first += kPositionQueries) {
    const std::int64_t rows = std::min(kPositionQueries, out.rows - first);
    const float* p = work.probabilities(first_query + first, rows);
    for (std::int64_t row = 0; row < rows; ++row)
      std::memcpy(out.row<float>(first + row), p + row * work.stride(),
                  static_cast<std::size_t>(out.width) * sizeof(float));
  }
}

inline void disentangled_attention(const AttentionArguments& a, DType operand, const MutableRows& z,
                                   AlignedBuffer& scratch) {
#if LAYERSCOPE_NATIVE_BF16
  if (operand == DType::kBF16) return disentangled_with<PairOperand>(a, true, z, scratch);
#endif
  disentangled_with<FloatOperand>(a, operand == DType::kBF16, z, scratch);
}

inline void disentangled_probabilities(const AttentionArguments& a, DType operand, std::int64_t head,
                                       std::int64_t first_query, const MutableRows& out, AlignedBuffer& scratch) {
#if LAYERSCOPE_NATIVE_BF16
  if (operand == DType::kBF16)
    return disentangled_probabilities_with<PairOperand>(a, true, head, first_query, out, scratch);
#endif
  disentangled_probabilities_with<FloatOperand>(a, operand == DType::kBF16, head, first_query, out, scratch);
}

LAYERSCOPE_END_KERNELS
