"""Tiny models of random sizes in which faults are planted, and the rows they read."""

import dataclasses
import pathlib

import numpy
import torch
import transformers

from make_states import load, make
from settings import Tiny

# Committed models, for the set that the test suite runs.
GOLDEN = {"bert": "bert-base-v5", "roberta": "roberta-base-v5", "gpt2": "gpt2-lm-v5", "llama": "llama-lm-v5", "t5": "t5-base-v5",
          "gpt_neox": "gpt_neox-sequential-v5", "gemma2": "gemma2-types-v5", "qwen3": "qwen3-base-v5",
          "modernbert": "modernbert-base-v5", "opt": "opt-base-v4", "mistral": "mistral-window-v5", "phi": "phi-base-v5",
          "starcoder2": "starcoder2-base-v5", "granite": "granite-bias-v5", "olmo2": "olmo2-bias-v5", "bart": "bart-untied-v5"}
OPEN = ("bert", "roberta", "gpt2", "llama", "t5", "gpt_neox", "gemma2", "qwen3", "modernbert", "opt")
HELD = ("distilbert", "electra", "mistral", "phi", "qwen2", "gemma3_text", "olmo2", "bart", "granite", "starcoder2", "stablelm",
        "phi3", "mixtral", "cohere")
CENTRED = {"norm": (0.0, 0.2)}  # norms that add 1 to their weight
FULL, SLIDING = "full_attention", "sliding_attention"


@dataclasses.dataclass
class Sizes:
    layers: int
    heads: int
    keys: int
    head_dim: int
    inner: int
    vocabulary: int

    @property
    def width(self):
        return self.heads * self.head_dim


def sizes(random):
    heads = int(random.choice([4, 6, 8]))
    head_dim = int(random.choice([8, 12, 16]))
    return Sizes(int(random.integers(3, 7)), heads, heads // 2, head_dim, 2 * heads * head_dim + 2 * int(random.integers(0, 9)),
                 int(random.integers(90, 160)))


def common(s, **more):
    return {"vocab_size": s.vocabulary, "hidden_size": s.width, "intermediate_size": s.inner, "num_hidden_layers": s.layers,
            "num_attention_heads": s.heads, "max_position_embeddings": 64, "pad_token_id": 0, "bos_token_id": 1,
            "eos_token_id": 2} | more


def grouped(s, **more):
    return common(s, num_key_value_heads=s.keys, head_dim=s.head_dim) | more


def types(s):
    return [SLIDING if layer % 2 == 0 else FULL for layer in range(s.layers)]


def rope(theta, **more):
    return {"rope_parameters": {"rope_type": "default", "rope_theta": theta} | more}


def seq2seq(s):
    return {"vocab_size": s.vocabulary, "d_model": s.width, "encoder_layers": s.layers, "decoder_layers": s.layers,
            "encoder_attention_heads": s.heads, "decoder_attention_heads": s.heads, "encoder_ffn_dim": s.inner,
            "decoder_ffn_dim": s.inner, "max_position_embeddings": 64, "pad_token_id": 1, "bos_token_id": 0, "eos_token_id": 2,
            "decoder_start_token_id": 2}


