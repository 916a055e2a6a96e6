// What attention with PositionTerms means, as plain loops; see kernels/reference.h.
#pragma once

#include "kernels/reference.h"

namespace layerscope::reference {

template <class T>
[[nodiscard]] T head_product(const RowsView& a, std::int64_t a_row, const RowsView& b, std::int64_t b_row,
                             std::int64_t first, std::int64_t width) noexcept {
  T sum = 0;
  for (std::int64_t i = first; i < first + width; ++i) sum += load<T>(a, a_row, i) * load<T>(b, b_row, i);
  return sum;
}

/// The normalised probabilities of one query of one head.
template <class T>
void disentangled_probabilities(const AttentionArguments& a, std::int64_t head, std::int64_t query, std::vector<T>& p) {
  const PositionTerms& positions = *a.positions;
  const std::int64_t first = head * a.d_qk;
  p.assign(static_cast<std::size_t>(a.k.rows), T(0));
  T highest = -std::numeric_limits<T>::infinity();
  for (std::int64_t j = 0; j < a.k.rows; ++j) {
    const std::int64_t row = positions.rows[positions.zero + j - query];
    T score = head_product<T>(a.q, query, a.k, j, first, a.d_qk);
    if (positions.keys.rows > 0) score += head_product<T>(a.q, query, positions.keys, row, first, a.d_qk);
    if (positions.queries.rows > 0) score += head_product<T>(positions.queries, row, a.k, j, first, a.d_qk);
    score *= static_cast<T>(a.scale);
    p[static_cast<std::size_t>(j)] = score;
    highest = std::max(highest, score);
  }
  T sum = 0;
  for (T& entry : p) {
    entry = std::exp(entry - highest);
    sum += entry;
  }
  for (T& entry : p) entry /= sum;
}

template <class T>
void disentangled_attention(const AttentionArguments& a, const MutableRows& z) {
  std::vector<T> p;
  for (std::int64_t head = 0; head < a.heads; ++head) {
    for (std::int64_t query = 0; query < a.q.rows; ++query) {
      disentangled_probabilities(a, head, query, p);
      for (std::int64_t i = head * a.d_v; i < (head + 1) * a.d_v; ++i) {
        T sum = 0;
        for (std::int64_t j = 0; j < a.k.rows; ++j) sum += p[static_cast<std::size_t>(j)] * load<T>(a.v, j, i);
        store(z, query, i, sum);
      }
    }
  }
}

template <class T>
void disentangled_attention_probabilities(const AttentionArguments& a, std::int64_t head, std::int64_t first_query,
                                          const MutableRows& out) {
  std::vector<T> p;
  for (std::int64_t row = 0; row < out.rows; ++row) {
    disentangled_probabilities(a, head, first_query + row, p);
    for (std::int64_t j = 0; j < out.width; ++j) store(out, row, j, p[static_cast<std::size_t>(j)]);
  }
}

}  // namespace layerscope::reference
