#include "family/mixture.h"

namespace layerscope {

void put_experts(Config& c, LlamaTraits& traits, const Experts& experts,
                 const std::function<bool(std::int64_t)>& sparse) {
  c.require(experts.router.chosen <= experts.router.experts, "\"num_experts_per_tok\" is above the number of experts");
  traits.adapt = [experts, sparse](std::int64_t block, Attention&, Mixer& mixer) {
    if (!sparse(block)) return;
    const Mlp mlp = std::get<Mlp>(mixer);
    Experts placed = experts;
    placed.activation = mlp.activation;
    if (placed.hidden == 0) placed.hidden = mlp.hidden;
    mixer = placed;
  };
}

std::int64_t expert_count(Config& c, std::int64_t fallback) {
  c.alias("num_local_experts", "num_experts");
  return c.size("num_experts", fallback);
}

namespace {

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

}  // namespace

const std::span<const Bind> kMixtureBinds = kBinds;

}  // namespace layerscope
