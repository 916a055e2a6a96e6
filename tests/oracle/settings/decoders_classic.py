"""Decoders of the years before Llama, and those that kept their norms."""

from settings import Tiny


def mapped(**renamed):
    """A small config under a family's own names: mapped(width="n_embd") says {"n_embd": 24, ...}."""

    def config(width, layers, heads, hidden=None, **more):
        values = {"vocab_size": 61, renamed["width"]: width, renamed["layers"]: layers, renamed["heads"]: heads}
        if hidden is not None:
            values[renamed["hidden"]] = hidden
        return values | more

    return config


gpt = mapped(width="n_embd", layers="n_layer", heads="n_head", hidden="n_inner")
neo = mapped(width="hidden_size", layers="num_layers", heads="num_heads", hidden="intermediate_size")
plain = mapped(width="hidden_size", layers="num_hidden_layers", heads="num_attention_heads", hidden="intermediate_size")
opt = mapped(width="hidden_size", layers="num_hidden_layers", heads="num_attention_heads", hidden="ffn_dim")
bloom = mapped(width="hidden_size", layers="n_layer", heads="n_head")
falcon = mapped(width="hidden_size", layers="num_hidden_layers", heads="num_attention_heads", hidden="ffn_hidden_size")
mpt = mapped(width="d_model", layers="n_layers", heads="n_heads")
xglm = mapped(width="d_model", layers="num_layers", heads="attention_heads", hidden="ffn_dim")

LINEAR = {"rope_scaling": {"rope_type": "linear", "factor": 2.5}}
DYNAMIC = {"rope_scaling": {"rope_type": "dynamic", "factor": 3.0}, "max_position_embeddings": 16}

