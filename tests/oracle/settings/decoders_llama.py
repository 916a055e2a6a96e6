"""Llama and its relatives: where norms stand, which blocks slide or rotate, every way to stretch a rotation."""

from settings import Tiny

LENGTHS = (1, 2, 9, 21)
BASE = {
    "vocab_size": 71,
    "hidden_size": 24,
    "intermediate_size": 26,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 64,
    "bos_token_id": 1,
    "eos_token_id": 2,
    "pad_token_id": 0,
}
CENTRED = {"norm": (0.0, 0.2)}  # norms that add 1 to their weight
FULL, SLIDING = "full_attention", "sliding_attention"


def tiny(name, architecture, config, **others):
    return Tiny(name, architecture, BASE | config, lengths=LENGTHS, **others)


def llama3(theta):
    low_and_high = {"low_freq_factor": 1.0, "high_freq_factor": 4.0}
    return {"rope_type": "llama3", "rope_theta": theta, "factor": 8.0, "original_max_position_embeddings": 32} | low_and_high


LONG = {"short_factor": [1.0, 1.2, 1.5, 2.0], "long_factor": [1.5, 2.0, 8.0, 30.0]}

MODELS = [
    tiny("llama-untied-v4", "LlamaForCausalLM", {"hidden_size": 18, "num_attention_heads": 3, "num_key_value_heads": 1, "head_dim": 8, "num_hidden_layers": 3}),
    tiny("llama-both-ways-v5", "LlamaForCausalLM", {"is_causal": False, "tie_word_embeddings": True}),
    tiny("llama-longrope-v4", "LlamaModel", {"head_dim": 8, "max_position_embeddings": 14, "rope_scaling": {"rope_type": "longrope", "factor": 4.0} | LONG}),
    tiny("llama-longrope-v5", "LlamaModel", {"head_dim": 8, "rope_parameters": {"rope_type": "longrope", "rope_theta": 5000.0, "original_max_position_embeddings": 12} | LONG}),
    tiny("llama-dynamic-long-v4", "LlamaForCausalLM", {"head_dim": 10, "max_position_embeddings": 13, "rope_scaling": {"type": "dynamic", "factor": 3.0}}),
    tiny("mistral-both-ways-v5", "MistralForCausalLM", {"is_causal": False, "sliding_window": 4, "head_dim": 6}),
    tiny("mistral-yarn-v4", "MistralForCausalLM", {"sliding_window": None, "head_dim": 12, "rope_scaling": {"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 16, "mscale": 0.7, "mscale_all_dim": 0.9}}),
    tiny("mistral-yarn-v5", "MistralModel", {"head_dim": 12, "sliding_window": 9, "rope_parameters": {"rope_type": "yarn", "rope_theta": 3000.0, "factor": 6.0, "original_max_position_embeddings": 11, "truncate": False, "beta_fast": 8, "beta_slow": 2}}),
    tiny("ministral-base-v4", "MinistralModel", {"sliding_window": 3, "head_dim": 6}),
    tiny("ministral-types-v5", "MinistralForCausalLM", {"sliding_window": 5, "head_dim": 8, "layer_types": [FULL, SLIDING, FULL], "num_hidden_layers": 3, "tie_word_embeddings": True}),
    tiny("qwen2-types-v4", "Qwen2ForCausalLM", {"use_sliding_window": True, "sliding_window": 4, "layer_types": [SLIDING, FULL], "hidden_size": 21, "num_attention_heads": 3, "num_key_value_heads": 3, "head_dim": 4}),
    tiny("qwen2-both-ways-v5", "Qwen2Model", {"is_causal": False, "use_sliding_window": True, "sliding_window": 3, "max_window_layers": 1, "head_dim": 6}),
    tiny("qwen3-dynamic-v4", "Qwen3ForCausalLM", {"head_dim": 8, "max_position_embeddings": 10, "rope_theta": 4000.0, "rope_scaling": {"rope_type": "dynamic", "factor": 2.0}, "num_key_value_heads": 1}),
    tiny("qwen3-both-ways-v5", "Qwen3ForCausalLM", {"head_dim": 6, "is_causal": False, "attention_bias": True, "tie_word_embeddings": True}),
    tiny("gemma-base-v4", "GemmaModel", {"head_dim": 8, "attention_bias": True}, spreads=CENTRED),
    tiny("gemma-lm-v5", "GemmaForCausalLM", {"head_dim": 6, "hidden_size": 19, "num_attention_heads": 3, "num_key_value_heads": 1, "hidden_act": "relu", "rms_norm_eps": 1e-4}, spreads=CENTRED),
    tiny("gemma2-lm-v4", "Gemma2ForCausalLM", {"head_dim": 6, "sliding_window": 4, "query_pre_attn_scalar": 10, "attn_logit_softcapping": 1.5, "final_logit_softcapping": 2.0, "num_hidden_layers": 3}, spreads=CENTRED),
    tiny("gemma2-types-v5", "Gemma2ForCausalLM", {"head_dim": 8, "sliding_window": 5, "layer_types": [FULL, SLIDING], "query_pre_attn_scalar": 20, "attn_logit_softcapping": 2.5, "final_logit_softcapping": None, "attention_bias": True, "tie_word_embeddings": False}, spreads=CENTRED),
    tiny("gemma2-uncapped-v5", "Gemma2Model", {"head_dim": 4, "sliding_window": 3, "attn_logit_softcapping": None, "hidden_activation": "silu", "is_causal": False}, spreads=CENTRED),
    tiny("gemma3_text-linear-v4", "Gemma3ForCausalLM", {"head_dim": 8, "sliding_window": 4, "sliding_window_pattern": 2, "rope_theta": 20000.0, "rope_local_base_freq": 500.0, "rope_scaling": {"rope_type": "linear", "factor": 3.0}, "query_pre_attn_scalar": 12, "attn_logit_softcapping": 1.0, "num_hidden_layers": 3}, spreads=CENTRED),
    tiny("gemma3_text-yarn-v5", "Gemma3ForCausalLM", {"head_dim": 12, "sliding_window": 6, "layer_types": [SLIDING, FULL], "rope_parameters": {FULL: {"rope_type": "yarn", "rope_theta": 9000.0, "factor": 4.0, "original_max_position_embeddings": 12}, SLIDING: {"rope_type": "default", "rope_theta": 300.0}}, "query_pre_attn_scalar": 16, "final_logit_softcapping": 3.0, "attn_logit_softcapping": 1.0}, spreads=CENTRED),
    tiny("gemma3_text-both-ways-v4", "Gemma3TextModel", {"head_dim": 6, "sliding_window": 11, "use_bidirectional_attention": True, "sliding_window_pattern": 3, "num_hidden_layers": 3, "query_pre_attn_scalar": 8}, spreads=CENTRED),
    tiny("gemma3_text-both-ways-v5", "Gemma3TextModel", {"head_dim": 6, "sliding_window": 8, "use_bidirectional_attention": True, "layer_types": [SLIDING, FULL], "query_pre_attn_scalar": 8, "attention_bias": True}, spreads=CENTRED),
    tiny("olmo-dynamic-v4", "OlmoForCausalLM", {"head_dim": 8, "max_position_embeddings": 12, "rope_scaling": {"type": "dynamic", "factor": 4.0}, "attention_bias": True, "tie_word_embeddings": True}),
    tiny("olmo-clip-v5", "OlmoForCausalLM", {"hidden_size": 18, "num_attention_heads": 3, "num_key_value_heads": 3, "head_dim": 6, "clip_qkv": 0.6}),
    tiny("olmo2-linear-v4", "Olmo2ForCausalLM", {"head_dim": 6, "rope_scaling": {"type": "linear", "factor": 2.5}, "rms_norm_eps": 1e-4}),
    tiny("olmo2-bias-v5", "Olmo2Model", {"hidden_size": 18, "num_attention_heads": 3, "num_key_value_heads": 1, "head_dim": 8, "attention_bias": True, "hidden_act": "gelu"}),
    tiny("olmo3-yarn-v4", "Olmo3ForCausalLM", {"head_dim": 12, "sliding_window": 4, "num_hidden_layers": 4, "hidden_size": 16, "rope_theta": 7000.0, "rope_scaling": {"rope_type": "yarn", "factor": 8.0, "attention_factor": 1.2, "original_max_position_embeddings": 10}}),
    tiny("olmo3-linear-v5", "Olmo3ForCausalLM", {"head_dim": 8, "sliding_window": 5, "layer_types": [FULL, SLIDING], "rope_parameters": {FULL: {"rope_type": "linear", "rope_theta": 6000.0, "factor": 2.0}, SLIDING: {"rope_type": "default", "rope_theta": 200.0}}, "attention_bias": True}),
    tiny("smollm3-base-v4", "SmolLM3ForCausalLM", {"num_hidden_layers": 4, "hidden_size": 16, "rope_theta": 900.0}),
    tiny("smollm3-sliding-v5", "SmolLM3ForCausalLM", {"num_hidden_layers": 3, "no_rope_layers": [0, 1, 0], "use_sliding_window": True, "sliding_window": 4, "attention_bias": True, "mlp_bias": True, "tie_word_embeddings": False, "head_dim": 6}),
    tiny("granite-base-v4", "GraniteForCausalLM", {"embedding_multiplier": 3.0, "residual_multiplier": 0.4, "attention_multiplier": 0.3, "logits_scaling": 4.0, "tie_word_embeddings": True}),
    tiny("granite-bias-v5", "GraniteForCausalLM", {"embedding_multiplier": 0.7, "residual_multiplier": 1.3, "attention_multiplier": 0.8, "logits_scaling": 0.5, "attention_bias": True, "mlp_bias": True, "head_dim": 6, "rope_parameters": llama3(2000.0)}),
    tiny("exaone4-full-v4", "Exaone4ForCausalLM", {"sliding_window": None, "layer_types": [FULL, FULL], "head_dim": 8, "rope_scaling": llama3(10000.0)}),
    tiny("exaone4-sliding-v5", "Exaone4ForCausalLM", {"sliding_window": 4, "sliding_window_pattern": 3, "num_hidden_layers": 3, "head_dim": 6, "tie_word_embeddings": True}, spreads={"post_": (0.5, 0.1)}),
    tiny("apertus-base-v4", "ApertusForCausalLM", {"head_dim": 8, "rope_theta": 3000.0}, spreads={"alpha": (0.3, 0.5)}),
    tiny("apertus-bias-v5", "ApertusForCausalLM", {"attention_bias": True, "rope_parameters": {"rope_type": "default", "rope_theta": 400.0}, "tie_word_embeddings": True, "hidden_size": 24}, spreads={"alpha": (-0.5, 0.5)}),
    tiny("arcee-bias-v4", "ArceeForCausalLM", {"attention_bias": True, "mlp_bias": True, "hidden_size": 24}),
    tiny("arcee-yarn-v5", "ArceeModel", {"head_dim": 12, "rope_parameters": {"rope_type": "yarn", "rope_theta": 10000.0, "factor": 4.0, "original_max_position_embeddings": 16}, "rms_norm_eps": 1e-4}),
    tiny("seed_oss-base-v4", "SeedOssForCausalLM", {"head_dim": 6}),
    tiny("seed_oss-out-bias-v5", "SeedOssForCausalLM", {"head_dim": 8, "attention_out_bias": True, "mlp_bias": True, "tie_word_embeddings": True, "num_key_value_heads": 1}),
    tiny("phi3-longrope-v4", "Phi3ForCausalLM", {"hidden_size": 32, "num_attention_heads": 2, "num_key_value_heads": 1, "partial_rotary_factor": 0.5, "original_max_position_embeddings": 12, "rope_scaling": {"type": "longrope"} | LONG}),
    tiny("phi3-longrope-v5", "Phi3ForCausalLM", {"hidden_size": 24, "num_attention_heads": 3, "num_key_value_heads": 3, "sliding_window": 6, "original_max_position_embeddings": 12, "rope_parameters": {"rope_type": "longrope", "rope_theta": 10000.0} | LONG, "tie_word_embeddings": True}),
    tiny("phi3-odd-share-v5", "Phi3Model", {"hidden_size": 24, "num_attention_heads": 2, "num_key_value_heads": 1, "rope_parameters": {"rope_type": "default", "rope_theta": 700.0, "partial_rotary_factor": 0.76}}),
]
