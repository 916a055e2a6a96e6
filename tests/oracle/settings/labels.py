"""Heads over labels: classifiers of rows and of tokens, and regressors, one of each way to read the final states."""

from settings import Tiny
from settings.seq2seq import bart, t5

BERT = {"vocab_size": 53, "hidden_size": 12, "num_hidden_layers": 2, "num_attention_heads": 3, "intermediate_size": 20}
BERT |= {"max_position_embeddings": 48}
LLAMA = {"vocab_size": 53, "hidden_size": 12, "num_hidden_layers": 2, "num_attention_heads": 3, "num_key_value_heads": 1}
LLAMA |= {"intermediate_size": 20, "max_position_embeddings": 48, "pad_token_id": 5}
GPT2 = {"vocab_size": 53, "n_embd": 12, "n_layer": 2, "n_head": 3, "n_positions": 48}
MODERN = BERT | {"pad_token_id": 0, "local_attention": 9}
EURO = LLAMA | {"pad_token_id": 0}
NAMED = {"id2label": {0: "no", 1: "perhaps", 2: "yes"}, "label2id": {"no": 0, "perhaps": 1, "yes": 2}}
MANY = {"num_labels": 5, "problem_type": "multi_label_classification"}
VALUE = {"num_labels": 1, "problem_type": "regression"}
T5 = {"eos_token_id": 1}
PAD = (5,)

MODELS = [
    Tiny("bert-labels-v4", "BertForSequenceClassification", BERT | NAMED),
    Tiny("bert-tokens-v5", "BertForTokenClassification", BERT | {"num_labels": 4}),
    Tiny("roberta-labels-v5", "RobertaForSequenceClassification", BERT | MANY, special_ids=(1,)),
    Tiny("roberta-value-v4", "RobertaForSequenceClassification", BERT | {"num_labels": 1}, special_ids=(1,)),
    Tiny("xlm-roberta-tokens-v4", "XLMRobertaForTokenClassification", BERT | NAMED, special_ids=(1,)),
    Tiny("distilbert-labels-v5", "DistilBertForSequenceClassification", {"vocab_size": 53, "dim": 12, "n_layers": 2, "n_heads": 3, "hidden_dim": 20, "max_position_embeddings": 48}),
    Tiny("albert-labels-v5", "AlbertForSequenceClassification", BERT | {"embedding_size": 7} | VALUE, last="albert.encoder.albert_layer_groups.0.albert_layers.0"),
    Tiny("electra-labels-v4", "ElectraForSequenceClassification", BERT | {"embedding_size": 7} | NAMED),
    Tiny("roformer-labels-v5", "RoFormerForSequenceClassification", BERT | {"hidden_size": 18, "hidden_act": "relu"}, kept=("embed_positions",)),
    Tiny("esm-labels-v5", "EsmForSequenceClassification", BERT | {"position_embedding_type": "absolute", "pad_token_id": 1, "mask_token_id": 3}, special_ids=(1,)),
    Tiny("mpnet-labels-v4", "MPNetForSequenceClassification", BERT | NAMED, special_ids=(1,)),
    Tiny("deberta-v2-labels-v5", "DebertaV2ForSequenceClassification", BERT | {"relative_attention": True, "pos_att_type": ["p2c", "c2p"], "position_biased_input": False, "pooler_hidden_act": "relu"} | NAMED),
    Tiny("modernbert-labels-v5", "ModernBertForSequenceClassification", MODERN | {"classifier_pooling": "mean", "classifier_bias": True, "norm_bias": True}),
    Tiny("modernbert-tokens-v4", "ModernBertForTokenClassification", MODERN | NAMED),
    Tiny("nomic_bert-labels-v5", "NomicBertForSequenceClassification", BERT | MANY),
    Tiny("eurobert-labels-v5", "EuroBertForSequenceClassification", EURO | {"classifier_pooling": "late"} | NAMED),
    Tiny("gpt2-labels-v4", "GPT2ForSequenceClassification", GPT2 | {"pad_token_id": 5} | NAMED, special_ids=PAD, ends_in_padding=True),
    Tiny("gpt2-tokens-v5", "GPT2ForTokenClassification", GPT2 | {"num_labels": 4}),
    Tiny("llama-labels-v5", "LlamaForSequenceClassification", LLAMA | VALUE, special_ids=PAD, ends_in_padding=True),
    Tiny("llama-tokens-v4", "LlamaForTokenClassification", LLAMA | {"pad_token_id": None} | NAMED),
    Tiny("opt-labels-v4", "OPTForSequenceClassification", {"vocab_size": 53, "hidden_size": 12, "word_embed_proj_dim": 7, "do_layer_norm_before": False, "num_hidden_layers": 2, "num_attention_heads": 3, "ffn_dim": 20, "max_position_embeddings": 48} | NAMED, special_ids=(1,), ends_in_padding=True),
    Tiny("bart-labels-v5", "BartForSequenceClassification", bart(53, 12, encoder_layers=1, decoder_layers=2) | NAMED),
    Tiny("mbart-labels-v4", "MBartForSequenceClassification", bart(53, 12, encoder_layers=2, decoder_layers=1)),
    Tiny("t5-labels-v5", "T5ForSequenceClassification", t5(53, 12) | T5 | NAMED),
]
