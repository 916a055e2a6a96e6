"""Writes the tiny models of this transformers generation below tests/golden: config.json and model.safetensors."""

import argparse
import pathlib
import shutil
import zlib

import numpy
import torch
import transformers
from safetensors.torch import load_file, save_file

from families import BASE, MODELS

GOLDEN = pathlib.Path(__file__).resolve().parent.parent / "golden"
GENERATION = int(transformers.__version__.split(".")[0])


def make_config(tiny):
    """The config object, with rotary settings spelled as this generation spells them."""
    values = BASE[tiny.family] | tiny.config
    if tiny.rope and GENERATION >= 5:
        values = values | {"rope_parameters": {"rope_theta": 10000.0, "rope_type": "default"} | tiny.rope}
    elif tiny.rope:
        scaling = {key: value for key, value in tiny.rope.items() if key != "rope_theta"}
        values = values | {"rope_theta": tiny.rope.get("rope_theta", 10000.0)}
        if scaling:
            values = values | {"rope_scaling": scaling}
    return getattr(transformers, tiny.architecture).config_class(**values)


def is_norm(name):
    parts = name.lower().split(".")
    return any("norm" in part or part in ("ln_1", "ln_2", "ln_f") for part in parts)


def spread(name, parameter, tiny):
    """Mean and standard deviation of a parameter's random values."""
    if is_norm(name):
        return (1.0, 0.2) if name.endswith("weight") else (0.0, 0.1)
    if name.endswith("bias") and parameter.ndim == 1:
        return 0.0, 0.1
    if "relative_attention_bias" in name:
        return 0.0, 0.7
    if "embed" in name or "shared" in name or "wte" in name or "wpe" in name:
        return 0.0, tiny.embedding_std
    conv1d = tiny.family == "gpt2" and "lm_head" not in name  # stored [in, out]
    std = parameter.shape[0 if conv1d else 1] ** -0.5
    if tiny.family == "t5" and name.endswith("Attention.q.weight"):
        std *= 1.5 * tiny.config.get("d_kv", BASE["t5"]["d_kv"]) ** -0.5  # T5 does not scale its scores
    return 0.0, std


def randomise(model, tiny):
    """Fills every parameter from a generator seeded by the model's name."""
    random = numpy.random.default_rng(zlib.crc32(tiny.name.encode()))
    with torch.no_grad():
        for name, parameter in sorted(model.named_parameters()):
            mean, std = spread(name, parameter, tiny)
            values = random.standard_normal(tuple(parameter.shape)) * std + mean
            parameter.copy_(torch.from_numpy(values.astype(numpy.float32)))


def untie_head(model, tiny):
    """Gives the head a tensor of its own where the family ties in spite of the config (T5 since generation 5)."""
    untied = tiny.config.get("tie_word_embeddings") is False
    if untied and model.get_output_embeddings().weight is model.get_input_embeddings().weight:
        model.lm_head.weight = torch.nn.Parameter(model.lm_head.weight.detach().clone())


def rename_norms(path):
    """Stores the norms under their names of old, LayerNorm.gamma and LayerNorm.beta."""
    renamed = {}
    for name, tensor in load_file(path).items():
        old = name.replace("LayerNorm.weight", "LayerNorm.gamma").replace("LayerNorm.bias", "LayerNorm.beta")
        renamed[old] = tensor
    save_file(renamed, path, metadata={"format": "pt"})


def make(tiny, folder):
    config = make_config(tiny)
    model = getattr(transformers, tiny.architecture)(config)
    untie_head(model, tiny)
    randomise(model, tiny)
    model.to(getattr(torch, tiny.storage))
    shutil.rmtree(folder, ignore_errors=True)
    model.save_pretrained(folder, max_shard_size=tiny.shard_size)
    if tiny.gamma_beta:
        rename_norms(folder / "model.safetensors")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=pathlib.Path, default=GOLDEN, help="folder of the models (default tests/golden)")
    parser.add_argument("names", nargs="*", help="only these models")
    arguments = parser.parse_args()
    for tiny in MODELS:
        if tiny.generation == GENERATION and (not arguments.names or tiny.name in arguments.names):
            make(tiny, arguments.out / tiny.name)
            print(tiny.name)


if __name__ == "__main__":
    main()
