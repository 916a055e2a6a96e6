"""A first pair, to prove the script."""

from settings import Tiny

MODELS = [
    Tiny("roberta-base-v5", "RobertaModel", {"vocab_size": 90, "hidden_size": 24, "num_hidden_layers": 3, "num_attention_heads": 4, "intermediate_size": 40, "max_position_embeddings": 50, "type_vocab_size": 1, "pad_token_id": 1}, special_ids=(1,)),
    Tiny("gpt_neox-base-v5", "GPTNeoXForCausalLM", {"vocab_size": 90, "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 40}),
]
