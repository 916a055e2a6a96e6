"""The tiny models that the engine is held against: one entry a model, each for one family and one set of settings.

A model belongs to one generation of transformers (4 or 5): that generation writes its folder and its reference, so
that both spellings of config.json are covered. Keys given here are the ones that differ from `BASE`.
"""

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Tiny:
    """One tiny model: what is built, how it is stored, and the spread of its random parameters."""

    name: str
    architecture: str
    config: dict
    rope: dict = field(default_factory=dict)
    storage: str = "float32"  # dtype of model.safetensors
    shard_size: str = "1GB"
    gamma_beta: bool = False  # old names of the norms' parameters
    embedding_std: float = 0.3

    @property
    def generation(self):
        return int(self.name[-1])

    @property
    def family(self):
        return self.name.split("-")[0]


BASE = {
    "bert": {
        "vocab_size": 120,
        "hidden_size": 24,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "intermediate_size": 56,
        "max_position_embeddings": 64,
    },
    "gpt2": {
        "vocab_size": 120,
        "n_positions": 64,
        "n_embd": 24,
        "n_layer": 2,
        "n_head": 4,
        "bos_token_id": 1,
        "eos_token_id": 2,
    },
    "llama": {
        "vocab_size": 120,
        "hidden_size": 24,
        "intermediate_size": 44,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "max_position_embeddings": 64,
        "bos_token_id": 1,
        "eos_token_id": 2,
    },
    "t5": {
        "vocab_size": 120,
        "d_model": 24,
        "d_kv": 6,
        "d_ff": 48,
        "num_layers": 2,
        "num_heads": 4,
        "decoder_start_token_id": 0,
    },
}
BASE["mistral"] = BASE["qwen2"] = BASE["qwen3"] = BASE["llama"]

