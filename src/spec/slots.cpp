#include "spec/bind.h"

namespace layerscope {
namespace {

class Collector {
 public:
  Collector(std::string prefix, std::int64_t stream_width) : width(stream_width), prefix_(std::move(prefix)) {}

  /// What the following slots belong to: sources of an unnumbered part, or of a block.
  void enter(std::string source) { source_ = std::move(source); }

  Slot& add(const std::string& name, SlotKind kind, Shape shape) {
    slots.push_back({.name = prefix_ + name, .kind = kind, .shape = shape, .source = source_});
    return slots.back();
  }
  void matrix(const std::string& name, std::int64_t outputs, std::int64_t inputs, bool bias) {
    add(name + ".weight", SlotKind::kMatrix, {outputs, inputs});
    if (bias) add(name + ".bias", SlotKind::kVector, {outputs});
  }
  void norm(const std::string& name, const std::optional<Norm>& norm, std::int64_t norm_width) {
    if (!norm || !norm->weight) return;
    add(name + ".weight", SlotKind::kVector, {norm_width});
    if (norm->bias) add(name + ".bias", SlotKind::kVector, {norm_width});
  }
  void table(const std::string& name, std::int64_t rows, std::int64_t columns) {
    add(name + ".weight", SlotKind::kTable, {rows, columns});
  }

  std::vector<Slot> slots;
  std::int64_t width;

