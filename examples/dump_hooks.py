"""Writes a reference dump (docs/diff.md) of any PyTorch model by hooks: your own modules under the names of layerscope's sites.

The model below stands for yours: a decoder in the manner of Llama, read from a model folder in plain torch. The last lines are
what you need: a table from your modules to sites, a hook for each, and one file.

usage: dump_hooks.py MODEL OUT.safetensors ID...              needs torch and safetensors
"""
import json
import pathlib
import sys

import torch
from safetensors.torch import load_file, save_file
from torch import nn


class Norm(nn.Module):
    def __init__(self, width, eps):
        super().__init__()
        self.weight, self.eps = nn.Parameter(torch.ones(width)), eps

    def forward(self, x):
        return self.weight * x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + self.eps)


class Attention(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.heads, self.keys, self.size = c["num_attention_heads"], c["num_key_value_heads"], c["head_dim"]
        self.theta = c["rope_parameters"]["rope_theta"]
        self.q_proj, self.o_proj = (nn.Linear(c["hidden_size"], self.heads * self.size, bias=False),
                                    nn.Linear(self.heads * self.size, c["hidden_size"], bias=False))
        self.k_proj, self.v_proj = (nn.Linear(c["hidden_size"], self.keys * self.size, bias=False) for _ in range(2))

    def rotate(self, x):
        angles = torch.outer(torch.arange(x.shape[-2]), self.theta ** (-torch.arange(0, self.size, 2) / self.size))
        cos, sin, (a, b) = angles.cos(), angles.sin(), x.chunk(2, -1)
        return torch.cat((a * cos - b * sin, b * cos + a * sin), -1)

    def forward(self, x):
        q, k, v = (part(x).unflatten(-1, (-1, self.size)).transpose(1, 2) for part in (self.q_proj, self.k_proj, self.v_proj))
        k, v = (part.repeat_interleave(self.heads // self.keys, 1) for part in (self.rotate(k), v))
        scores = self.rotate(q) @ k.transpose(-1, -2) * self.size**-0.5
        hidden = torch.ones(scores.shape[-2:], dtype=torch.bool).triu(1)
        z = scores.masked_fill(hidden, -torch.inf).softmax(-1) @ v
        return self.o_proj(z.transpose(1, 2).flatten(2))


class MLP(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.gate_proj, self.up_proj = (nn.Linear(c["hidden_size"], c["intermediate_size"], bias=False) for _ in range(2))
        self.down_proj = nn.Linear(c["intermediate_size"], c["hidden_size"], bias=False)

    def forward(self, x):
        return self.down_proj(nn.functional.silu(self.gate_proj(x)) * self.up_proj(x))


class Block(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.self_attn, self.mlp = Attention(c), MLP(c)
        self.input_layernorm, self.post_attention_layernorm = (Norm(c["hidden_size"], c["rms_norm_eps"]) for _ in range(2))

    def forward(self, x):
        x = x + self.self_attn(self.input_layernorm(x))
        return x + self.mlp(self.post_attention_layernorm(x))


class Decoder(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.embed_tokens = nn.Embedding(c["vocab_size"], c["hidden_size"])
        self.layers = nn.ModuleList(Block(c) for _ in range(c["num_hidden_layers"]))
        self.norm = Norm(c["hidden_size"], c["rms_norm_eps"])

    def forward(self, ids):
        x = self.embed_tokens(ids)
        for layer in self.layers:
            x = layer(x)
        return self.norm(x)


folder, out, *ids = sys.argv[1:]
model = Decoder(json.loads(pathlib.Path(folder, "config.json").read_text()))
stored = load_file(pathlib.Path(folder, "model.safetensors"))
model.load_state_dict({name.removeprefix("model."): value.float() for name, value in stored.items() if "lm_head" not in name})

sites = {"embed": model.embed_tokens, "final": model.norm}
for i, block in enumerate(model.layers):
    sites |= {f"block.{i}.attn.in": block.input_layernorm, f"block.{i}.attn.out": block.self_attn,
              f"block.{i}.mlp.in": block.post_attention_layernorm, f"block.{i}.mlp.out": block.mlp, f"block.{i}.out": block}
dump = {"input_ids": torch.tensor([[int(i) for i in ids]])}
for site, module in sites.items():
    module.register_forward_hook(lambda _, __, output, site=site: dump.update({site: output.detach().contiguous()}))
with torch.no_grad():
    model(dump["input_ids"])
save_file(dump, out)
