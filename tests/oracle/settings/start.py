"""A first pair, to prove the script."""

from settings import Tiny

MODELS = [
    Tiny("bart-base-v4", "BartForConditionalGeneration", {"vocab_size": 90, "d_model": 24, "encoder_layers": 2, "decoder_layers": 2, "encoder_attention_heads": 4, "decoder_attention_heads": 2, "encoder_ffn_dim": 40, "decoder_ffn_dim": 36, "max_position_embeddings": 50, "pad_token_id": 1, "bos_token_id": 0, "eos_token_id": 2, "decoder_start_token_id": 2}),
]