 private:
  std::string prefix_, source_;
};

void collect_head_norm(Collector& out, const std::string& name, const std::optional<HeadNorm>& norm, std::int64_t heads,
                       std::int64_t head_width) {
  if (!norm || !norm->norm.weight) return;
  const bool each = norm->span == HeadNorm::Span::kEachHead;
  const std::int64_t all = norm->span == HeadNorm::Span::kHead ? head_width : heads * head_width;
  const Shape shape = each ? Shape{heads, head_width} : Shape{all};
  out.add(name + ".weight", each ? SlotKind::kTable : SlotKind::kVector, shape);
  if (norm->norm.bias) out.add(name + ".bias", each ? SlotKind::kTable : SlotKind::kVector, shape);
}

void collect_projections(Collector& out, const std::string& at, const Attention& attention) {
  const std::array<std::int64_t, 3> qkv = {attention.heads / attention.kv_heads * attention.d_qk, attention.d_qk,
                                           attention.d_v};
  const std::array<const char*, 3> names = {"q", "k", "v"};
  for (std::size_t i = 0; i < names.size(); ++i) {
    const std::size_t first = out.slots.size();
    out.matrix(at + names[i], attention.kv_heads * qkv[i], out.width,
               attention.qkv_bias && (i != 1 || attention.key_bias));
    for (std::size_t slot = first; slot < out.slots.size(); ++slot) {
      out.slots[slot].qkv = qkv;
      out.slots[slot].key_heads = attention.kv_heads;
    }
  }
}

void collect_latent(Collector& out, const std::string& at, const Attention& attention, const LatentProjection& latent) {
  if (latent.q_rank) {
    out.matrix(at + "q_down", *latent.q_rank, out.width, latent.bias);
    out.norm(at + "q_down_norm", latent.norm, *latent.q_rank);
    out.matrix(at + "q_up", attention.heads * attention.d_qk, *latent.q_rank, false);
  } else {
    out.matrix(at + "q", attention.heads * attention.d_qk, out.width, false);
  }
  out.matrix(at + "kv_down", latent.kv_rank + latent.rotated, out.width, latent.bias);
  out.norm(at + "kv_down_norm", latent.norm, latent.kv_rank);
  out.matrix(at + "kv_up", attention.heads * (attention.d_qk - latent.rotated + attention.d_v), latent.kv_rank, false);
}

void collect(Collector& out, const std::string& at, const Attention& attention) {
  if (attention.latent) {
    collect_latent(out, at, attention, *attention.latent);
  } else {
    collect_projections(out, at, attention);
  }
  collect_head_norm(out, at + "q_norm", attention.q_norm, attention.heads, attention.d_qk);
  collect_head_norm(out, at + "k_norm", attention.k_norm, attention.kv_heads, attention.d_qk);
  if (attention.sinks) out.add(at + "sinks.weight", SlotKind::kVector, {attention.heads});
  if (const auto* bias = std::get_if<BucketBias>(&attention.score); bias != nullptr && bias->own_table)
    out.table(at + "score", bias->buckets, attention.heads);
  if (const auto* relative = std::get_if<Disentangled>(&attention.score); relative != nullptr && !relative->shared) {
    const std::int64_t outputs = attention.heads * attention.d_qk;
    if (relative->content_to_position) out.matrix(at + "position_k", outputs, out.width, relative->key_bias);
    if (relative->position_to_content) out.matrix(at + "position_q", outputs, out.width, true);
  }
  out.matrix(at + "out", out.width, attention.heads * attention.d_v, attention.out_bias);
}

void collect(Collector& out, const std::string& at, const Mlp& mlp) {
  if (mlp.gated) out.matrix(at + "gate", mlp.hidden, out.width, mlp.bias);
  out.matrix(at + "up", mlp.hidden, out.width, mlp.bias);
  if (mlp.xielu) {
    out.add(at + "alpha_p.weight", SlotKind::kVector, {1});
    out.add(at + "alpha_n.weight", SlotKind::kVector, {1});
  }
  out.matrix(at + "down", out.width, mlp.hidden, mlp.bias);
}

void collect(Collector& out, const std::string& at, const Experts& experts) {
  const Router& router = experts.router;
  out.matrix(at + "router", router.experts, out.width, router.bias);
  if (router.rule == Router::Rule::kSigmoidGroups)
    out.add(at + "router.correction.weight", SlotKind::kVector, {router.experts});
  for (std::int64_t e = 0; e < router.experts; ++e) {
    const std::string expert = at + "experts." + std::to_string(e) + ".";
    const std::size_t first = out.slots.size();
    out.matrix(expert + "gate", experts.hidden, out.width, experts.bias);
    out.matrix(expert + "up", experts.hidden, out.width, experts.bias);
    out.matrix(expert + "down", out.width, experts.hidden, experts.bias);
    for (std::size_t slot = first; slot < out.slots.size(); ++slot) {
      out.slots[slot].expert = e;
      out.slots[slot].experts = router.experts;
    }
  }
  if (!experts.shared) return;
  out.matrix(at + "shared.gate", experts.shared->hidden, out.width, false);
  out.matrix(at + "shared.up", experts.shared->hidden, out.width, false);
  out.matrix(at + "shared.down", out.width, experts.shared->hidden, false);
  if (experts.shared->gated) out.matrix(at + "shared_gate", 1, out.width, false);
}

void collect(Collector& out, const std::string& at, const ShortConv& conv) {
  out.matrix(at + "in", 3 * out.width, out.width, conv.bias);
  out.add(at + "taps.weight", SlotKind::kChannels, {out.width, conv.taps});
  if (conv.bias) out.add(at + "taps.bias", SlotKind::kVector, {out.width});
  out.matrix(at + "out", out.width, out.width, conv.bias);
}

void collect(Collector& out, const std::string& at, const TokenConv& conv) {
  out.add(at + "taps.weight", SlotKind::kTaps, {out.width, out.width / conv.groups * conv.taps});
  out.slots.back().taps = conv.taps;
  out.add(at + "taps.bias", SlotKind::kVector, {out.width});
}

void collect(Collector& out, const Embedding& embedding) {
  using At = EmbeddingProjection::At;
  const std::int64_t width = out.width;
  const auto& projection = embedding.projection;
  const std::int64_t tokens = projection ? projection->width : width;
  const std::int64_t tables = projection && projection->at != At::kTokens ? projection->width : width;
  out.table("embed.token", embedding.vocabulary_size, tokens);
  if (embedding.positions) {
    out.table("embed.position", embedding.positions->rows, tables);
    out.slots.back().optional = embedding.positions->computed.has_value();
  }
  if (embedding.types > 0) out.table("embed.type", embedding.types, tables);
  if (embedding.tasks > 0) out.table("embed.task", embedding.tasks, tables);
  out.norm("embed.norm", embedding.norm, projection && projection->at == At::kNormed ? projection->width : width);
  if (projection) out.matrix("embed.projection", width, projection->width, projection->bias);
}

// Tables that a stack's blocks share belong to the first block that needs them.
void collect_shared(Collector& out, const Attention& attention, const Stack& stack, bool& seen) {
  if (seen) return;
  if (const auto* bias = std::get_if<BucketBias>(&attention.score); bias != nullptr && !bias->own_table) {
    out.table("score", bias->buckets, attention.heads);
    seen = true;
  } else if (const auto* relative = std::get_if<Disentangled>(&attention.score)) {
    out.table("relative", 2 * relative->span, out.width);
    out.norm("relative_norm", stack.relative_norm, out.width);
    seen = true;
  }
}

void collect(Collector& out, const Stack& stack) {
  collect(out, stack.embedding);
  bool shared_seen = false;
  for (std::size_t i = 0; i < stack.blocks.size(); ++i) {
    const Block& block = stack.blocks[i];
    if (block.same_as) continue;
    out.enter(block.source.empty() ? std::to_string(i) : block.source);
    for (const Step& step : block.steps) {
      const std::string at = "block." + std::to_string(i) + "." + step.slot + ".";
      if (!step.same_pre) out.norm(at + "pre", step.pre, out.width);
      std::visit([&](const auto& mixer) { collect(out, at, mixer); }, step.mixer);
      if (const auto* attention = std::get_if<Attention>(&step.mixer))
        collect_shared(out, *attention, stack, shared_seen);
      out.norm(at + "post", step.post, out.width);
      out.norm(at + "after", step.after, out.width);
    }
  }
  out.enter("");
  if (const auto& rotation = stack.rotation) {
    const bool table = rotation->rows > 0;
    out.add("rotation.weight", table ? SlotKind::kTable : SlotKind::kVector,
            table ? Shape{rotation->rows, 2 * rotation->pairs} : Shape{rotation->pairs})
        .optional = true;
  }
  out.norm("top", stack.top, out.width);
  if (stack.projection) out.matrix("top_projection", stack.projection->width, out.width, stack.projection->bias);
}

void collect(Collector& out, const std::string& name, const Head& head, const Stack& stack, std::int64_t scores) {
  std::int64_t inputs = stack.final_width(out.width);
  const std::size_t first = out.slots.size();
  if (head.transform) {
    out.matrix(name + ".transform", head.transform->width, inputs, head.transform->bias);
    inputs = head.transform->width;
    out.norm(name + ".norm", head.transform->norm, inputs);
  }
  out.matrix(name + ".out", scores, inputs, head.bias);
  for (std::size_t slot = first; slot < out.slots.size(); ++slot) out.slots[slot].optional = true;
}

}  // namespace

std::string Cut::text() const {
  std::string text = "whole";
  if (qkv)
    text = std::string("the ") + (part == 0 ? "q" : part == 1 ? "k" : "v") + " rows of q, k, v";
  else if (parts > 1)
    text = "part " + std::to_string(part + 1) + " of " + std::to_string(parts);
  switch (groups) {
    case Groups::kOne: break;
    case Groups::kKeyHeads: text += " of every key head"; break;
    case Groups::kFour: text += " of every quarter"; break;
    case Groups::kRows: text += " of every row group"; break;
  }
  if (expert) text += ", of the expert";
  return transposed ? (text == "whole" ? "transposed" : text + ", transposed") : text;
}

std::string stack_prefix(const ModelSpec& spec, StackId stack) {
  if (!spec.two_stacks()) return "";
  return stack == StackId::kEncoder ? "enc." : "dec.";
}

std::vector<Slot> slots_of(const ModelSpec& spec) {
  std::vector<Slot> all;
  const auto append = [&](Collector& collector) {
    all.insert(all.end(), std::make_move_iterator(collector.slots.begin()),
               std::make_move_iterator(collector.slots.end()));
  };
  for (const auto& [stack, id] :
       {std::pair{&spec.encoder, StackId::kEncoder}, std::pair{&spec.decoder, StackId::kDecoder}}) {
    if (!*stack) continue;
    Collector collector(stack_prefix(spec, id), spec.width);
    collect(collector, **stack);
    append(collector);
  }
  if (spec.head) {
    Collector collector("", spec.width);
    collect(collector, "head", *spec.head, spec.stack(spec.head_stack()), spec.scores());
    append(collector);
  }
  if (spec.labels) {
    Collector collector("", spec.width);
    collect(collector, "labels", spec.labels->head, spec.stack(spec.head_stack()), *spec.labels->head.outputs);
    append(collector);
  }
  if (spec.pooler) {
    Collector collector("", spec.width);
    collector.matrix("pooler", spec.width, spec.width, true);
    for (Slot& slot : collector.slots) slot.optional = true;
    append(collector);
  }
  return all;
}

}  // namespace layerscope
