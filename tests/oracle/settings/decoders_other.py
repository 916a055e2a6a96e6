"""Decoders with norms and rotations of their own: Cohere, GLM, Nemotron."""

from settings import Tiny


def shape(vocabulary=53, width=24, **more):
    sizes = {"vocab_size": vocabulary, "hidden_size": width, "intermediate_size": 40, "num_hidden_layers": 2}
    sizes |= {"num_attention_heads": 4, "num_key_value_heads": 2, "max_position_embeddings": 64}
    sizes |= {"pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2}
    return sizes | more


def rope(kind="default", theta=10000.0, **more):
    return {"rope_parameters": {"rope_type": kind, "rope_theta": theta, **more}}


YARN = {"factor": 4.0, "original_max_position_embeddings": 16}
TYPES = ["sliding_attention", "full_attention", "sliding_attention"]
ONE_P = {"norm": (0.0, 0.2)}

MODELS = [
    Tiny("cohere-base-v4", "CohereForCausalLM", shape(logit_scale=0.25, layer_norm_eps=1e-4)),
    Tiny("cohere-norms-v4", "CohereModel", shape(41, 30, num_attention_heads=5, num_key_value_heads=1, use_qk_norm=True, attention_bias=True, rope_theta=500.0)),
    Tiny("cohere-norms-v5", "CohereForCausalLM", shape(41, 32, use_qk_norm=True, tie_word_embeddings=False, hidden_act="gelu", **rope(theta=900.0))),
    Tiny("cohere-yarn-v5", "CohereModel", shape(41, 16, num_key_value_heads=None, **rope("yarn", **YARN))),
    Tiny("cohere2-base-v4", "Cohere2ForCausalLM", shape(41, 16, num_hidden_layers=5, sliding_window=7, logit_scale=0.5)),
    Tiny("cohere2-pattern-v4", "Cohere2Model", shape(41, 20, num_attention_heads=2, num_hidden_layers=3, sliding_window=5, sliding_window_pattern=2, attention_bias=True)),
    Tiny("cohere2-types-v5", "Cohere2ForCausalLM", shape(41, 16, num_hidden_layers=3, sliding_window=6, layer_types=TYPES, **rope(theta=700.0))),
    Tiny("cohere2-yarn-v5", "Cohere2Model", shape(41, 16, num_hidden_layers=2, sliding_window=9, layer_norm_eps=1e-3, **rope("yarn", **YARN))),
    Tiny("glm-base-v4", "GlmForCausalLM", shape(head_dim=8, rms_norm_eps=1e-5)),
    Tiny("glm-odd-v5", "GlmModel", shape(41, 22, head_dim=12, num_key_value_heads=4, attention_bias=False, **rope(theta=800.0, partial_rotary_factor=0.7))),
    Tiny("glm-linear-v4", "GlmModel", shape(41, 20, head_dim=6, partial_rotary_factor=1.0, rope_scaling={"rope_type": "linear", "factor": 3.0})),
    Tiny("glm4-base-v4", "Glm4Model", shape(head_dim=8, rms_norm_eps=1e-5)),
    Tiny("glm4-head-v5", "Glm4ForCausalLM", shape(41, 18, head_dim=16, num_attention_heads=3, num_key_value_heads=1, tie_word_embeddings=True, hidden_act="gelu")),
    Tiny("nemotron-base-v4", "NemotronForCausalLM", shape(), spreads=ONE_P),
    Tiny("nemotron-bias-v5", "NemotronForCausalLM", shape(41, 20, head_dim=8, attention_bias=True, mlp_bias=True, norm_eps=1e-3, tie_word_embeddings=True, **rope(theta=600.0, partial_rotary_factor=0.75)), spreads=ONE_P),
    Tiny("nemotron-yarn-v5", "NemotronModel", shape(41, 16, num_key_value_heads=4, hidden_act="silu", **rope("yarn", **YARN)), spreads=ONE_P),
]
