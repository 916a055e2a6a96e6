// What the kernels are given: borrowed views and the parameters of the operations.
#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>

#include "base/functions.h"
#include "layerscope/tensor.h"

namespace layerscope {

/// A matrix in a checkpoint, as the mathematics sees it ([outputs, inputs]), whatever way it is stored.
struct MatrixView {
  DType dtype = DType::kF32;  ///< kF32, kF16 or kBF16; data may be unaligned
  const std::byte* data = nullptr;
  std::int64_t outputs = 0;
  std::int64_t inputs = 0;
  std::int64_t output_stride = 0;  ///< elements from one output's row to the next
  std::int64_t input_stride = 0;   ///< 1 unless stored transposed
};

/// A weight matrix in panels of Kernels::panel outputs, wherever it lies: [panel][input][output], the last panel filled
/// up. In pairs: [panel][pair of inputs][output][2], an odd last input paired with 0.
struct PanelsView {
  const std::byte* data = nullptr;
  DType dtype = DType::kF32;
  bool pairs = false;  ///< kBF16 on an instruction set that multiplies them
  std::int64_t inputs = 0;
  std::int64_t outputs = 0;
  std::int64_t panel_bytes = 0;  ///< from one panel to the next
  std::int64_t chain = 0;        ///< inputs that are summed as one chain; the chains' sums are added up in order
};

/// Some of a product's outputs: first, a multiple of the panels' width, up to end.
struct OutputRange {
  std::int64_t begin = 0;
  std::int64_t end = 0;
};

/// A norm's parameters, in float32; `weight` already holds weight + offset where a model's formula says so.
struct NormView {
  NormKind kind = NormKind::kLayer;
  float epsilon = 0;
  const float* weight = nullptr;  ///< [width], or null for 1
  const float* bias = nullptr;    ///< [width], or null for 0
  std::int64_t head_stride = 0;   ///< norm_heads: elements from one head's parameters to the next; 0 = one set for all
};

/// The parameters of one head of those that norm_heads takes.
[[nodiscard]] inline NormView norm_of_head(const NormView& norm, std::int64_t head) noexcept {
  NormView own = norm;
  if (own.weight != nullptr) own.weight += head * norm.head_stride;
  if (own.bias != nullptr) own.bias += head * norm.head_stride;
  return own;
}

/// Which keys a query at position p sees: those at p - left ... p + right.
struct Reach {
  static constexpr std::int64_t kUnlimited = std::numeric_limits<std::int64_t>::max() / 4;
  std::int64_t left = kUnlimited;
  std::int64_t right = kUnlimited;  ///< 0 = causal
};

/// Scores plus a term that depends only on head and distance: scores[h, i, j] += table[h * stride + zero + (j - p_i)].
struct DistanceBias {
  const float* table = nullptr;
  std::int64_t stride = 0;
  std::int64_t zero = 0;
};

/// Scores between contents and relative positions: scores[h, i, j] += scale * (q_i . keys_r + queries_r . k_j) with
/// r = rows[zero + (j - i)]. Queries and keys are those of the same tokens, scale is positive, every head has its own
/// keys, and neither bias, softcap, sinks nor reach go with it. (He et al. 2021)
struct PositionTerms {
  RowsView keys;     ///< [positions, heads * d_qk] of q's type; no rows = no such term
  RowsView queries;  ///< likewise
  const std::int32_t* rows = nullptr;
  std::int64_t zero = 0;
};

/// Keys and values of one sequence as attention reads them, in pages of kTokens tokens whose inside is the backend's
/// own affair. A page holds every key head.
struct KeyValuePages {
  static constexpr std::int64_t kTokens = 128;
  std::byte* const* pages = nullptr;  ///< aligned to 64 bytes, all 0 before the first token
  std::int64_t tokens = 0;
  std::int64_t first_head = 0;  ///< the head of the pages that the arguments' key head 0 is
};

/// softmax(softcap(scale * q k^T) + bias) v for one sequence. Heads lie side by side in a row; query head h reads key
/// head h / (heads / kv_heads). q, k, v are in the stream's type; a bf16 backend rounds them where they enter a
/// product. A query that sees no key gets zeros.
struct AttentionArguments {
  RowsView q;  ///< [queries, heads * d_qk]
  RowsView k;  ///< [keys, kv_heads * d_qk]
  RowsView v;  ///< [keys, kv_heads * d_v]
  std::int64_t heads = 0, kv_heads = 0, d_qk = 0, d_v = 0;
  float scale = 1;
  Reach reach;
  std::int64_t first_position = 0;  ///< position of query 0, counted as keys are counted from 0
  const DistanceBias* bias = nullptr;
  float softcap = 0;             ///< scores become softcap * tanh(scale * q k^T / softcap); 0 = as they are
  const float* sinks = nullptr;  ///< [heads] one more score a head: part of the softmax's sum and maximum, of no value
  const PositionTerms* positions = nullptr;
  KeyValuePages cache;  ///< where it has pages, the keys and values are there, and not in k and v
  [[nodiscard]] std::int64_t keys() const noexcept { return cache.pages != nullptr ? cache.tokens : k.rows; }
};

/// The keys that one query sees: [begin, end), empty when begin >= end.
struct KeyRange {
  std::int64_t begin = 0;
  std::int64_t end = 0;
};
[[nodiscard]] inline KeyRange visible_keys(const Reach& reach, std::int64_t position, std::int64_t keys) noexcept {
  const std::int64_t begin = position - reach.left;
  const std::int64_t end = position + reach.right + 1;
  return {begin > 0 ? begin : 0, end < keys ? end : keys};
}

/// Which part of a head turns, and how.
struct RotationArguments {
  std::int64_t heads = 0;
  std::int64_t first = 0;  ///< element of a head at which the turning part begins
  std::int64_t pairs = 0;
  bool interleaved = false;                 ///< element pairs are (2j, 2j + 1) rather than (j, j + pairs)
  const float* cosine = nullptr;            ///< [positions, pairs]
  const float* sine = nullptr;              ///< [positions, pairs]
  std::span<const std::int32_t> positions;  ///< row of cosine and sine for every row
};

/// A router's rule over one row of scores; see Router.
struct RoutingArguments {
  enum class Rule : std::uint8_t { kSoftmaxThenTop, kTopThenSoftmax, kSigmoidGroups };
  Rule rule = Rule::kSoftmaxThenTop;
  std::int64_t chosen = 1;
  bool renormalise = false;
  float scale = 1;
  std::int64_t groups = 1, chosen_groups = 1;
  const float* correction = nullptr;  ///< [experts] added to the values by which experts are chosen, or null
};

}  // namespace layerscope
