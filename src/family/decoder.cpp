#include "family/decoder.h"

#include <algorithm>
#include <cmath>
#include <string>
#include <utility>

namespace layerscope {

void alias_gpt2_names(Config& c) {
  c.alias("hidden_size", "n_embd");
  c.alias("max_position_embeddings", "n_positions");
  c.alias("num_attention_heads", "n_head");
  c.alias("num_hidden_layers", "n_layer");
}

namespace {

// The first of these keys that the config has, for messages.
std::string present(const Config& c, std::initializer_list<std::string_view> keys) {
  for (const std::string_view key : keys) {
    if (c.has(key)) return "\"" + std::string(key) + "\"";
  }
  return "\"" + std::string(*keys.begin()) + "\"";
}

}  // namespace

std::int64_t head_width(Config& c, std::int64_t width, std::int64_t heads) {
  const std::int64_t head = std::max<std::int64_t>(width / heads, 1);
  c.require(head * heads == width, present(c, {"hidden_size", "n_embd", "d_model"}) + " is " + std::to_string(width) +
                                       ", expected a multiple of the " + std::to_string(heads) + " heads of " +
                                       present(c, {"num_attention_heads", "n_head", "n_heads", "num_heads"}));
  c.only("head_dim", head);
  return head;
}

Attention causal_attention(Config& c, std::int64_t head, std::int64_t heads, std::int64_t kv_heads) {
  c.require(heads % kv_heads == 0, std::to_string(heads) + " attention heads are not a multiple of the " +
                                       std::to_string(kv_heads) + " key heads");
  return {.heads = heads,
          .kv_heads = kv_heads,
          .d_qk = head,
          .d_v = head,
          .keys = KeySource::kSelfCausal,
          .scale = static_cast<float>(1 / std::sqrt(static_cast<double>(head)))};
}

Rope whole_rope(Config& c, std::int64_t head) {
  Rope rope = c.rope(head);
  c.require(2 * rope.pairs == head,
            "\"partial_rotary_factor\" is not 1, expected all " + std::to_string(head) + " elements of a head to turn");
  return rope;
}

Alibi falling_scores(Config& c, std::int64_t heads) {
  constexpr std::int64_t kMostHeads = 4096;
  c.require(heads <= kMostHeads,
            std::to_string(heads) + " attention heads, expected at most " + std::to_string(kMostHeads));
  return {.slopes = alibi_slopes(std::min(heads, kMostHeads))};
}

Block pre_norm_block(const Norm& norm, const Attention& attention, const Mlp& mlp, Order order) {
  const auto reads = order == Order::kSequential ? Step::Reads::kStream : Step::Reads::kBlockInput;
  return {
      {Step{.slot = "attn", .pre = norm, .mixer = attention},
       Step{.slot = "mlp", .reads = reads, .pre = norm, .same_pre = order == Order::kParallelOneNorm, .mixer = mlp}}};
}

std::optional<Head> language_head(Config& c, bool tied, bool bias) {
  if (!c.architecture_ends_in({"ForCausalLM", "LMHeadModel", "DoubleHeadsModel"})) return std::nullopt;
  return Head{.tied = c.flag("tie_word_embeddings", tied), .bias = bias};
}

ModelSpec causal_or_not(Config& c, ModelSpec model) {
  if (c.flag("is_causal", true)) return model;
  for (Block& block : model.decoder->blocks) {
    auto& attention = std::get<Attention>(block.steps.front().mixer);
    attention.keys = KeySource::kSelf;
    if (attention.window) ++*attention.window;
  }
  model.encoder = std::exchange(model.decoder, std::nullopt);
  return model;
}

}  // namespace layerscope
