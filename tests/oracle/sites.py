"""Collects every site of a forward pass by hooks on a transformers model; the model itself is never re-implemented."""

import contextlib
import sys
from dataclasses import dataclass

import torch
from torch import nn


@dataclass(frozen=True)
class Step:
    """Where one residual step lives, as modules of the model."""

    name: str  # attn, cross or mlp
    reads: nn.Module  # its input is what the mixer reads
    last: nn.Module  # the mixer's last matrix: reads z or act, writes what the step adds
    pre: nn.Module | None = None
    after: nn.Module | None = None
    attention: nn.Module | None = None
    probs: int = 1  # place of the probabilities in what the attention returns
    qkv: tuple = ()  # the three projections; empty where the scores read something else than their outputs


@dataclass(frozen=True)
class Stack:
    prefix: str
    blocks: list
    steps: list  # per block, its steps in order
    norm: nn.Module | None
    windows: list | None  # per block the keys a query sees, itself included (None = all); no list: not causal


def bert_stack(model):
    steps = []
    for layer in model.encoder.layer:
        core, output = layer.attention.self, layer.attention.output
        qkv = (core.query, core.key, core.value)
        attn = Step("attn", core.query, output.dense, after=output.LayerNorm, attention=core, qkv=qkv)
        mlp = Step("mlp", layer.intermediate.dense, layer.output.dense, after=layer.output.LayerNorm)
        steps.append([attn, mlp])
    return Stack("", list(model.encoder.layer), steps, None, None)


def gpt2_stack(model):
    steps = []
    for layer in model.h:
        attn = Step("attn", layer.attn.c_attn, layer.attn.c_proj, pre=layer.ln_1, attention=layer.attn)
        steps.append([attn, Step("mlp", layer.mlp.c_fc, layer.mlp.c_proj, pre=layer.ln_2)])
    return Stack("", list(model.h), steps, model.ln_f, [None] * len(steps))


def rotary_stack(model):
    steps, windows, config = [], [], model.config
    for index, layer in enumerate(model.layers):
        core = layer.self_attn
        attn = Step("attn", core.q_proj, core.o_proj, pre=layer.input_layernorm, attention=core)
        mlp = Step("mlp", layer.mlp.gate_proj, layer.mlp.down_proj, pre=layer.post_attention_layernorm)
        steps.append([attn, mlp])
        types = getattr(config, "layer_types", None) if config.model_type.startswith("qwen") else None
        slides = types[index] == "sliding_attention" if types else config.model_type == "mistral"
        windows.append(config.sliding_window if slides else None)
    return Stack("", list(model.layers), steps, model.norm, windows)


def t5_stack(stack, prefix):
    def attention(name, layer, core):
        return Step(name, core.q, core.o, pre=layer.layer_norm, attention=core, probs=2, qkv=(core.q, core.k, core.v))

    steps = []
    for block in stack.block:
        parts = [attention("attn", block.layer[0], block.layer[0].SelfAttention)]
        if stack.is_decoder:
            parts.append(attention("cross", block.layer[1], block.layer[1].EncDecAttention))
        dense = block.layer[-1].DenseReluDense
        first = dense.wi_0 if hasattr(dense, "wi_0") else dense.wi
        parts.append(Step("mlp", first, dense.wo, pre=block.layer[-1].layer_norm))
        steps.append(parts)
    windows = [None] * len(steps) if stack.is_decoder else None
    return Stack(prefix, list(stack.block), steps, stack.final_layer_norm, windows)


def stacks_of(model):
    """The stacks of a loaded model, whether it carries a head or not."""
    kind = model.config.model_type
    if kind == "t5":
        if hasattr(model, "decoder"):
            return [t5_stack(model.encoder, "enc."), t5_stack(model.decoder, "dec.")]
        return [t5_stack(model.encoder, "")]
    base = getattr(model, model.base_model_prefix, model)
    return [{"bert": bert_stack, "gpt2": gpt2_stack}.get(kind, rotary_stack)(base)]


def first_tensor(value):
    return value[0] if isinstance(value, tuple) else value


def rows(tensor):
    """[1, t, width] as [t, width]; [1, heads, t, d] as [t, heads * d]."""
    if tensor.ndim == 4:
        tensor = tensor.transpose(1, 2).flatten(2)
    assert tensor.shape[0] == 1 and tensor.dtype == torch.float32
    return tensor[0].detach().clone().contiguous()


class Collector(contextlib.ExitStack):
    """While entered, writes each site that a forward pass reaches into `sites`."""

    def __init__(self, model):
        super().__init__()
        self.sites = {}
        self.model = model
        self.stacks = stacks_of(model)

    def __enter__(self):
        super().__enter__()
        for stack in self.stacks:
            self.hook_stack(stack)
        return self

    def on_input(self, module, site):
        def hook(_, arguments, keywords):
            self.sites[site] = rows(arguments[0] if arguments else keywords["hidden_states"])

        self.callback(module.register_forward_pre_hook(hook, with_kwargs=True).remove)

    def on_output(self, module, site, place=None):
        def hook(_, __, output):
            if place is None:
                self.sites[site] = rows(first_tensor(output))
            else:
                self.sites[site] = output[place][0].detach().clone().contiguous()

        self.callback(module.register_forward_hook(hook).remove)

    def hook_stack(self, stack):
        self.on_input(stack.blocks[0], f"{stack.prefix}embed")
        scored = {}
        for index, (block, steps) in enumerate(zip(stack.blocks, stack.steps)):
            for place, step in enumerate(steps):
                site = f"{stack.prefix}block.{index}.{step.name}"
                self.on_input(step.reads, f"{site}.in")
                self.on_input(step.last, f"{site}.z" if step.attention else f"{site}.act")
                self.on_output(step.last, f"{site}.out")
                if step.after:
                    self.on_input(step.after, f"{site}.presum")
                    self.on_output(step.after, f"{site}.sum")
                elif place + 1 < len(steps):
                    self.on_input(steps[place + 1].pre, f"{site}.sum")
                else:
                    self.on_output(block, f"{site}.sum")
                if step.attention:
                    self.on_output(step.attention, f"{site}.probs", step.probs)
                    for letter, projection in zip("qkv", step.qkv):
                        self.on_output(projection, f"{site}.{letter}")
                    if not step.qkv:
                        scored[step.attention] = site
            self.on_output(block, f"{stack.prefix}block.{index}.out")
        self.on_output(stack.norm or stack.blocks[-1], f"{stack.prefix}final")
        if scored:
            self.wrap_scores(scored)

    def wrap_scores(self, scored):
        """Records what the eager attention function is given: queries and keys after any norm and rotation."""
        source = sys.modules[type(next(iter(scored))).__module__]
        original = source.eager_attention_forward

        def wrapper(module, query, key, value, *arguments, **keywords):
            for letter, tensor in zip("qkv", (query, key, value)):
                self.sites[f"{scored[module]}.{letter}"] = rows(tensor)
            return original(module, query, key, value, *arguments, **keywords)

        source.eager_attention_forward = wrapper
        self.callback(setattr, source, "eager_attention_forward", original)
