#include "family/llama_relative.h"

namespace layerscope {
namespace {

void for_norms(ModelSpec& spec, const std::function<void(Norm&)>& change) {
  for (Block& block : spec.decoder->blocks) {
    for (Step& step : block.steps) {
      if (step.pre) change(*step.pre);
      auto* attention = std::get_if<Attention>(&step.mixer);
      if (attention == nullptr) continue;
      if (attention->q_norm) change(attention->q_norm->norm);
      if (attention->k_norm) change(attention->k_norm->norm);
    }
  }
  if (spec.decoder->top) change(*spec.decoder->top);
}

constexpr Cut kGate{.part = 0, .parts = 2, .expert = true}, kUp{.part = 1, .parts = 2, .expert = true},
    kDown{.expert = true};
constexpr Bind kBinds[] = {
    {"embed.token", "embed_tokens"},
    {"block.{i}.attn.pre", "layers.{i}.input_layernorm"},
    {"block.{i}.attn.q", "layers.{i}.self_attn.q_proj"},
    {"block.{i}.attn.k", "layers.{i}.self_attn.k_proj"},
    {"block.{i}.attn.v", "layers.{i}.self_attn.v_proj"},
    {"block.{i}.attn.q_norm", "layers.{i}.self_attn.q_norm"},
    {"block.{i}.attn.k_norm", "layers.{i}.self_attn.k_norm"},
    {"block.{i}.attn.out", "layers.{i}.self_attn.o_proj"},
    {"block.{i}.mlp.pre", "layers.{i}.post_attention_layernorm"},
    {"block.{i}.mlp.gate", "layers.{i}.mlp.gate_proj"},
    {"block.{i}.mlp.up", "layers.{i}.mlp.up_proj"},
    {"block.{i}.mlp.down", "layers.{i}.mlp.down_proj"},
    {"block.{i}.mlp.router", "layers.{i}.mlp.gate"},
    {"block.{i}.mlp.router", "layers.{i}.block_sparse_moe.gate"},
    {"block.{i}.mlp.router", "layers.{i}.block_sparse_moe.router.layer"},
    {"block.{i}.mlp.router", "layers.{i}.block_sparse_moe.router"},
    {"block.{i}.mlp.experts.{e}.gate", "layers.{i}.mlp.experts.{e}.gate_proj"},
    {"block.{i}.mlp.experts.{e}.gate", "layers.{i}.mlp.experts.gate_up_proj!", kGate},
    {"block.{i}.mlp.experts.{e}.gate", "layers.{i}.block_sparse_moe.experts.{e}.w1"},
    {"block.{i}.mlp.experts.{e}.gate", "layers.{i}.block_sparse_moe.input_linear", kGate},
    {"block.{i}.mlp.experts.{e}.gate", "layers.{i}.block_sparse_moe.experts.gate_up_proj!", kGate},
    {"block.{i}.mlp.experts.{e}.up", "layers.{i}.mlp.experts.{e}.up_proj"},
    {"block.{i}.mlp.experts.{e}.up", "layers.{i}.mlp.experts.gate_up_proj!", kUp},
    {"block.{i}.mlp.experts.{e}.up", "layers.{i}.block_sparse_moe.experts.{e}.w3"},
    {"block.{i}.mlp.experts.{e}.up", "layers.{i}.block_sparse_moe.input_linear", kUp},
    {"block.{i}.mlp.experts.{e}.up", "layers.{i}.block_sparse_moe.experts.gate_up_proj!", kUp},
    {"block.{i}.mlp.experts.{e}.down", "layers.{i}.mlp.experts.{e}.down_proj"},
    {"block.{i}.mlp.experts.{e}.down", "layers.{i}.mlp.experts.down_proj!", kDown},
    {"block.{i}.mlp.experts.{e}.down", "layers.{i}.block_sparse_moe.experts.{e}.w2"},
    {"block.{i}.mlp.experts.{e}.down", "layers.{i}.block_sparse_moe.output_linear", kDown},
    {"block.{i}.mlp.experts.{e}.down", "layers.{i}.block_sparse_moe.experts.down_proj!", kDown},
    {"block.{i}.mlp.shared.gate", "layers.{i}.mlp.shared_expert.gate_proj"},
    {"block.{i}.mlp.shared.up", "layers.{i}.mlp.shared_expert.up_proj"},
    {"block.{i}.mlp.shared.down", "layers.{i}.mlp.shared_expert.down_proj"},
    {"block.{i}.mlp.shared_gate", "layers.{i}.mlp.shared_expert_gate"},
    {"top", "norm"},
    {"head.out", "lm_head"},
};
constexpr std::string_view kIgnored[] = {"lm_head.weight", "score.*", "qa_outputs.*",
                                         "layers.*.self_attn.rotary_emb.inv_freq"};

}  // namespace

const std::span<const Bind> kMixtureBinds = kBinds;
const std::span<const std::string_view> kMixtureIgnored = kIgnored;

void for_attentions(ModelSpec& spec, const std::function<void(Attention&)>& change) {
  for (Block& block : spec.decoder->blocks) {
    for (Step& step : block.steps) {
      if (auto* attention = std::get_if<Attention>(&step.mixer)) change(*attention);
    }
  }
}

ModelSpec describe_relative(Config& c, const LlamaTraits& traits, const RelativeDefaults& defaults) {
  ModelSpec spec = describe_llama(c, traits);
  const float epsilon = c.epsilon("rms_norm_eps", defaults.epsilon);
  for_norms(spec, [epsilon](Norm& norm) { norm.epsilon = epsilon; });
  if (spec.decoder->blocks.empty()) return spec;
  const std::int64_t head = std::get<Attention>(spec.decoder->blocks.front().steps.front().mixer).d_qk;
  const Rope rope = c.rope(head, {.theta = defaults.theta, .interleaved = defaults.interleaved});
  for_attentions(spec, [&rope](Attention& attention) { attention.rope = rope; });
  spec.head = causal_head(c, defaults.tied);
  return spec;
}

void put_experts(Config& c, ModelSpec& spec, const Experts& experts,
                 const std::function<bool(std::int64_t)>& sparse) {
  const Router& router = experts.router;
  c.require(router.chosen <= router.experts, "\"num_experts_per_tok\" is above the number of experts");
  std::int64_t number = 0;
  for (Block& block : spec.decoder->blocks) {
    if (!sparse(number++)) continue;
    Step& step = block.steps.back();
    const Mlp mlp = std::get<Mlp>(step.mixer);
    Experts placed = experts;
    placed.activation = mlp.activation;
    if (placed.hidden == 0) placed.hidden = mlp.hidden;
    step.mixer = placed;
  }
}

std::int64_t expert_count(Config& c, std::int64_t fallback) {
  if (!c.has("num_local_experts")) return c.size("num_experts", fallback);
  c.alias("num_experts", "num_local_experts");
  return c.size("num_local_experts");
}

std::optional<Head> causal_head(Config& c, bool tied) {
  if (!c.architecture_ends_in({"ForCausalLM"})) return std::nullopt;
  return Head{.tied = c.flag("tie_word_embeddings", tied)};
}

}  // namespace layerscope
