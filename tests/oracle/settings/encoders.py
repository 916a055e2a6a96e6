"""Encoders: BERT and those that grew out of it."""

from settings import Tiny

BASE = {
    "vocab_size": 90,
    "hidden_size": 24,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 36,
    "max_position_embeddings": 48,
}
ODD = BASE | {
    "vocab_size": 71,
    "hidden_size": 30,
    "num_hidden_layers": 3,
    "num_attention_heads": 5,
    "intermediate_size": 21,
    "layer_norm_eps": 1e-5,
}
UNTIED = {"tie_word_embeddings": False}
PADDED = {"pad_token_id": 7, "type_vocab_size": 1}  # positions begin behind the padding's id

MODELS = [
    Tiny("bert-heads-v4", "BertForPreTraining", ODD),
    Tiny("bert-heads-v5", "BertForPreTraining", ODD | UNTIED | {"vocab_size": 59}),
    Tiny("bert-classifier-v5", "BertForSequenceClassification", BASE | {"hidden_act": "gelu_fast", "num_labels": 3}),
    Tiny("roberta-base-v4", "RobertaModel", BASE, special_ids=(1,)),
    Tiny("roberta-base-v5", "RobertaModel", ODD | PADDED, special_ids=(7, 7)),
    Tiny("roberta-mlm-v4", "RobertaForMaskedLM", ODD | {"hidden_act": "relu"}, special_ids=(1,)),
    Tiny("roberta-mlm-v5", "RobertaForMaskedLM", BASE | UNTIED, special_ids=(1, 1)),
    Tiny("xlm-roberta-base-v4", "XLMRobertaModel", BASE | {"type_vocab_size": 1}, special_ids=(1,)),
    Tiny("xlm-roberta-mlm-v5", "XLMRobertaForMaskedLM", ODD, special_ids=(1,)),
    Tiny("camembert-base-v5", "CamembertModel", ODD | {"pad_token_id": 0}, special_ids=(0,)),
    Tiny("camembert-mlm-v4", "CamembertForMaskedLM", BASE | {"hidden_act": "gelu_new"}, special_ids=(1,)),
    Tiny("data2vec-text-base-v4", "Data2VecTextModel", ODD, special_ids=(1,)),
    Tiny("data2vec-text-mlm-v5", "Data2VecTextForMaskedLM", BASE | {"hidden_act": "silu"}, special_ids=(1,)),
    Tiny("roberta-prelayernorm-base-v5", "RobertaPreLayerNormModel", BASE, special_ids=(1,)),
    Tiny("roberta-prelayernorm-mlm-v4", "RobertaPreLayerNormForMaskedLM", ODD | {"hidden_act": "relu"}, special_ids=(1,)),
    Tiny(
        "distilbert-base-v4",
        "DistilBertModel",
        {"vocab_size": 90, "dim": 24, "n_layers": 2, "n_heads": 4, "hidden_dim": 36, "max_position_embeddings": 48},
    ),
    Tiny(
        "distilbert-mlm-v5",
        "DistilBertForMaskedLM",
        {"vocab_size": 71, "dim": 30, "n_layers": 3, "n_heads": 5, "hidden_dim": 21, "max_position_embeddings": 41}
        | {"activation": "relu", "sinusoidal_pos_embds": True},
    ),
    Tiny(
        "albert-base-v4",
        "AlbertModel",
        ODD | {"embedding_size": 14, "num_hidden_layers": 4},
        last="encoder.albert_layer_groups.0.albert_layers.0",
    ),
    Tiny(
        "albert-inner-v5",
        "AlbertModel",
        BASE | {"embedding_size": 24, "num_hidden_layers": 4, "num_hidden_groups": 2, "inner_group_num": 2, "vocab_size": 40, "intermediate_size": 21}
        | {"hidden_act": "relu"},
        last="encoder.albert_layer_groups.1.albert_layers.1",
    ),
    Tiny(
        "albert-groups-v4",
        "AlbertForPreTraining",
        BASE | {"embedding_size": 10, "num_hidden_layers": 4, "num_hidden_groups": 3},
        last="albert.encoder.albert_layer_groups.2.albert_layers.0",
    ),
    Tiny(
        "albert-mlm-v5",
        "AlbertForMaskedLM",
        BASE | {"embedding_size": 16, "num_hidden_layers": 3, "num_hidden_groups": 3, "layer_norm_eps": 1e-6},
        last="albert.encoder.albert_layer_groups.2.albert_layers.0",
    ),
    Tiny("electra-generator-v4", "ElectraForMaskedLM", BASE | {"embedding_size": 14, "hidden_act": "relu"}),
    Tiny("electra-discriminator-v5", "ElectraForPreTraining", ODD | {"embedding_size": 30}),
    Tiny("electra-generator-v5", "ElectraForMaskedLM", BASE | {"embedding_size": 40, "type_vocab_size": 1} | UNTIED),
    Tiny("mpnet-base-v4", "MPNetModel", BASE, special_ids=(1,)),
    Tiny(
        "mpnet-mlm-v5",
        "MPNetForMaskedLM",
        ODD | {"relative_attention_num_buckets": 40, "pad_token_id": 3, "hidden_act": "relu"},
        special_ids=(1, 3),
    ),
    Tiny("modernbert-base-v4", "ModernBertModel", BASE | {"num_hidden_layers": 4, "local_attention": 9, "pad_token_id": 0}),
    Tiny(
        "modernbert-biased-v4",
        "ModernBertForMaskedLM",
        BASE | {"num_hidden_layers": 3, "global_attn_every_n_layers": 2, "local_attention": 12, "pad_token_id": 0}
        | {"norm_bias": True, "attention_bias": True, "mlp_bias": True, "classifier_bias": True, "norm_eps": 1e-4}
        | {"hidden_activation": "relu", "local_rope_theta": 500.0, "global_rope_theta": 3000.0},
    ),
    Tiny(
        "modernbert-base-v5",
        "ModernBertModel",
        BASE | {"hidden_size": 30, "num_attention_heads": 3, "num_hidden_layers": 3, "local_attention": 7}
        | {"pad_token_id": 0, "layer_types": ["sliding_attention", "full_attention", "sliding_attention"]}
        | {"rope_parameters": {
            "full_attention": {"rope_type": "linear", "factor": 2.0, "rope_theta": 900.0},
            "sliding_attention": {"rope_type": "default", "rope_theta": 50.0},
        }},
    ),
    Tiny(
        "modernbert-mlm-v5",
        "ModernBertForMaskedLM",
        BASE | {"vocab_size": 50, "num_hidden_layers": 4, "local_attention": 10, "pad_token_id": 0, "decoder_bias": False}
        | {"classifier_activation": "silu", "mlp_bias": True} | UNTIED,
    ),
    Tiny("nomic_bert-base-v5", "NomicBertModel", BASE),
    Tiny(
        "nomic_bert-mlm-v5",
        "NomicBertForMaskedLM",
        ODD | {"vocab_size": 50, "head_dim": 8, "hidden_act": "gelu"}
        | {"rope_parameters": {"rope_type": "linear", "factor": 3.0, "rope_theta": 77.0}},
    ),
    Tiny("eurobert-base-v5", "EuroBertModel", BASE | {"num_key_value_heads": 2, "pad_token_id": 0}),
    Tiny(
        "eurobert-mlm-v5",
        "EuroBertForMaskedLM",
        BASE | {"hidden_size": 30, "num_attention_heads": 3, "head_dim": 12, "num_key_value_heads": 1, "pad_token_id": 0}
        | {"attention_bias": True, "mlp_bias": True, "rms_norm_eps": 1e-4, "hidden_act": "gelu"},
    ),
    Tiny(
        "esm-rotary-v4",
        "EsmModel",
        BASE | {"vocab_size": 33, "position_embedding_type": "rotary", "token_dropout": True}
        | {"mask_token_id": 32, "pad_token_id": 1},
        special_ids=(32, 32),
    ),
    Tiny(
        "esm-absolute-v4",
        "EsmForMaskedLM",
        BASE | {"vocab_size": 33, "emb_layer_norm_before": True, "layer_norm_eps": 1e-5}
        | {"mask_token_id": 32, "pad_token_id": 1},
        special_ids=(1, 32),
    ),
    Tiny(
        "esm-rotary-v5",
        "EsmForMaskedLM",
        BASE | {"vocab_size": 33, "position_embedding_type": "rotary", "rope_theta": 300.0, "token_dropout": True}
        | {"mask_token_id": 9, "pad_token_id": 0, "emb_layer_norm_before": True} | UNTIED,
        special_ids=(9, 0),
    ),
    Tiny(
        "esm-half-v5",
        "EsmModel",
        BASE | {"vocab_size": 33, "position_embedding_type": "rotary", "mask_token_id": 9, "pad_token_id": 0},
        storage="bfloat16",
    ),
    Tiny("megatron-bert-base-v5", "MegatronBertModel", ODD),
    Tiny("megatron-bert-mlm-v4", "MegatronBertForMaskedLM", BASE | {"hidden_act": "gelu_new"}),
    Tiny("ernie-base-v4", "ErnieModel", BASE),
    Tiny("ernie-task-v4", "ErnieForMaskedLM", ODD | {"use_task_id": True, "task_type_vocab_size": 4}),
    Tiny("ernie-task-v5", "ErnieModel", BASE | {"use_task_id": True, "hidden_act": "relu"}),
    Tiny("roformer-base-v4", "RoFormerModel", BASE, spreads={"embed_positions": (0.0, 0.7)}),
    Tiny(
        "roformer-value-v4",
        "RoFormerForMaskedLM",
        BASE | {"vocab_size": 60, "rotary_value": True, "embedding_size": 14, "hidden_size": 36, "num_attention_heads": 3},
        kept=("embed_positions",),
    ),
    Tiny("roformer-value-v5", "RoFormerModel", BASE | {"rotary_value": True}, kept=("embed_positions",)),
    Tiny("roformer-mlm-v5", "RoFormerForMaskedLM", BASE | {"embedding_size": 14, "hidden_act": "relu"}),
    Tiny("jina_embeddings_v3-base-v5", "JinaEmbeddingsV3Model", BASE | {"type_vocab_size": 2}),
    Tiny(
        "jina_embeddings_v3-mlm-v5",
        "JinaEmbeddingsV3ForMaskedLM",
        BASE | {"hidden_size": 30, "num_attention_heads": 3, "hidden_act": "relu", "num_hidden_layers": 2}
        | {"rope_parameters": {"rope_type": "default", "rope_theta": 123.0}},
    ),
]