RECIPES = {
    "bert": lambda s: ("BertModel", common(s)),
    "roberta": lambda s: ("RobertaModel", common(s, pad_token_id=1, bos_token_id=0, type_vocab_size=1)),
    "electra": lambda s: ("ElectraModel", common(s, embedding_size=s.width)),
    "distilbert": lambda s: ("DistilBertModel", {"vocab_size": s.vocabulary, "dim": s.width, "n_layers": s.layers,
                             "n_heads": s.heads, "hidden_dim": s.inner, "max_position_embeddings": 64, "pad_token_id": 0}),
    "gpt2": lambda s: ("GPT2LMHeadModel", {"vocab_size": s.vocabulary, "n_embd": s.width, "n_layer": s.layers, "n_head": s.heads,
                       "n_inner": s.inner, "n_positions": 64, "bos_token_id": 1, "eos_token_id": 2}),
    "gpt_neox": lambda s: ("GPTNeoXForCausalLM", common(s, **rope(10000.0, partial_rotary_factor=0.5))),
    "llama": lambda s: ("LlamaForCausalLM", grouped(s, **rope(10000.0))),
    "mistral": lambda s: ("MistralForCausalLM", grouped(s, sliding_window=6, **rope(10000.0))),
    "qwen2": lambda s: ("Qwen2ForCausalLM", grouped(s, **rope(1000000.0))),
    "qwen3": lambda s: ("Qwen3ForCausalLM", grouped(s, **rope(1000000.0))),
    "phi": lambda s: ("PhiForCausalLM", common(s, **rope(10000.0, partial_rotary_factor=0.5))),
    "phi3": lambda s: ("Phi3ForCausalLM", common(s, num_key_value_heads=s.keys, **rope(10000.0))),
    "stablelm": lambda s: ("StableLmForCausalLM", common(s, num_key_value_heads=s.keys, **rope(10000.0, partial_rotary_factor=0.5))),
    "starcoder2": lambda s: ("Starcoder2ForCausalLM", common(s, num_key_value_heads=s.keys, sliding_window=None, **rope(10000.0))),
    "granite": lambda s: ("GraniteForCausalLM", grouped(s, embedding_multiplier=3.0, residual_multiplier=0.4,
                          attention_multiplier=0.3, logits_scaling=4.0, **rope(10000.0))),
    "olmo2": lambda s: ("Olmo2ForCausalLM", common(s, num_key_value_heads=s.keys, **rope(500000.0))),
    "gemma2": lambda s: ("Gemma2ForCausalLM", grouped(s, sliding_window=5, layer_types=types(s), query_pre_attn_scalar=s.head_dim,
                         attn_logit_softcapping=2.5, final_logit_softcapping=3.0)),
    "gemma3_text": lambda s: ("Gemma3ForCausalLM", grouped(s, sliding_window=5, layer_types=types(s), query_pre_attn_scalar=s.head_dim,
                              rope_parameters={FULL: {"rope_type": "default", "rope_theta": 100000.0},
                                               SLIDING: {"rope_type": "default", "rope_theta": 10000.0}})),
    "modernbert": lambda s: ("ModernBertModel", common(s, local_attention=6, layer_types=types(s), rope_parameters={
                             FULL: {"rope_type": "default", "rope_theta": 160000.0},
                             SLIDING: {"rope_type": "default", "rope_theta": 10000.0}})),
    "opt": lambda s: ("OPTForCausalLM", {"vocab_size": s.vocabulary, "hidden_size": s.width, "ffn_dim": s.inner,
                      "num_hidden_layers": s.layers, "num_attention_heads": s.heads, "max_position_embeddings": 64,
                      "pad_token_id": 1, "bos_token_id": 2, "eos_token_id": 2, "word_embed_proj_dim": s.width}),
    "t5": lambda s: ("T5ForConditionalGeneration", {"vocab_size": s.vocabulary, "d_model": s.width, "d_kv": s.head_dim,
                     "d_ff": s.inner, "num_layers": s.layers, "num_decoder_layers": s.layers, "num_heads": s.heads,
                     "relative_attention_num_buckets": 16, "relative_attention_max_distance": 24, "decoder_start_token_id": 0}),
    "mixtral": lambda s: ("MixtralForCausalLM", grouped(s, num_local_experts=5, num_experts_per_tok=2, sliding_window=None, **rope(10000.0))),
    "cohere": lambda s: ("CohereForCausalLM", common(s, num_key_value_heads=s.keys, logit_scale=0.3, **rope(10000.0))),
    "bart": lambda s: ("BartForConditionalGeneration", seq2seq(s)),
}


def build(family, name, seed, folder):
    """Makes a model folder and returns it loaded, in fp32 with eager attention."""
    random = numpy.random.default_rng(seed)
    architecture, config = RECIPES[family](sizes(random))
    # Parameters on the scale of trained ones: scores of T5 are not divided by anything, so its queries are small.
    spreads = CENTRED if family.startswith("gemma") else {"Attention.q.weight": (0.0, 0.05)} if family == "t5" else {}
    make(Tiny(f"{name}-v5", architecture, config, spreads=spreads), pathlib.Path(folder))
    return load(folder)


def make_batch(model, random, padding, count=None, longest=None):
    """{input_ids, attention_mask, ...}: random ids of 5 to 40 tokens, padded on one side."""
    config = model.config.get_text_config()
    count = count or int(random.integers(3, 6))
    lengths = [int(n) for n in random.integers(5, (longest or 40) + 1, count)]
    lengths[0] = longest or max(lengths + [24])  # the longest reaches beyond every window
    if padding == "none":
        lengths = [lengths[0]] * count
    ids = torch.full((count, max(lengths)), config.pad_token_id or 0)
    mask = torch.zeros_like(ids)
    for row, length in enumerate(lengths):
        place = slice(-length, None) if padding == "left" else slice(length)
        ids[row, place] = torch.from_numpy(random.integers(5, config.vocab_size, length))
        mask[row, place] = 1
    batch = {"input_ids": ids, "attention_mask": mask}
    if config.is_encoder_decoder:
        target = torch.from_numpy(random.integers(5, config.vocab_size, (count, 9)))
        target[:, 0] = config.decoder_start_token_id
        batch["decoder_input_ids"] = target
    return batch


def run(model, batch):
    """The tensors of a dump: hidden_states.{k} of every stack and, where the model has them, logits."""
    cache = {} if model.config.is_encoder_decoder or "Bert" in type(model).__name__ else {"use_cache": False}
    if type(model).__name__.startswith(("Roberta", "Electra", "ModernBert")):
        cache = {}
    with torch.no_grad():
        out = model(**batch, **cache, output_hidden_states=True, return_dict=True)
    tensors = {name: value for name, value in batch.items() if name not in ("position_ids", "token_type_ids")}
    for prefix in ("", "encoder_", "decoder_"):
        for k, state in enumerate(out.get(f"{prefix}hidden_states") or ()):
            tensors[f"{prefix}hidden_states.{k}"] = state
    if out.get("logits") is not None:
        tensors["logits"] = out["logits"]
    return {name: value.detach().clone().contiguous() for name, value in tensors.items()}
