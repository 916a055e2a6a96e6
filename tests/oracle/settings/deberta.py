"""DeBERTa of all versions: scores against relative positions, their buckets, convolutions over tokens, both heads."""

from settings import Tiny

V1 = {"vocab_size": 61, "hidden_size": 24, "num_hidden_layers": 2, "num_attention_heads": 3, "intermediate_size": 36, "max_position_embeddings": 48}
V2 = {"vocab_size": 61, "hidden_size": 24, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 36, "max_position_embeddings": 48}
RELATIVE = {"relative_attention": True, "position_biased_input": False, "pos_att_type": "c2p|p2c"}
V3 = RELATIVE | {"position_buckets": 8, "max_relative_positions": -1, "share_att_key": True, "norm_rel_ebd": "layer_norm"}
CONV = {"conv.conv.weight": (0.0, 0.15)}

MODELS = [
    Tiny("deberta-base-v4", "DebertaForMaskedLM", V1 | RELATIVE | {"num_hidden_layers": 3, "max_relative_positions": -1}),
    Tiny("deberta-base-v5", "DebertaModel", V1 | RELATIVE | {"max_relative_positions": 12, "type_vocab_size": 2, "layer_norm_eps": 1e-3}, rename=((r"LayerNorm\.weight", "LayerNorm.gamma"), (r"LayerNorm\.bias", "LayerNorm.beta"))),
    Tiny("deberta-c2p-v5", "DebertaForMaskedLM", V1 | {"relative_attention": True, "pos_att_type": ["c2p"], "max_relative_positions": 5, "embedding_size": 16, "tie_word_embeddings": False, "num_attention_heads": 4}),
    Tiny("deberta-p2c-v5", "DebertaForMaskedLM", V1 | RELATIVE | {"pos_att_type": ["p2c", "p2p"], "legacy": False, "num_attention_heads": 1, "hidden_act": "gelu_new"}),
    Tiny("deberta-plain-v4", "DebertaModel", V1 | {"pos_att_type": "c2p|p2c", "embedding_size": 20, "type_vocab_size": 2}),
    Tiny("deberta-v2-base-v5", "DebertaV2Model", V2 | V3),
    Tiny("deberta-v2-base-v4", "DebertaV2ForMaskedLM", V2 | V3 | {"position_buckets": 10, "max_position_embeddings": 33, "num_attention_heads": 3}),
    Tiny("deberta-v2-conv-v4", "DebertaV2ForMaskedLM", V2 | V3 | {"num_hidden_layers": 3, "conv_kernel_size": 3, "conv_act": "gelu", "embedding_size": 16, "attention_head_size": 6}, spreads=CONV),
    Tiny("deberta-v2-conv-v5", "DebertaV2Model", V2 | RELATIVE | {"position_buckets": 6, "conv_kernel_size": 5, "conv_groups": 2, "norm_rel_ebd": "none", "type_vocab_size": 3}, spreads=CONV),
    Tiny("deberta-v2-c2p-v5", "DebertaV2ForMaskedLM", V2 | V3 | {"pos_att_type": ["c2p"], "position_buckets": 16, "max_relative_positions": 20, "position_biased_input": True, "legacy": False, "layer_norm_eps": 1e-4}),
    Tiny("deberta-v2-p2c-v4", "DebertaV2Model", V2 | RELATIVE | {"pos_att_type": ["p2c"], "max_relative_positions": 7, "norm_rel_ebd": "layer_norm|x", "hidden_size": 20, "intermediate_size": 31}),
    Tiny("deberta-v2-plain-v5", "DebertaV2ForMaskedLM", V2 | V3 | {"relative_attention": False, "position_biased_input": True, "max_relative_positions": 5, "pos_att_type": ["c2p"], "tie_word_embeddings": False, "type_vocab_size": 2}),
    Tiny("deberta-v2-new-head-v4", "DebertaV2ForMaskedLM", V2 | V3 | {"legacy": False, "tie_word_embeddings": False}),
]
