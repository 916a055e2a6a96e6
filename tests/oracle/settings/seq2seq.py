"""Encoder-decoders: T5 and its relatives, BART and its relatives."""

from settings import Tiny


def bart(vocabulary=47, width=16, **more):
    """A shape in which the stacks differ in everything that they may differ in."""
    shape = {"vocab_size": vocabulary, "d_model": width, "encoder_layers": 2, "decoder_layers": 3}
    shape |= {"encoder_attention_heads": 4, "decoder_attention_heads": 2, "encoder_ffn_dim": 20, "decoder_ffn_dim": 28}
    shape |= {"max_position_embeddings": 42, "pad_token_id": 1, "bos_token_id": 0, "eos_token_id": 2}
    shape |= {"decoder_start_token_id": 2, "forced_eos_token_id": 2}
    return shape | more


def t5(vocabulary=47, width=16, **more):
    shape = {"vocab_size": vocabulary, "d_model": width, "d_kv": 5, "d_ff": 36, "num_layers": 2, "num_decoder_layers": 3}
    shape |= {"num_heads": 3, "relative_attention_num_buckets": 8, "relative_attention_max_distance": 20}
    shape |= {"layer_norm_epsilon": 1e-5, "decoder_start_token_id": 0}
    return shape | more


UNSHARED = {"share_encoder_decoder_embeddings": False, "decoder_vocab_size": 37}
SMALL = {"encoder_layers": 2, "decoder_layers": 2}
PAD = (1,)
CALM = {"Attention.q.weight": (0.0, 0.1)}  # scores are not scaled: queries as small as trained ones are

MODELS = [
    Tiny("bart-base-v4", "BartForConditionalGeneration", bart()),
    Tiny("bart-scaled-v5", "BartModel", bart(41, 15, scale_embedding=True, activation_function="relu", encoder_attention_heads=5, decoder_attention_heads=3)),
    Tiny("bart-untied-v5", "BartForConditionalGeneration", bart(41, 12, tie_word_embeddings=False)),
    Tiny("bart-decoder-v4", "BartForCausalLM", bart(41, 12, scale_embedding=True, **SMALL), last="model.decoder.layers.1"),
    Tiny("bart-questions-v5", "BartForQuestionAnswering", bart(41, 12, **SMALL)),
    Tiny("mbart-base-v4", "MBartForConditionalGeneration", bart(scale_embedding=True)),
    Tiny("mbart-plain-v5", "MBartModel", bart(41, 16, activation_function="relu", pad_token_id=3)),
    Tiny("mbart-head-v5", "MBartForConditionalGeneration", bart(41, 12, tie_word_embeddings=False, **SMALL)),
    Tiny("pegasus-base-v4", "PegasusForConditionalGeneration", bart(scale_embedding=True, activation_function="relu", pad_token_id=0, decoder_start_token_id=0)),
    Tiny("pegasus-odd-v5", "PegasusModel", bart(41, 15, encoder_attention_heads=3, decoder_attention_heads=5)),
    Tiny("marian-base-v4", "MarianMTModel", bart(scale_embedding=True, activation_function="swish", pad_token_id=46, decoder_start_token_id=46)),
    Tiny("marian-unshared-v5", "MarianMTModel", bart(41, 16, scale_embedding=True, activation_function="swish", **UNSHARED)),
    Tiny("marian-stored-v5", "MarianModel", bart(41, 12, tie_word_embeddings=False, **SMALL)),
    Tiny("marian-unshared-v4", "MarianMTModel", bart(41, 21, encoder_attention_heads=3, decoder_attention_heads=1, tie_word_embeddings=False, **UNSHARED, **SMALL)),
    Tiny("blenderbot-base-v4", "BlenderbotForConditionalGeneration", bart(scale_embedding=True)),
    Tiny("blenderbot-plain-v5", "BlenderbotModel", bart(41, 16, activation_function="relu")),
    Tiny("blenderbot-small-base-v4", "BlenderbotSmallModel", bart(scale_embedding=True)),
    Tiny("blenderbot-small-head-v5", "BlenderbotSmallForConditionalGeneration", bart(41, 16, activation_function="relu")),
    Tiny("m2m_100-base-v4", "M2M100ForConditionalGeneration", bart(), special_ids=PAD),
    Tiny("m2m_100-unscaled-v5", "M2M100Model", bart(41, 15, encoder_attention_heads=3, decoder_attention_heads=5, scale_embedding=False, activation_function="gelu", pad_token_id=0), special_ids=(0, 0)),
    Tiny("m2m_100-untied-v5", "M2M100ForConditionalGeneration", bart(41, 12, tie_word_embeddings=False, **SMALL), special_ids=PAD),
    Tiny("t5-head-v4", "T5ForConditionalGeneration", t5(tie_word_embeddings=True)),
    Tiny("t5-token-v5", "T5ForTokenClassification", t5(num_layers=3)),
    Tiny("mt5-base-v4", "MT5ForConditionalGeneration", t5(), embedding_std=1.0, spreads=CALM),
    Tiny("mt5-tied-v4", "MT5ForConditionalGeneration", t5(41, 12, tie_word_embeddings=True, feed_forward_proj="relu"), embedding_std=1.0, spreads=CALM),
    Tiny("mt5-encoder-v5", "MT5EncoderModel", t5(41, 16, feed_forward_proj="gated-silu"), embedding_std=1.0, spreads=CALM),
    Tiny("mt5-head-v5", "MT5ForConditionalGeneration", t5(41, 12), embedding_std=1.0, spreads=CALM),
    Tiny("umt5-base-v4", "UMT5ForConditionalGeneration", t5(), embedding_std=1.0, spreads=CALM),
    Tiny("umt5-untied-v4", "UMT5ForConditionalGeneration", t5(41, 12, tie_word_embeddings=False, feed_forward_proj="relu"), embedding_std=1.0, spreads=CALM),
    Tiny("umt5-encoder-v5", "UMT5EncoderModel", t5(41, 16, num_layers=3), embedding_std=1.0, spreads=CALM),
    Tiny("umt5-head-v5", "UMT5ForConditionalGeneration", t5(41, 12, feed_forward_proj="gated-relu"), embedding_std=1.0, spreads=CALM),
]
