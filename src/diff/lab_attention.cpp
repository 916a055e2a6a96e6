#include "diff/lab_attention.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "kernels/scalar.h"

namespace layerscope {
namespace {

double pass(Rounding rounding, double value) {
  return rounding == Rounding::kNone ? value : rounded(rounding, double_to_float_odd(value));
}

// Rows as float64, end to end.
std::vector<double> doubles(const RowsView& rows, Rounding rounding) {
  std::vector<double> values;
  values.reserve(static_cast<std::size_t>(rows.rows * rows.width));
  for (std::int64_t i = 0; i < rows.rows; ++i) {
    for (std::int64_t j = 0; j < rows.width; ++j)
      values.push_back(pass(rounding, load_element<double>(rows.dtype, rows.data, i * rows.stride + j)));
  }
  return values;
}

struct Keys {
  KeyRange range;
  bool blind = false;  // sees none, and takes all alike
};

Keys seen_by(const AttentionArguments& a, const AttentionChange& change, const RowExtent& extent, std::int64_t query) {
  const bool unlimited_left = a.reach.left >= Reach::kUnlimited, unlimited_right = a.reach.right >= Reach::kUnlimited;
  Reach reach = a.reach;
  if (!unlimited_left) reach.left += change.left;
  if (!unlimited_right) reach.right += change.right;
  if (change.full) reach = {};
  KeyRange seen = visible_keys(reach, a.first_position + query, a.k.rows);
  seen.begin = std::max(seen.begin, extent.hidden_first);
  seen.end = std::min(seen.end, a.k.rows - extent.hidden_last);
  if (seen.begin < seen.end || !change.blind_sees_all) return {seen, false};
  return {{0, a.k.rows}, true};
}

}  // namespace

void lab_attention(const AttentionArguments& a, const AttentionChange& change, const RowExtent& extent,
                   const MutableRows& z) {
  const std::vector<double> q = doubles(a.q, change.operands), k = doubles(a.k, change.operands),
                            v = doubles(a.v, change.operands);
  std::vector<double> p(static_cast<std::size_t>(a.k.rows));
  const std::int64_t queries = a.q.rows, out_width = a.heads * a.d_v;
  for (std::int64_t head = 0; head < a.heads; ++head) {
    const std::int64_t kv_head = change.cyclic_heads ? head % a.kv_heads : head / (a.heads / a.kv_heads);
    for (std::int64_t query = 0; query < queries; ++query) {
      const Keys seen = seen_by(a, change, extent, query);
      const std::int64_t position = a.first_position + query;
      double highest = a.sinks != nullptr ? a.sinks[head] : -std::numeric_limits<double>::infinity();
      for (std::int64_t j = seen.range.begin; j < seen.range.end; ++j) {
        double score = 0;
        for (std::int64_t i = 0; i < a.d_qk; ++i)
          score += q[static_cast<std::size_t>(query * a.q.width + head * a.d_qk + i)] *
                   k[static_cast<std::size_t>(j * a.k.width + kv_head * a.d_qk + i)];
        score = pass(change.scores, score) * a.scale;
        if (a.softcap > 0) score = a.softcap * std::tanh(score / a.softcap);
        const std::int64_t distance = change.bias_mirrored ? position - j : j - position;
        if (a.bias != nullptr)
          score += static_cast<double>(a.bias->table[head * a.bias->stride + a.bias->zero + distance]) *
                   (change.bias_scaled ? static_cast<double>(a.scale) : 1.0);
        if (seen.blind) score = 0;
        p[static_cast<std::size_t>(j)] = pass(change.scores, score);
        highest = std::max(highest, p[static_cast<std::size_t>(j)]);
      }
      double sum = a.sinks != nullptr ? std::exp(a.sinks[head] - highest) : 0;
      for (std::int64_t j = seen.range.begin; j < seen.range.end; ++j) {
        double& entry = p[static_cast<std::size_t>(j)];
        entry = std::exp(entry - highest);
        sum += entry;
      }
      for (std::int64_t j = seen.range.begin; j < seen.range.end; ++j) {
        double& entry = p[static_cast<std::size_t>(j)];
        entry = pass(change.probabilities, entry / sum);
      }
      for (std::int64_t i = 0; i < a.d_v; ++i) {
        double mixed = 0;
        for (std::int64_t j = seen.range.begin; j < seen.range.end; ++j)
          mixed += p[static_cast<std::size_t>(j)] * v[static_cast<std::size_t>(j * a.v.width + kv_head * a.d_v + i)];
        std::int64_t place = query * out_width + head * a.d_v + i;
        if (change.heads_outside) place = (head * queries + query) * a.d_v + i;
        store_element<double>(z.dtype, z.data, place / out_width * z.stride + place % out_width,
                              pass(change.output, mixed));
      }
    }
  }
}

}  // namespace layerscope
