"""Pairs without a fault: the same model on other engines, in other company, in other precisions of storage."""

import numpy
import torch
from safetensors.torch import load_file

from . import models
from .cases import FAMILIES, Case, generator, place, precise
from .faults import NotHere


def alone(model, batch):
    """Every row in a batch of its own, put back into the rectangle."""
    whole = models.run(model, batch)
    for row in range(len(batch["input_ids"])):
        one = models.run(model, {name: value[row : row + 1] for name, value in batch.items()})
        for name in whole:
            whole[name][row] = one[name][0]
    return whole


def sdpa(model, batch):
    try:
        model.set_attn_implementation("sdpa")
    except ValueError as why:  # some families have none
        raise NotHere(str(why)) from why
    tensors = models.run(model, batch)
    model.set_attn_implementation("eager")
    return tensors


def two_threads(model, batch):
    torch.set_num_threads(2)
    tensors = models.run(model, batch)
    torch.set_num_threads(1)
    return tensors


def without_onednn(model, batch):
    with torch.backends.mkldnn.flags(enabled=False):
        return models.run(model, batch)


def float64(model, batch):
    """float64 sums, kept as such."""
    whole = models.run(model, batch)
    for name in whole:
        if whole[name].is_floating_point():
            whole[name] = whole[name].double()
    mask = batch["attention_mask"].bool()
    for row, tensors in enumerate(precise(model, batch)):
        for name, value in tensors.items():
            if value.is_floating_point():
                decoder = name.startswith(("decoder", "logits")) and "decoder_input_ids" in batch
                whole[name][row, slice(None) if decoder else mask[row]] = value[0]
    return whole


def reordered(model, batch):
    """Every matrix product summed in another order: the features of both factors are shuffled alike."""
    handles = []
    for module in model.modules():
        if isinstance(module, torch.nn.Linear):
            def forward(x, module=module):
                order = torch.randperm(x.shape[-1], generator=torch.Generator().manual_seed(x.shape[-1]))
                return torch.nn.functional.linear(x[..., order], module.weight[:, order], module.bias)
            module.forward = forward
            handles.append(module)
    tensors = models.run(model, batch)
    for module in handles:
        del module.forward
    return tensors


def stored(dtype):
    def make(model, batch):
        return {name: value.to(dtype) if value.is_floating_point() else value for name, value in models.run(model, batch).items()}
    return make


def eager(model, batch):
    return models.run(model, batch)


WAYS = {"eager": eager, "sdpa": sdpa, "alone": alone, "threads": two_threads, "plain": without_onednn, "float64": float64,
        "reordered": reordered, "stored-f16": stored(torch.float16), "stored-bf16": stored(torch.bfloat16)}
# Padding on the left changes nothing where positions are relative or counted from the mask.
LEFT = ("llama", "t5", "gpt_neox", "qwen3", "opt", "mistral", "qwen2", "phi", "gemma2", "modernbert")


def cases(planter, ways=None, families=None):
    """Every family in about half of the ways; with `ways` in just those."""
    for number, family in enumerate(families or FAMILIES[planter.which]):
        path, model = planter.model(family, 0)
        for order, (way, make) in enumerate(WAYS.items()):
            if way not in ways if ways else way not in ("eager", "sdpa") and (order + number) % 2:
                continue
            random = generator(planter.seed, planter.which, "honest", way, family)
            side = "left" if family in LEFT and order % 2 else "right"
            batch = models.make_batch(model, random, side, **planter.shape())
            answer = {"model": place(path, planter.folder), "family": family, "verdict": "same", "first": [], "faults": [],
                      "effect": 0.0, "noise": 0.0, "padding": side}
            try:
                yield Case(f"honest-{way}-{family}", family, path, make(model, batch), answer)
            except NotHere:
                continue


def as_npz(case, compressed):
    """Stores a case's dump in numpy's format, which has no bfloat16."""
    path = case / "dump.safetensors"
    arrays = {name: value.numpy() for name, value in load_file(path).items()}
    (numpy.savez_compressed if compressed else numpy.savez)(case / "dump.npz", **arrays)
    path.unlink()