LLAMA3 = {
    "rope_type": "llama3",
    "factor": 8.0,
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    "original_max_position_embeddings": 32,
}
YARN = {"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 16}

MODELS = [
    Tiny("bert-base-v5", "BertModel", {}),
    Tiny("bert-gelu-new-v4", "BertModel", {"hidden_act": "gelu_new", "num_hidden_layers": 3}),
    Tiny("bert-relu-eps-v5", "BertModel", {"hidden_act": "relu", "layer_norm_eps": 1e-5}, embedding_std=0.02),
    Tiny("bert-silu-one-type-v4", "BertModel", {"hidden_act": "silu", "type_vocab_size": 1}),
    Tiny("bert-one-head-v5", "BertModel", {"num_attention_heads": 1, "hidden_size": 18}),
    Tiny("bert-odd-v5", "BertModel", {"hidden_size": 33, "num_attention_heads": 3, "intermediate_size": 50}),
    Tiny("bert-odd-v4", "BertModel", {"hidden_size": 21, "num_attention_heads": 3, "intermediate_size": 37}),
    Tiny("bert-mlm-v4", "BertForMaskedLM", {"vocab_size": 97}),
    Tiny("bert-mlm-v5", "BertForMaskedLM", {"hidden_size": 16, "num_hidden_layers": 4, "vocab_size": 101}),
    Tiny("bert-gamma-beta-v4", "BertModel", {}, gamma_beta=True),
    Tiny("bert-sharded-v5", "BertModel", {"num_hidden_layers": 3}, shard_size="40KB"),
    Tiny("bert-f16-v4", "BertModel", {}, storage="float16"),
    Tiny("bert-bf16-v5", "BertModel", {}, storage="bfloat16"),
    Tiny("gpt2-base-v4", "GPT2Model", {"n_layer": 3}),
    Tiny("gpt2-lm-v5", "GPT2LMHeadModel", {"n_inner": 40, "tie_word_embeddings": True}),
    Tiny("gpt2-inverse-layer-v4", "GPT2LMHeadModel", {"scale_attn_by_inverse_layer_idx": True, "n_layer": 4}),
    Tiny("gpt2-unscaled-v5", "GPT2Model", {"scale_attn_weights": False, "n_head": 2}),
    Tiny(
        "gpt2-odd-v4",
        "GPT2Model",
        {"n_embd": 27, "n_head": 3, "n_inner": 41, "activation_function": "relu", "layer_norm_epsilon": 1e-3},
        embedding_std=0.05,
    ),
    Tiny(
        "gpt2-untied-v5",
        "GPT2LMHeadModel",
        {"activation_function": "gelu", "tie_word_embeddings": False, "scale_attn_by_inverse_layer_idx": True},
    ),
    Tiny("llama-base-v4", "LlamaModel", {"num_hidden_layers": 3}),
    Tiny(
        "llama-lm-v5",
        "LlamaForCausalLM",
        {"num_attention_heads": 6, "num_key_value_heads": 1, "hidden_size": 36, "head_dim": 10}
        | {"tie_word_embeddings": True},
        rope={"rope_theta": 500000.0},
    ),
    Tiny(
        "llama-bias-v5",
        "LlamaForCausalLM",
        {"attention_bias": True, "mlp_bias": True, "rms_norm_eps": 1e-4},
        embedding_std=0.05,
    ),
    Tiny(
        "llama-bias-v4",
        "LlamaForCausalLM",
        {"attention_bias": True, "mlp_bias": True, "tie_word_embeddings": True, "num_key_value_heads": 4},
        rope={"rope_theta": 2000.0},
    ),
    Tiny("llama-linear-v4", "LlamaModel", {}, rope={"rope_type": "linear", "factor": 2.5}),
    Tiny("llama-llama3-v5", "LlamaModel", {"head_dim": 16}, rope={"rope_theta": 10000.0} | LLAMA3),
    Tiny("llama-llama3-v4", "LlamaModel", {"head_dim": 12}, rope={"rope_theta": 5000.0} | LLAMA3),
    Tiny("llama-yarn-v4", "LlamaModel", {"head_dim": 16}, rope=YARN),
    Tiny("llama-dynamic-v5", "LlamaModel", {}, rope={"rope_type": "dynamic", "factor": 2.0}),
    Tiny("mistral-window-v4", "MistralForCausalLM", {"sliding_window": 7}),
    Tiny(
        "mistral-window-v5",
        "MistralModel",
        {"sliding_window": 5, "num_attention_heads": 6, "num_key_value_heads": 1, "head_dim": 8},
    ),
    Tiny(
        "mistral-full-v5",
        "MistralModel",
        {"sliding_window": None, "hidden_size": 33, "num_attention_heads": 3, "num_key_value_heads": 3}
        | {"head_dim": 14},
    ),
    Tiny("qwen2-base-v4", "Qwen2Model", {"hidden_size": 36, "num_attention_heads": 3, "num_key_value_heads": 1}),
    Tiny(
        "qwen2-window-v5",
        "Qwen2ForCausalLM",
        {"use_sliding_window": True, "sliding_window": 7, "max_window_layers": 1, "num_hidden_layers": 3}
        | {"tie_word_embeddings": True},
        rope={"rope_theta": 1000000.0},
    ),
    Tiny("qwen2-yarn-v5", "Qwen2Model", {}, rope=YARN | {"rope_theta": 50000.0, "beta_fast": 16.0, "beta_slow": 2.0}),
    Tiny("qwen3-base-v5", "Qwen3Model", {"head_dim": 12}),
    Tiny(
        "qwen3-layer-types-v5",
        "Qwen3ForCausalLM",
        {"use_sliding_window": True, "sliding_window": 6, "num_hidden_layers": 3, "head_dim": 8}
        | {"layer_types": ["sliding_attention", "full_attention", "sliding_attention"]},
    ),
    Tiny(
        "qwen3-bias-v4",
        "Qwen3ForCausalLM",
        {"attention_bias": True, "head_dim": 6, "hidden_size": 30, "num_attention_heads": 3, "num_key_value_heads": 3}
        | {"rms_norm_eps": 1e-4, "tie_word_embeddings": True},
        embedding_std=0.05,
    ),
    Tiny("t5-base-v4", "T5ForConditionalGeneration", {}),
    Tiny(
        "t5-gated-gelu-v4",
        "T5ForConditionalGeneration",
        {"feed_forward_proj": "gated-gelu", "tie_word_embeddings": False, "num_decoder_layers": 1},
    ),
    Tiny(
        "t5-base-v5",
        "T5ForConditionalGeneration",
        {"d_kv": 5, "num_heads": 3, "d_ff": 40, "layer_norm_epsilon": 1e-4},
        embedding_std=0.05,
    ),
    Tiny(
        "t5-gated-silu-v5",
        "T5ForConditionalGeneration",
        {"feed_forward_proj": "gated-silu", "num_layers": 1, "num_decoder_layers": 3, "d_kv": 8, "d_model": 16}
        | {"relative_attention_num_buckets": 8, "relative_attention_max_distance": 20, "num_heads": 3},
    ),
    Tiny(
        "t5-untied-v5",
        "T5ForConditionalGeneration",
        {"feed_forward_proj": "gated-gelu", "tie_word_embeddings": False, "d_model": 16},
    ),
    Tiny(
        "t5-encoder-v5",
        "T5EncoderModel",
        {"num_layers": 3, "relative_attention_num_buckets": 12, "relative_attention_max_distance": 30},
    ),
    Tiny("t5-encoder-v4", "T5EncoderModel", {"feed_forward_proj": "gated-gelu", "d_kv": 8}),
]
