#include "spec/bind.h"

namespace layerscope {
namespace {

class Collector {
 public:
  explicit Collector(std::string prefix) : prefix_(std::move(prefix)) {}

  void matrix(const std::string& name, std::int64_t outputs, std::int64_t inputs, bool bias) {
    add(name + ".weight", SlotKind::kMatrix, {outputs, inputs});
    if (bias) add(name + ".bias", SlotKind::kVector, {outputs});
  }
  void norm(const std::string& name, const std::optional<Norm>& norm, std::int64_t width) {
    if (!norm) return;
    add(name + ".weight", SlotKind::kVector, {width});
    if (norm->bias) add(name + ".bias", SlotKind::kVector, {width});
  }
  void table(const std::string& name, std::int64_t rows, std::int64_t width) {
    add(name + ".weight", SlotKind::kTable, {rows, width});
  }

  std::vector<Slot> slots;

 private:
  void add(const std::string& name, SlotKind kind, Shape shape) { slots.push_back({prefix_ + name, kind, shape}); }
  std::string prefix_;
};

void collect(Collector& out, const std::string& at, const Attention& attention, std::int64_t width) {
  out.matrix(at + "q", attention.heads * attention.d_qk, width, attention.qkv_bias);
  out.matrix(at + "k", attention.kv_heads * attention.d_qk, width, attention.qkv_bias);
  out.matrix(at + "v", attention.kv_heads * attention.d_v, width, attention.qkv_bias);
  out.norm(at + "q_norm", attention.q_norm, attention.d_qk);
  out.norm(at + "k_norm", attention.k_norm, attention.d_qk);
  out.matrix(at + "out", width, attention.heads * attention.d_v, attention.out_bias);
}

void collect(Collector& out, const std::string& at, const Mlp& mlp, std::int64_t width) {
  if (mlp.gated) out.matrix(at + "gate", mlp.hidden, width, mlp.bias);
  out.matrix(at + "up", mlp.hidden, width, mlp.bias);
  out.matrix(at + "down", width, mlp.hidden, mlp.bias);
}

void collect(Collector& out, const Stack& stack, std::int64_t width) {
  const Embedding& embedding = stack.embedding;
  out.table("embed.token", embedding.vocabulary_size, width);
  if (embedding.positions) out.table("embed.position", embedding.positions->rows, width);
  if (embedding.types > 0) out.table("embed.type", embedding.types, width);
  out.norm("embed.norm", embedding.norm, width);
  bool score_seen = false;
  for (std::size_t i = 0; i < stack.blocks.size(); ++i) {
    for (const Step& step : stack.blocks[i].steps) {
      const std::string at = "block." + std::to_string(i) + "." + step.slot + ".";
      out.norm(at + "pre", step.pre, width);
      std::visit([&](const auto& mixer) { collect(out, at, mixer, width); }, step.mixer);
      const auto* attention = std::get_if<Attention>(&step.mixer);
      if (attention != nullptr && attention->score && !score_seen) {
        out.table("score", attention->score->buckets, attention->heads);
        score_seen = true;
      }
      out.norm(at + "post", step.post, width);
      out.norm(at + "after", step.after, width);
    }
  }
  out.norm("top", stack.top, width);
}

}  // namespace

std::string Cut::text() const {
  std::string text = transposed ? "transposed" : "whole";
  if (parts > 1)
    text = "part " + std::to_string(part + 1) + " of " + std::to_string(parts) + (transposed ? ", transposed" : "");
  return text;
}

std::vector<Slot> slots_of(const ModelSpec& spec) {
  std::vector<Slot> all;
  for (const auto& [stack, prefix] : {std::pair{&spec.encoder, "enc."}, std::pair{&spec.decoder, "dec."}}) {
    if (!*stack) continue;
    Collector collector(spec.two_stacks() ? prefix : "");
    collect(collector, **stack, spec.width);
    all.insert(all.end(), std::make_move_iterator(collector.slots.begin()),
               std::make_move_iterator(collector.slots.end()));
  }
  return all;
}

}  // namespace layerscope