MODELS = [
    Tiny("gpt2-head-v4", "GPT2LMHeadModel", gpt(24, 3, 4, 40, n_positions=64)),
    Tiny("gpt2-two-heads-v5", "GPT2DoubleHeadsModel", gpt(28, 2, 2, n_positions=48, reorder_and_upcast_attn=True, num_labels=1), last="transformer.h.1"),
    Tiny("gpt2-hub-names-v5", "GPT2LMHeadModel", gpt(20, 2, 2, 30, n_positions=48), rename=((r"^transformer\.", ""),)),
    Tiny("gpt2-both-ways-v5", "GPT2Model", gpt(24, 2, 3, 30, n_positions=64, is_causal=False)),
    Tiny("gpt_bigcode-single-v4", "GPTBigCodeForCausalLM", gpt(24, 3, 4, 40, n_positions=64, layer_norm_epsilon=1e-3)),
    Tiny("gpt_bigcode-single-v5", "GPTBigCodeForCausalLM", gpt(30, 2, 5, 60, n_positions=64, tie_word_embeddings=False)),
    Tiny("gpt_bigcode-many-v4", "GPTBigCodeModel", gpt(24, 2, 3, 34, n_positions=64, multi_query=False, scale_attn_weights=False, activation_function="gelu")),
    Tiny("gpt_bigcode-many-v5", "GPTBigCodeModel", gpt(24, 2, 4, n_positions=64, multi_query=False)),
    Tiny("gpt_neo-alternating-v4", "GPTNeoForCausalLM", neo(20, 4, 4, 36, attention_types=[[["global", "local"], 2]], window_size=5, max_position_embeddings=64)),
    Tiny("gpt_neo-local-v5", "GPTNeoModel", neo(20, 3, 2, 34, attention_types=[[["local"], 2], [["global"], 1]], window_size=7, max_position_embeddings=64, layer_norm_epsilon=1e-3)),
    Tiny("gpt_neo-untied-v5", "GPTNeoForCausalLM", neo(24, 2, 3, attention_types=[[["global", "local"], 1]], window_size=3, max_position_embeddings=64, tie_word_embeddings=False, activation_function="relu")),
    Tiny("gpt_neox-parallel-v4", "GPTNeoXForCausalLM", plain(24, 3, 3, 40, rotary_pct=0.5, rotary_emb_base=500)),
    Tiny("gpt_neox-parallel-v5", "GPTNeoXForCausalLM", plain(32, 2, 4, 40, tie_word_embeddings=True)),
    Tiny("gpt_neox-sequential-v4", "GPTNeoXModel", plain(24, 2, 3, 36, use_parallel_residual=False, rotary_pct=1.0, attention_bias=False, hidden_act="relu") | LINEAR),
    Tiny("gpt_neox-sequential-v5", "GPTNeoXForCausalLM", plain(24, 2, 3, 36, use_parallel_residual=False, attention_bias=False, layer_norm_eps=1e-3, rope_parameters={"rope_type": "default", "rope_theta": 300.0, "partial_rotary_factor": 0.75})),
    Tiny("gpt_neox-dynamic-v5", "GPTNeoXModel", plain(24, 2, 3, 36, rotary_pct=0.5) | DYNAMIC),
    Tiny("persimmon-base-v4", "PersimmonForCausalLM", plain(24, 3, 3, 40, rope_theta=700.0)),
    Tiny("persimmon-base-v5", "PersimmonForCausalLM", plain(24, 2, 3, 40, layer_norm_eps=1e-3, tie_word_embeddings=True)),
    Tiny("persimmon-plain-v4", "PersimmonModel", plain(24, 2, 2, 32, qk_layernorm=False, partial_rotary_factor=1.0, hidden_act="gelu") | LINEAR),
    Tiny("persimmon-both-ways-v5", "PersimmonModel", plain(24, 2, 3, 40, qk_layernorm=False, is_causal=False)),
    Tiny("gptj-base-v4", "GPTJForCausalLM", gpt(24, 3, 4, 40, rotary_dim=4)),
    Tiny("gptj-base-v5", "GPTJForCausalLM", gpt(30, 2, 3, 50, rotary_dim=10, layer_norm_epsilon=1e-3, activation_function="gelu")),
    Tiny("gptj-tied-v4", "GPTJForCausalLM", gpt(24, 2, 2, rotary_dim=6, tie_word_embeddings=True)),
    Tiny("gptj-model-v5", "GPTJModel", gpt(24, 2, 4, 50, rotary_dim=2)),
    Tiny("codegen-base-v4", "CodeGenForCausalLM", gpt(24, 3, 4, 40, rotary_dim=4)),
    Tiny("codegen-base-v5", "CodeGenForCausalLM", gpt(32, 2, 8, 44, rotary_dim=2, layer_norm_epsilon=1e-3)),
    Tiny("codegen-model-v5", "CodeGenModel", gpt(24, 2, 4, 50, rotary_dim=6, activation_function="relu")),
    Tiny("opt-base-v4", "OPTForCausalLM", opt(24, 3, 4, 40, max_position_embeddings=64)),
    Tiny("opt-projected-v4", "OPTForCausalLM", opt(32, 2, 4, 40, max_position_embeddings=64, word_embed_proj_dim=18, do_layer_norm_before=False), last="model.decoder.layers.1"),
    Tiny("opt-projected-v5", "OPTModel", opt(24, 2, 3, 40, max_position_embeddings=64, word_embed_proj_dim=36)),
    Tiny("opt-after-v5", "OPTForCausalLM", opt(24, 2, 3, 30, max_position_embeddings=64, do_layer_norm_before=False, enable_bias=False, tie_word_embeddings=False, activation_function="gelu")),
    Tiny("opt-bare-norms-v5", "OPTModel", opt(24, 3, 2, 30, max_position_embeddings=64, layer_norm_elementwise_affine=False)),
    Tiny("opt-no-final-norm-v4", "OPTModel", opt(24, 2, 2, 30, max_position_embeddings=64, _remove_final_layer_norm=True, enable_bias=False)),
    Tiny("opt-both-ways-v5", "OPTModel", opt(24, 2, 2, 30, max_position_embeddings=64, is_causal=False)),
    Tiny("bloom-base-v4", "BloomForCausalLM", bloom(20, 3, 5)),
    Tiny("bloom-hub-names-v4", "BloomForCausalLM", bloom(16, 2, 2), rename=((r"^transformer\.", ""),)),
    Tiny("bloom-base-v5", "BloomForCausalLM", bloom(24, 2, 6, layer_norm_epsilon=1e-3)),
    Tiny("bloom-post-norm-v4", "BloomModel", bloom(24, 2, 3, apply_residual_connection_post_layernorm=True)),
    Tiny("bloom-post-norm-v5", "BloomForCausalLM", bloom(20, 3, 2, apply_residual_connection_post_layernorm=True, tie_word_embeddings=False)),
    Tiny("falcon-single-v4", "FalconForCausalLM", falcon(24, 3, 3)),
    Tiny("falcon-single-v5", "FalconForCausalLM", falcon(32, 2, 4, 40, bias=True, tie_word_embeddings=False)),
    Tiny("falcon-single-sequential-v5", "FalconModel", falcon(24, 2, 4, 40, parallel_attn=False, rope_theta=200.0)),
    Tiny("falcon-stored-bf16-v4", "FalconForCausalLM", falcon(24, 2, 6, 32, new_decoder_architecture=True, num_kv_heads=2, bias=True), storage="bfloat16"),
    Tiny("falcon-many-v4", "FalconModel", falcon(24, 2, 3, 40, multi_query=False, parallel_attn=False, bias=True)),
    Tiny("falcon-many-v5", "FalconForCausalLM", falcon(24, 2, 2, 40, multi_query=False, activation="relu")),
    Tiny("falcon-grouped-v4", "FalconForCausalLM", falcon(32, 2, 4, 40, new_decoder_architecture=True, num_kv_heads=2, bias=True)),
    Tiny("falcon-grouped-v5", "FalconForCausalLM", falcon(24, 2, 6, 40, new_decoder_architecture=True, num_kv_heads=3) | LINEAR),
    Tiny("falcon-grouped-one-norm-v4", "FalconModel", falcon(24, 2, 4, 40, new_decoder_architecture=True, num_kv_heads=1, num_ln_in_parallel_attn=1) | DYNAMIC),
    Tiny("mpt-base-v4", "MptForCausalLM", mpt(24, 3, 4, max_seq_len=64)),
    Tiny("mpt-base-v5", "MptForCausalLM", mpt(24, 2, 3, max_seq_len=64, layer_norm_epsilon=1e-3, tie_word_embeddings=False)),
    Tiny("mpt-clipped-v4", "MptModel", mpt(20, 2, 5, max_seq_len=64, attn_config={"clip_qkv": 0.6, "softmax_scale": 0.7})),
    Tiny("mpt-clipped-v5", "MptModel", mpt(24, 2, 6, max_seq_len=64, attn_config={"clip_qkv": 0.9}, no_bias=False, expansion_ratio=2)),
    Tiny("biogpt-base-v4", "BioGptForCausalLM", plain(24, 3, 4, 40, max_position_embeddings=64)),
    Tiny("biogpt-base-v5", "BioGptForCausalLM", plain(24, 2, 2, 34, max_position_embeddings=64, tie_word_embeddings=False, hidden_act="relu")),
    Tiny("biogpt-unscaled-v5", "BioGptModel", plain(24, 2, 3, 34, max_position_embeddings=64, scale_embedding=False)),
    Tiny("xglm-base-v4", "XGLMForCausalLM", xglm(24, 3, 4, 40, max_position_embeddings=64)),
    Tiny("xglm-base-v5", "XGLMForCausalLM", xglm(20, 2, 2, 34, max_position_embeddings=64, tie_word_embeddings=False, activation_function="relu")),
    Tiny("xglm-unscaled-v5", "XGLMModel", xglm(24, 2, 3, 34, max_position_embeddings=48, scale_embedding=False)),
    Tiny("stablelm-base-v4", "StableLmForCausalLM", plain(24, 3, 3, 40, num_key_value_heads=3, use_qkv_bias=True)),
    Tiny("stablelm-base-v5", "StableLmForCausalLM", plain(32, 2, 4, 40, num_key_value_heads=4, tie_word_embeddings=True, layer_norm_eps=1e-3)),
    Tiny("stablelm-parallel-v4", "StableLmModel", plain(32, 2, 4, 30, num_key_value_heads=2, use_parallel_residual=True, partial_rotary_factor=0.5)),
    Tiny("stablelm-parallel-v5", "StableLmForCausalLM", plain(32, 2, 4, 36, num_key_value_heads=2, use_parallel_residual=True, qk_layernorm=True, use_qkv_bias=True, rope_parameters={"rope_type": "linear", "factor": 2.0, "rope_theta": 400.0, "partial_rotary_factor": 0.75})),
    Tiny("phi-base-v4", "PhiForCausalLM", plain(24, 3, 3, 40)),
    Tiny("phi-base-v5", "PhiForCausalLM", plain(24, 2, 3, 40, layer_norm_eps=1e-3, rope_parameters={"rope_type": "default", "rope_theta": 300.0, "partial_rotary_factor": 0.25})),
    Tiny("phi-norms-v4", "PhiModel", plain(24, 2, 4, 40, num_key_value_heads=2, qk_layernorm=True, partial_rotary_factor=1.0, hidden_act="relu") | LINEAR),
    Tiny("phi-norms-v5", "PhiForCausalLM", plain(32, 2, 4, 40, num_key_value_heads=1, qk_layernorm=True, tie_word_embeddings=True)),
    Tiny("phi-head-dim-v5", "PhiModel", plain(24, 2, 3, 40, head_dim=10, partial_rotary_factor=0.4)),
    Tiny("starcoder2-base-v4", "Starcoder2ForCausalLM", plain(24, 3, 4, 40, num_key_value_heads=2, sliding_window=6)),
    Tiny("starcoder2-base-v5", "Starcoder2ForCausalLM", plain(24, 2, 4, 40, num_key_value_heads=1, norm_epsilon=1e-3, tie_word_embeddings=False, hidden_act="gelu")),
    Tiny("starcoder2-no-bias-v5", "Starcoder2Model", plain(24, 2, 3, 36, num_key_value_heads=3, use_bias=False, sliding_window=9, rope_theta=500.0)),
    Tiny("starcoder2-both-ways-v5", "Starcoder2Model", plain(24, 2, 4, 36, num_key_value_heads=2, sliding_window=5, is_causal=False)),
]
