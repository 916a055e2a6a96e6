// Attention within a pass: projections tile by tile, then every sequence by itself.
#include <algorithm>

#include "base/try.h"
#include "engine/pass.h"

namespace layerscope {
namespace {
constexpr std::int64_t kProbabilityRows = 64;  // queries of one head whose probabilities are held at a time
}

Status StackPass::attention(const Place& place, const Attention& attention, const MutableRows* memory) {
  const AttentionWeights& weights = place.weights->attention;
  const std::int64_t q_width = attention.heads * attention.d_qk, k_width = attention.kv_heads * attention.d_qk,
                     v_width = attention.kv_heads * attention.d_v;
  const bool cross = attention.keys == KeySource::kEncoder;

  const MutableRows heads = workspace_.heads.rows(stream_type_, tokens_, q_width + (cross ? 0 : k_width + v_width));
  for (std::int64_t first = 0; first < tokens_; first += kTileRows) {
    const std::int64_t count = std::min(kTileRows, tokens_ - first);
    MutableRows in;
    LAYERSCOPE_TRY(read(place, first, count, in));
    LAYERSCOPE_TRY(backend_.linear(*weights.in, in.view(), slice(heads, first, count), *workspace_.scratch));
  }
  const MutableRows q = columns(heads, 0, q_width);
  MutableRows keys = columns(heads, q_width, k_width + v_width);
  if (cross) {
    keys = workspace_.keys.rows(stream_type_, memory->rows, k_width + v_width);
    for (std::int64_t first = 0; first < memory->rows; first += kTileRows) {
      const std::int64_t count = std::min(kTileRows, memory->rows - first);
      LAYERSCOPE_TRY(backend_.linear(*weights.memory, slice(*memory, first, count).view(), slice(keys, first, count),
                                     *workspace_.scratch));
    }
  }
  const MutableRows k = columns(keys, 0, k_width), v = columns(keys, k_width, v_width);
  if (weights.q_norm) backend_.norm_heads(weights.q_norm->view, attention.heads, q);
  if (weights.k_norm) backend_.norm_heads(weights.k_norm->view, attention.kv_heads, k);
  if (attention.rope) {
    rotate(*attention.rope, q, attention.heads);
    rotate(*attention.rope, k, attention.kv_heads);
  }
  LAYERSCOPE_TRY(show(place, SiteKind::kQueries, 0, q.view()));
  LAYERSCOPE_TRY(show(place, SiteKind::kKeys, 0, k.view()));
  LAYERSCOPE_TRY(show(place, SiteKind::kValues, 0, v.view()));

  const MutableRows z = workspace_.mixed.rows(operand_type_, tokens_, attention.heads * attention.d_v);
  LAYERSCOPE_TRY(attend(place, attention, q, k, v, z));
  LAYERSCOPE_TRY(show(place, SiteKind::kHeads, 0, z.view()));
  for (std::int64_t first = 0; first < tokens_; first += kTileRows) {
    const std::int64_t count = std::min(kTileRows, tokens_ - first);
    const MutableRows out = workspace_.tile_out.rows(stream_type_, count, spec_.width);
    LAYERSCOPE_TRY(backend_.linear(*weights.out, slice(z, first, count).view(), out, *workspace_.scratch));
    LAYERSCOPE_TRY(join(place, first, out));
  }
  return {};
}

Status StackPass::attend(const Place& place, const Attention& attention, const MutableRows& q, const MutableRows& k,
                         const MutableRows& v, const MutableRows& z) {
  const bool cross = attention.keys == KeySource::kEncoder;
  const std::vector<std::int64_t>& key_offsets = cross ? batch_.inputs[0].offsets : input_.offsets;
  const int probs = plan_.wants(id_, place.block, place.step, SiteKind::kProbs);
  AttentionArguments arguments{.heads = attention.heads,
                               .kv_heads = attention.kv_heads,
                               .d_qk = attention.d_qk,
                               .d_v = attention.d_v,
                               .scale = attention.scale};
  if (attention.keys == KeySource::kSelfCausal)
    arguments.reach = {.left = attention.window ? *attention.window - 1 : Reach::kUnlimited, .right = 0};
  DistanceBias bias;
  if (attention.score) {
    bias = distances(*attention.score, attention.heads, longest_).view();
    arguments.bias = &bias;
  }
  for (std::size_t s = 0; s + 1 < input_.offsets.size(); ++s) {
    const std::int64_t first = input_.offsets[s], count = input_.offsets[s + 1] - first;
    if (count == 0) continue;
    arguments.q = slice(q.view(), first, count);
    arguments.k = slice(k.view(), key_offsets[s], key_offsets[s + 1] - key_offsets[s]);
    arguments.v = slice(v.view(), key_offsets[s], key_offsets[s + 1] - key_offsets[s]);
    arguments.first_position = past(s);
    if (id_ == StackId::kDecoder && !options_.caches.empty()) {
      KvCache::StepEntries& cached = options_.caches[s]->at(place.block, place.step);
      cached.keys.append(arguments.k);
      cached.values.append(arguments.v);
      arguments.k = cached.keys.view(stream_type_, k.width);
      arguments.v = cached.values.view(stream_type_, v.width);
    }
    LAYERSCOPE_TRY(attend_sequence(place, arguments, s, slice(z, first, count), probs));
  }
  return {};
}

Status StackPass::attend_sequence(const Place& place, AttentionArguments& arguments, std::size_t sequence,
                                  const MutableRows& z, int probs) {
  if (arguments.k.rows == 0) {
    return Error{ErrorCode::kInput, "row " + std::to_string(batch_.rows[sequence]) + " has no keys at " +
                                        site_name(place, "k") + ": the encoder got no tokens"};
  }
  backend_.attention(arguments, z, *workspace_.scratch);
  if (probs < 0) return {};
  for (std::int64_t head = 0; head < arguments.heads; ++head) {
    for (std::int64_t first = 0; first < arguments.q.rows; first += kProbabilityRows) {
      const MutableRows shown =
          workspace_.shown.rows(stream_type_, std::min(kProbabilityRows, arguments.q.rows - first), arguments.k.rows);
      backend_.attention_probabilities(arguments, head, first, shown, *workspace_.scratch);
      LAYERSCOPE_TRY(observer_.observe({.observed = probs,
                                        .first = first,
                                        .rows = shown.view(),
                                        .sequence = static_cast<std::int64_t>(sequence),
                                        .head = head}));
    }
  }
  return {};
}

void StackPass::rotate(const Rope& rope, const MutableRows& rows, std::int64_t heads) {
  const std::span<const std::int32_t> positions = positions_;
  if (length_independent(rope)) {
    const Rotation& rotation = workspace_.rotations.get(frequencies_for(rope, longest_), longest_);
    backend_.rotate(rows, heads, rope.pairs, rope.interleaved, rotation.cosine.data(), rotation.sine.data(), positions);
    return;
  }
  for (std::size_t s = 0; s + 1 < input_.offsets.size(); ++s) {
    const std::int64_t first = input_.offsets[s], count = input_.offsets[s + 1] - first;
    const std::int64_t length = past(s) + count;
    const Rotation& rotation = workspace_.rotations.get(frequencies_for(rope, length), length);
    backend_.rotate(slice(rows, first, count), heads, rope.pairs, rope.interleaved, rotation.cosine.data(),
                    rotation.sine.data(),
                    positions.subspan(static_cast<std::size_t>(first), static_cast<std::size_t>(count)));
  }
}

const DistanceTable& StackPass::distances(const BucketBias& bias, std::int64_t heads, std::int64_t span) {
  if (!distances_) distances_.emplace(bias, weights_.score, heads, span);
  return *distances_;
}

}  // namespace layerscope
