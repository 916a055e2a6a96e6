"""Where the parts of a block are in transformers' modules, by family, under the names of our sites."""

import copy

import torch

ROWS, HEADS = "rows", "heads"  # how one fused matrix holds queries, keys and values: one behind the other, or head by head


def separate(q, k, v, o, up, down, act, norms, gate=None, attn=None):
    return {"q": q, "k": k, "v": v, "o": o, "up": up, "down": down, "gate": gate, "act": act, "norms": norms,
            "attn": attn if attn is not None else q.rsplit(".", 1)[0]}


def projections(attn, names="q_proj k_proj v_proj o_proj"):
    return [f"{attn}.{name}" for name in names.split()]


BERT = separate("attention.self.query", "attention.self.key", "attention.self.value", "attention.output.dense",
                "intermediate.dense", "output.dense", "intermediate.intermediate_act_fn",
                {"attn.sum": "attention.output.LayerNorm", "mlp.sum": "output.LayerNorm"})
PRE = {"attn.in": "input_layernorm", "mlp.in": "post_attention_layernorm"}
GATED = {"up": "mlp.up_proj", "down": "mlp.down_proj", "act": "mlp.act_fn", "gate": "mlp.gate_proj"}
LLAMA = separate(*projections("self_attn"), norms=PRE, **GATED)
SANDWICH = {"attn.in": "input_layernorm", "attn.out": "post_attention_layernorm", "mlp.in": "pre_feedforward_layernorm",
            "mlp.out": "post_feedforward_layernorm"}
QK = {"attn.q": "self_attn.q_norm", "attn.k": "self_attn.k_norm"}
BART = separate(*projections("self_attn", "q_proj k_proj v_proj out_proj"), "fc1", "fc2", "activation_fn",
                {"attn.sum": "self_attn_layer_norm", "mlp.sum": "final_layer_norm"})
T5 = separate(*projections("layer.0.SelfAttention", "q k v o"), "layer.1.DenseReluDense.wi", "layer.1.DenseReluDense.wo",
              "layer.1.DenseReluDense.act", {"attn.in": "layer.0.layer_norm", "mlp.in": "layer.1.layer_norm"})

PARTS = {
    "bert": BERT,
    "roberta": BERT,
    "electra": BERT,
    "distilbert": separate(*projections("attention", "q_lin k_lin v_lin out_lin"), "ffn.lin1", "ffn.lin2", "ffn.activation",
                           {"attn.sum": "sa_layer_norm", "mlp.sum": "output_layer_norm"}),
    "gpt2": {"qkv": "attn.c_attn", "layout": ROWS, "o": "attn.c_proj", "up": "mlp.c_fc", "down": "mlp.c_proj", "act": "mlp.act",
             "norms": {"attn.in": "ln_1", "mlp.in": "ln_2"}, "attn": "attn", "gate": None},
    "gpt_neox": {"qkv": "attention.query_key_value", "layout": HEADS, "o": "attention.dense", "up": "mlp.dense_h_to_4h",
                 "down": "mlp.dense_4h_to_h", "act": "mlp.act", "norms": PRE, "attn": "attention", "gate": None},
    "modernbert": {"qkv": "attn.Wqkv", "layout": ROWS, "o": "attn.Wo", "gate_up": "mlp.Wi", "down": "mlp.Wo", "act": "mlp.act",
                   "norms": {"attn.in": "attn_norm", "mlp.in": "mlp_norm"}, "attn": "attn"},
    "phi3": {"qkv": "self_attn.qkv_proj", "layout": ROWS, "o": "self_attn.o_proj", "gate_up": "mlp.gate_up_proj",
             "down": "mlp.down_proj", "act": "mlp.activation_fn", "norms": PRE, "attn": "self_attn"},
    "opt": BART | {"norms": {"attn.in": "self_attn_layer_norm", "mlp.in": "final_layer_norm"}},
    "bart": BART,
    "t5": T5,
    "t5_decoder": T5 | {"up": "layer.2.DenseReluDense.wi", "down": "layer.2.DenseReluDense.wo", "act": "layer.2.DenseReluDense.act",
                        "norms": {"attn.in": "layer.0.layer_norm", "cross.in": "layer.1.layer_norm", "mlp.in": "layer.2.layer_norm"}},
    "bart_decoder": BART | {"norms": {"attn.sum": "self_attn_layer_norm", "cross.sum": "encoder_attn_layer_norm", "mlp.sum": "final_layer_norm"}},
    "phi": separate(*projections("self_attn", "q_proj k_proj v_proj dense"), "mlp.fc1", "mlp.fc2", "mlp.activation_fn",
                    {"attn.in": "input_layernorm"}),
    "starcoder2": separate(*projections("self_attn"), "mlp.c_fc", "mlp.c_proj", "mlp.act", PRE),
    "mixtral": LLAMA | {"up": None, "down": None, "gate": None, "act": "mlp.experts.act_fn", "router": "mlp.gate"},
    "cohere": LLAMA | {"norms": {"attn.in": "input_layernorm"}},
    "gemma2": LLAMA | {"norms": SANDWICH},
    "gemma3_text": LLAMA | {"norms": SANDWICH, "qk_norms": QK},
    "qwen3": LLAMA | {"qk_norms": QK},
    "olmo2": LLAMA | {"norms": {"attn.out": "post_attention_layernorm", "mlp.out": "post_feedforward_layernorm"}, "qk_norms": QK},
    **{family: LLAMA for family in ("llama", "mistral", "qwen2", "granite", "stablelm", "smollm3")},
}

