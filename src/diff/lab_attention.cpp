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

// Which keys a query sees, and whether it sees them all alike because it should see none.
struct Keys {
  std::vector<std::int64_t> seen;
  bool blind = false;
};

Keys seen_by(const AttentionArguments& a, const AttentionChange& change, const RowExtent& extent, std::int64_t query) {
  Reach reach = a.reach;
  if (reach.left < Reach::kUnlimited) reach.left += change.left;
  if (reach.right < Reach::kUnlimited) reach.right += change.right;
  if (change.full) reach = {};
  const std::int64_t position = a.first_position + query, keys = a.k.rows;
  const KeyRange range = visible_keys(reach, position, keys);
  Keys result;
  for (std::int64_t j = 0; j < keys; ++j) {
    const bool hidden = j < extent.hidden_first || j >= keys - extent.hidden_last;
    const bool padding = j < extent.left || j >= keys - extent.right;
    if (!hidden && ((j >= range.begin && j < range.end) || (change.open_padding && padding))) result.seen.push_back(j);
  }
  if (!result.seen.empty() || !(change.blind_sees_all || change.blind_sees_itself)) return result;
  result.blind = true;
  for (std::int64_t j = 0; j < keys; ++j) {
    if (change.blind_sees_all || j == position) result.seen.push_back(j);
  }
  return result;
}

}  // namespace

void lab_attention(const AttentionArguments& a, const AttentionChange& change, const RowExtent& extent,
                   const MutableRows& z) {
  const std::vector<double> q = doubles(a.q, change.operands), k = doubles(a.k, change.operands),
                            v = doubles(a.v, change.values);
  std::vector<double> p(static_cast<std::size_t>(a.k.rows));
  const std::int64_t queries = a.q.rows, out_width = a.heads * a.d_v;
  for (std::int64_t head = 0; head < a.heads; ++head) {
    const std::int64_t kv_head = change.cyclic_heads ? head % a.kv_heads : head / (a.heads / a.kv_heads);
    for (std::int64_t query = 0; query < queries; ++query) {
      const Keys keys = seen_by(a, change, extent, query);
      const std::int64_t position = a.first_position + query;
      double highest = a.sinks != nullptr ? a.sinks[head] : -std::numeric_limits<double>::infinity();
      for (const std::int64_t j : keys.seen) {
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
        if (keys.blind) score = 0;
        p[static_cast<std::size_t>(j)] = pass(change.scores, score);
        highest = std::max(highest, p[static_cast<std::size_t>(j)]);
      }
      double sum = a.sinks != nullptr ? std::exp(a.sinks[head] - highest) : 0;
      for (const std::int64_t j : keys.seen) {
        double& entry = p[static_cast<std::size_t>(j)];
        entry = std::exp(entry - highest);
        sum += entry;
      }
      for (const std::int64_t j : keys.seen) {
        double& entry = p[static_cast<std::size_t>(j)];
        entry = pass(change.probabilities, entry / sum);
      }
      for (std::int64_t i = 0; i < a.d_v; ++i) {
        double mixed = 0;
        for (const std::int64_t j : keys.seen)
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
