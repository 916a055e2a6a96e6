// Attention within a pass: projections tile by tile, then every sequence by itself.
#include <algorithm>

#include "base/try.h"
#include "engine/pass.h"

namespace layerscope {
namespace {
constexpr std::int64_t kProbabilityRows = 64;  // queries of one head whose probabilities are held at a time
}

Status StackPass::project(const Place& place, const Attention& attention, const MutableRows* memory, MutableRows& q,
                          MutableRows& k, MutableRows& v) {
  const AttentionWeights& weights = place.weights->attention;
  const std::int64_t q_width = attention.heads * attention.d_qk, k_width = attention.kv_heads * attention.d_qk,
                     v_width = attention.kv_heads * attention.d_v;
  const bool cross = attention.keys == KeySource::kEncoder;
  const MutableRows heads = workspace_.heads.rows(stream_type_, tokens_, q_width + (cross ? 0 : k_width + v_width));
  q = columns(heads, 0, q_width);
  MutableRows keys = columns(heads, q_width, k_width + v_width);
  if (cross) keys = workspace_.keys.rows(stream_type_, memory->rows, k_width + v_width);
  k = columns(keys, 0, k_width);
  v = columns(keys, k_width, v_width);
  if (attention.latent) return project_latent(place, attention, q, k, v);
  for (std::int64_t first = 0; first < tokens_; first += tile_rows_) {
    const std::int64_t count = std::min(tile_rows_, tokens_ - first);
    MutableRows in;
    LAYERSCOPE_TRY(read(place, first, count, in));
    LAYERSCOPE_TRY(backend_.linear(*weights.in, in.view(), slice(heads, first, count), *workspace_.scratch));
  }
  for (std::int64_t first = 0; cross && first < memory->rows; first += tile_rows_) {
    const std::int64_t count = std::min(tile_rows_, memory->rows - first);
    LAYERSCOPE_TRY(backend_.linear(*weights.memory, slice(*memory, first, count).view(), slice(keys, first, count),
                                   *workspace_.scratch));
  }
  return {};
}

void StackPass::norm_heads(const HeadNorm& spec, const NormWeights& weights, const MutableRows& rows,
                           std::int64_t heads) const {
  if (spec.span == HeadNorm::Span::kRow) {
    backend_.norm(weights.view, rows.view(), rows);
  } else {
    backend_.norm_heads(weights.view, heads, rows);
  }
}

void StackPass::turn(const Place& place, const Attention& attention, const MutableRows& q, const MutableRows& k,
                     const MutableRows& v) {
  const AttentionWeights& weights = place.weights->attention;
  const auto norms = [&] {
    if (weights.q_norm) norm_heads(*attention.q_norm, *weights.q_norm, q, attention.heads);
    if (weights.k_norm) norm_heads(*attention.k_norm, *weights.k_norm, k, attention.kv_heads);
  };
  if (!attention.norm_rotated) norms();
  if (attention.clip) {
    for (const MutableRows& rows : {q, k, v}) backend_.clamp(*attention.clip, rows);
  }
  if (attention.rope) {
    const std::int64_t first = attention.latent ? attention.d_qk - attention.latent->rotated : 0;
    rotate(*attention.rope, q, attention.heads, first);
    rotate(*attention.rope, k, attention.kv_heads, first);
    if (attention.rotate_values) rotate(*attention.rope, v, attention.kv_heads, 0);
  }
  if (attention.norm_rotated) norms();
}

Status StackPass::attention(const Place& place, const Attention& attention, const MutableRows* memory) {
  MutableRows q, k, v;
  LAYERSCOPE_TRY(project(place, attention, memory, q, k, v));
  turn(place, attention, q, k, v);
  LAYERSCOPE_TRY(edit(place, SiteKind::kQueries, 0, q));
  LAYERSCOPE_TRY(edit(place, SiteKind::kKeys, 0, k));
  LAYERSCOPE_TRY(edit(place, SiteKind::kValues, 0, v));
  LAYERSCOPE_TRY(show(place, SiteKind::kQueries, 0, q.view()));
  LAYERSCOPE_TRY(show(place, SiteKind::kKeys, 0, k.view()));
  LAYERSCOPE_TRY(show(place, SiteKind::kValues, 0, v.view()));

  const MutableRows z = workspace_.mixed.rows(operand_type_, tokens_, attention.heads * attention.d_v);
  LAYERSCOPE_TRY(attend(place, attention, q, k, v, z));
  LAYERSCOPE_TRY(edit(place, SiteKind::kHeads, 0, z));
  LAYERSCOPE_TRY(show(place, SiteKind::kHeads, 0, z.view()));
  for (std::int64_t first = 0; first < tokens_; first += tile_rows_) {
    const std::int64_t count = std::min(tile_rows_, tokens_ - first);
    const MutableRows out = workspace_.tile_out.rows(stream_type_, count, spec_.width);
    LAYERSCOPE_TRY(
        backend_.linear(*place.weights->attention.out, slice(z, first, count).view(), out, *workspace_.scratch));
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
                               .scale = attention.scale,
                               .bias = distances(place, attention),
                               .softcap = attention.softcap.value_or(0)};
  if (const auto* relative = std::get_if<Disentangled>(&attention.score)) {
    LAYERSCOPE_TRY(relate(place, attention, *relative));
    arguments.positions = &position_terms_;
  }
  if (attention.sinks) arguments.sinks = place.weights->attention.sinks.data();
  if (!cross) {
    const std::int64_t side = attention.window ? *attention.window - 1 : Reach::kUnlimited;
    arguments.reach = {.left = side, .right = attention.keys == KeySource::kSelfCausal ? 0 : side};
  }
  std::vector<AttentionCall> calls;
  std::vector<std::size_t> sequences;
  for (std::size_t s = 0; s + 1 < input_.offsets.size(); ++s) {
    const std::int64_t first = input_.offsets[s], count = input_.offsets[s + 1] - first;
    if (count == 0) continue;
    arguments.q = slice(q.view(), first, count);
    const std::int64_t hidden = cross || input_.unattended.empty() ? 0 : input_.unattended[s];
    const std::int64_t keys = key_offsets[s + 1] - key_offsets[s] - hidden;
    if (hidden > 0 && probs >= 0)
      return Error{ErrorCode::kUsage, "attention's probabilities cannot be shown where tokens are left unattended"};
    arguments.k = slice(k.view(), key_offsets[s], keys);
    arguments.v = slice(v.view(), key_offsets[s], keys);
    arguments.first_position = past(s);
    const bool cached = id_ == StackId::kDecoder && !options_.caches.empty();
    if (cached) {
      arguments.cache =
          options_.caches[s]
              ->at(place.block, place.step)
              .pages.grow(arguments.k.rows, backend_.page_bytes(attention.kv_heads, attention.d_qk, attention.d_v));
    }
    if (arguments.keys() == 0) {
      return Error{ErrorCode::kInput, "row " + std::to_string(batch_.rows[s]) + " has no keys at " +
                                          site_name(place, "k") + ": the encoder got no tokens"};
    }
    calls.push_back({.arguments = arguments, .z = slice(z, first, count), .remember = cached && arguments.k.rows > 0});
    sequences.push_back(s);
  }
  backend_.attend(calls, *workspace_.scratch);
  for (std::size_t i = 0; probs >= 0 && i < calls.size(); ++i)
    LAYERSCOPE_TRY(show_probabilities(calls[i].arguments, sequences[i], probs));
  return {};
}

Status StackPass::show_probabilities(const AttentionArguments& arguments, std::size_t sequence, int probs) {
  for (std::int64_t head = 0; head < arguments.heads; ++head) {
    for (std::int64_t first = 0; first < arguments.q.rows; first += kProbabilityRows) {
      const MutableRows shown =
          workspace_.shown.rows(stream_type_, std::min(kProbabilityRows, arguments.q.rows - first), arguments.keys());
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

void StackPass::rotate(const Rope& rope, const MutableRows& rows, std::int64_t heads, std::int64_t first) {
  const std::span<const std::int32_t> positions = positions_;
  const auto turned = [&](const Rotation& rotation, std::span<const std::int32_t> at, const MutableRows& part) {
    backend_.rotate({.heads = heads,
                     .first = first,
                     .pairs = rope.pairs,
                     .interleaved = rope.interleaved,
                     .cosine = rotation.cosine.data(),
                     .sine = rotation.sine.data(),
                     .positions = at},
                    part);
  };
  if (weights_.angles) return turned(*weights_.angles, positions, rows);
  if (weights_.frequencies || length_independent(rope)) {
    const FixedFrequencies frequencies = weights_.frequencies ? *weights_.frequencies : frequencies_for(rope, longest_);
    return turned(workspace_.rotations.get(frequencies, longest_), positions, rows);
  }
  for (std::size_t s = 0; s + 1 < input_.offsets.size(); ++s) {
    const std::int64_t begin = input_.offsets[s], count = input_.offsets[s + 1] - begin;
    const std::int64_t length = past(s) + count;
    turned(workspace_.rotations.get(frequencies_for(rope, length), length),
           positions.subspan(static_cast<std::size_t>(begin), static_cast<std::size_t>(count)),
           slice(rows, begin, count));
  }
}

const DistanceBias* StackPass::distances(const Place& place, const Attention& attention) {
  const auto* buckets = std::get_if<BucketBias>(&attention.score);
  const auto* alibi = std::get_if<Alibi>(&attention.score);
  if (buckets == nullptr && alibi == nullptr) return nullptr;
  if (buckets != nullptr && buckets->own_table) {
    distances_.emplace(*buckets, place.weights->attention.score, attention.heads, longest_);
  } else if (!distances_ && buckets != nullptr) {
    distances_.emplace(*buckets, weights_.score, attention.heads, longest_);
  } else if (!distances_) {
    distances_.emplace(*alibi, longest_);
  }
  distance_bias_ = distances_->view();
  return &distance_bias_;
}

}  // namespace layerscope