# The attention over the encoder, by model type
CROSS = {"t5": dict(zip(("q", "k", "v", "o", "attn"), [*projections("layer.1.EncDecAttention", "q k v o"), "layer.1.EncDecAttention"])),
         "bart": dict(zip(("q", "k", "v", "o", "attn"), [*projections("encoder_attn", "q_proj k_proj v_proj out_proj"), "encoder_attn"]))}

# (word embedding, position embedding, embedding norm, final norm) within the stack's module
ENDS = {
    **{family: ("embeddings.word_embeddings", "embeddings.position_embeddings", "embeddings.LayerNorm", None)
       for family in ("bert", "roberta", "electra", "distilbert")},
    "gpt2": ("wte", "wpe", None, "ln_f"),
    "gpt_neox": ("embed_in", None, None, "final_layer_norm"),
    "modernbert": ("embeddings.tok_embeddings", None, "embeddings.norm", "final_norm"),
    "opt": ("embed_tokens", "embed_positions", None, "final_layer_norm"),
    "t5": ("embed_tokens", None, None, "final_layer_norm"),
    "bart": ("embed_tokens", "embed_positions", "layernorm_embedding", None),
    "phi": ("embed_tokens", None, None, "final_layernorm"),
    **{family: ("embed_tokens", None, None, "norm")
       for family in ("llama", "mistral", "qwen2", "qwen3", "gemma2", "gemma3_text", "granite", "stablelm", "starcoder2",
                      "smollm3", "olmo2", "phi3", "mixtral", "cohere")},
}


class Stack:
    """One stack of a running model: its blocks, and their parts by name."""

    def __init__(self, model, family, which=""):
        self.model, self.config = model, model.config.get_text_config()
        self.two = self.config.is_encoder_decoder
        self.prefix = f"{which or 'enc'}." if self.two else ""
        self.parts = PARTS[f"{family}_decoder" if which == "dec" else family]
        base = model.base_model if model.base_model is not model else getattr(model, "model", model)
        if self.two:
            holder = model if hasattr(model, "get_encoder") else base
            self.stack = holder.get_decoder() if which == "dec" else holder.get_encoder()
        else:
            self.stack = getattr(base, "decoder", base)
        lists = [m for m in self.stack.modules() if isinstance(m, torch.nn.ModuleList) and hasattr(m[0], "forward")
                 and not isinstance(m[0], (torch.nn.Linear, torch.nn.Dropout))]
        self.blocks = lists[0]
        self.word, self.position, self.embedding_norm, self.final_norm = (
            self.stack.get_submodule(path) if path else None for path in ENDS[family])

    def of_cross_attention(self):
        """This stack with the attention over the encoder in place of its own."""
        other = copy.copy(self)
        paths = CROSS.get(self.config.model_type) if self.prefix == "dec." else None
        other.parts = self.parts | (paths or {name: None for name in ("q", "k", "v", "o", "attn")}) | {"up": None, "down": None}
        return other

    def __len__(self):
        return len(self.blocks)

    def module(self, layer, path):
        return self.blocks[layer].get_submodule(path)

    def attention(self, layer):
        return self.module(layer, self.parts["attn"])

    def owner(self, layer, path):
        """(module, attribute) of a path such as mlp.act."""
        parent, _, name = path.rpartition(".")
        return self.module(layer, parent), name

    def norm(self, layer, site):
        return self.module(layer, (self.parts["norms"] | self.parts.get("qk_norms", {}))[site])

    def sites_of_norms(self, layer):
        return [site for site in self.parts["norms"] if not isinstance(self.norm(layer, site), torch.nn.Identity)]

    def linear(self, layer, name):
        """The module that holds a matrix: q, k, v, o, up, down or gate."""
        if name in "qkv" and "qkv" in self.parts:
            return self.module(layer, self.parts["qkv"])
        if name in ("gate", "up") and "gate_up" in self.parts:
            return self.module(layer, self.parts["gate_up"])
        return self.module(layer, self.parts[name])

    def has(self, name):
        if name in "qkv":
            return "qkv" in self.parts or bool(self.parts.get(name))
        if name in ("gate", "up") and "gate_up" in self.parts:
            return True
        return bool(self.parts.get(name))

    def cut(self, layer, name, tensor):
        """The share of a weight [out, in] or bias [out] that is the matrix `name`: a view."""
        if name in "qkv" and "qkv" in self.parts:
            heads = self.config.num_attention_heads
            keys = getattr(self.config, "num_key_value_heads", None) or heads
            if self.parts["layout"] == HEADS:
                return tensor.view(heads, 3, -1, *tensor.shape[1:])[:, "qkv".index(name)]
            width = tensor.shape[0] // (heads + 2 * keys)
            start = {"q": 0, "k": heads * width, "v": (heads + keys) * width}[name]
            return tensor[start : start + width * (heads if name == "q" else keys)]
        if name in ("gate", "up") and "gate_up" in self.parts:
            half = tensor.shape[0] // 2
            return tensor[:half] if name == "gate" else tensor[half:]
        return tensor

    def weight(self, layer, name):
        """The weight [out, in] of a matrix, sharing memory with the model ([heads, head_dim, in] where heads interleave)."""
        module = self.linear(layer, name)
        data = module.weight.data
        return self.cut(layer, name, data.T if type(module).__name__ == "Conv1D" else data)

    def bias(self, layer, name):
        module = self.linear(layer, name)
        return None if getattr(module, "bias", None) is None else self.cut(layer, name, module.bias.data)

    def site(self, layer, name):
        return f"{self.prefix}block.{layer}.{name}"

    def end(self, name):
        return f"{self.prefix}{name}"
