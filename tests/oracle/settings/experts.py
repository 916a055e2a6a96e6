"""Mixtures of experts, latent attention, short convolutions, and dense relatives of Llama."""

from settings import Tiny

LLAMA = {"vocab_size": 71, "hidden_size": 24, "num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2, "intermediate_size": 20, "max_position_embeddings": 64}
MIXTURE = LLAMA | {"num_local_experts": 4, "num_experts_per_tok": 2}
QWEN = LLAMA | {"num_experts": 5, "num_experts_per_tok": 2, "moe_intermediate_size": 12}
OSS = MIXTURE | {"head_dim": 8, "sliding_window": 5, "pad_token_id": None}
SHARP = {"mlp.gate.weight": (0.0, 0.6), "router": (0.0, 0.6), "block_sparse_moe.gate": (0.0, 0.6), "_bias": (0.0, 0.2), "sinks": (0.5, 1.0)}
WIDE = {"gate_up_proj": (0.0, 1.2)}  # so that gates are clamped
DEEP = {"vocab_size": 71, "hidden_size": 24, "num_hidden_layers": 2, "num_attention_heads": 3, "num_key_value_heads": 3, "intermediate_size": 30, "moe_intermediate_size": 10, "n_routed_experts": 8, "n_shared_experts": 1, "num_experts_per_tok": 3, "n_group": 4, "topk_group": 2, "kv_lora_rank": 10, "q_lora_rank": 14, "qk_rope_head_dim": 4, "qk_nope_head_dim": 6, "v_head_dim": 5, "first_k_dense_replace": 1, "max_position_embeddings": 64}
YARN = {"factor": 4.0, "original_max_position_embeddings": 16, "beta_fast": 32.0, "beta_slow": 1.0, "mscale": 1.0, "mscale_all_dim": 0.7}
CONV = {"vocab_size": 71, "hidden_size": 24, "num_hidden_layers": 4, "num_attention_heads": 4, "num_key_value_heads": 2, "intermediate_size": 40, "block_multiple_of": 8, "max_position_embeddings": 64}


def old(theta, **scaling):
    return {"rope_theta": theta} | ({"rope_scaling": scaling} if scaling else {})


def new(theta, **scaling):
    return {"rope_parameters": {"rope_type": "default", "rope_theta": theta} | scaling}


def sharp(name, architecture, config, spreads=None, **more):
    """A model whose routers decide clearly."""
    return Tiny(name, architecture, config, spreads=SHARP | (spreads or {}), **more)


MODELS = [
    sharp("mixtral-base-v4", "MixtralForCausalLM", MIXTURE | old(1e6) | {"sliding_window": 6}),
    sharp("mixtral-head-v5", "MixtralForCausalLM", MIXTURE | new(5e4) | {"head_dim": 8, "num_experts_per_tok": 3, "rms_norm_eps": 1e-3, "tie_word_embeddings": True}),
    sharp("mixtral-merged-v5", "MixtralModel", MIXTURE | {"num_local_experts": 3, "hidden_act": "gelu"}, in_memory=True),
    sharp("qwen2_moe-base-v4", "Qwen2MoeForCausalLM", QWEN | {"shared_expert_intermediate_size": 15, "decoder_sparse_step": 2, "num_hidden_layers": 3}),
    sharp("qwen2_moe-window-v5", "Qwen2MoeForCausalLM", QWEN | new(2e4) | {"shared_expert_intermediate_size": 9, "mlp_only_layers": [1], "num_hidden_layers": 3, "norm_topk_prob": True, "use_sliding_window": True, "sliding_window": 4, "qkv_bias": False}),
    sharp("qwen3_moe-base-v4", "Qwen3MoeForCausalLM", QWEN | {"head_dim": 8, "norm_topk_prob": True, "mlp_only_layers": [0]}),
    sharp("qwen3_moe-bias-v5", "Qwen3MoeModel", QWEN | {"head_dim": 10, "attention_bias": True, "use_sliding_window": True, "sliding_window": 5}),
    sharp("olmoe-clip-v4", "OlmoeForCausalLM", LLAMA | {"num_experts": 6, "num_experts_per_tok": 3, "clip_qkv": 0.6}),
    sharp("olmoe-base-v5", "OlmoeForCausalLM", LLAMA | {"num_experts": 4, "num_experts_per_tok": 2, "norm_topk_prob": True, "attention_bias": True, "num_key_value_heads": 4}),
    sharp("granitemoe-base-v4", "GraniteMoeForCausalLM", MIXTURE | {"embedding_multiplier": 3.0, "residual_multiplier": 0.4, "attention_multiplier": 0.3, "logits_scaling": 5.0}),
    sharp("granitemoe-bias-v5", "GraniteMoeForCausalLM", MIXTURE | {"attention_bias": True, "num_key_value_heads": 4, "residual_multiplier": 1.5, "attention_multiplier": 0.5, "tie_word_embeddings": True}),
    sharp("gpt_oss-base-v4", "GptOssForCausalLM", OSS, spreads=WIDE),
    sharp("gpt_oss-plain-v5", "GptOssForCausalLM", OSS | new(1e4) | {"layer_types": ["full_attention", "sliding_attention"], "swiglu_alpha": 1.2, "swiglu_limit": 1.5, "attention_bias": False}, spreads=WIDE),
    # Corrections above 0: below it transformers 4 takes experts outside the chosen groups.
    Tiny("deepseek_v3-base-v4", "DeepseekV3ForCausalLM", DEEP | old(1e4, type="yarn", **YARN), spreads={"correction_bias": (0.6, 0.15)} | SHARP),
    sharp("deepseek_v3-plain-v5", "DeepseekV3ForCausalLM", DEEP | {"q_lora_rank": None, "norm_topk_prob": False, "rope_interleave": False, "attention_bias": True, "n_group": 1, "topk_group": 1, "n_shared_experts": 2}),
    sharp("deepseek_v3-yarn-v5", "DeepseekV3Model", DEEP | new(1e4, **(YARN | {"rope_type": "yarn"})) | {"first_k_dense_replace": 0, "hidden_act": "gelu_pytorch_tanh", "routed_scaling_factor": 1.7}),
    Tiny("lfm2-base-v4", "Lfm2ForCausalLM", CONV | {"full_attn_idxs": [1, 3], "rope_theta": 3e4}),
    Tiny("lfm2-bias-v5", "Lfm2ForCausalLM", CONV | {"layer_types": ["conv", "conv", "full_attention"], "num_hidden_layers": 3, "conv_bias": True, "conv_L_cache": 4, "block_ffn_dim_multiplier": 1.3, "tie_word_embeddings": False, "norm_eps": 1e-3}),
    Tiny("lfm2-plain-v5", "Lfm2Model", CONV | {"layer_types": ["conv", "full_attention"], "num_hidden_layers": 2, "conv_L_cache": 2, "block_auto_adjust_ff_dim": False}),
    Tiny("helium-base-v4", "HeliumForCausalLM", LLAMA | {"head_dim": 6, "attention_bias": True, "rope_theta": 2e4}),
    Tiny("helium-bias-v5", "HeliumModel", LLAMA | {"head_dim": 6, "mlp_bias": True, "pad_token_id": 3}),
    Tiny("ernie4_5-base-v4", "Ernie4_5ForCausalLM", LLAMA | {"head_dim": 8}),
    Tiny("ernie4_5-bias-v5", "Ernie4_5ForCausalLM", LLAMA | {"head_dim": None, "use_bias": True, "tie_word_embeddings": False}),
    Tiny("hunyuan_v1_dense-base-v4", "HunYuanDenseV1ForCausalLM", LLAMA | {"head_dim": 8, "rope_scaling": {"type": "dynamic", "alpha": 50.0, "factor": 1.0}}),
    Tiny("hunyuan_v1_dense-bias-v5", "HunYuanDenseV1ForCausalLM", LLAMA | {"head_dim": 6, "attention_bias": True, "tie_word_embeddings": True}),
]
