"""Writes tests/data/edits/cases.json: final states of golden folders whose stream is edited by hooks in transformers.

Every case is an edit as `--edits` takes it, the ids it is applied to, and what the stack ends with: [tokens, width].
usage: make_edits.py    (the environment of requirements-v5.txt)
"""
import json
import pathlib

import numpy
import torch
import transformers
from safetensors import safe_open

ROOT = pathlib.Path(__file__).resolve().parents[2]
OUT = ROOT / "tests/data/edits/cases.json"
ROW = 2

# folder, site, where transformers holds its value ("module>" its output, ">module" its input), op, positions
CASES = [
    ("bert-base-v5", "block.0.out", "encoder.layer.0>", "add", [1]),
    ("bert-base-v5", "block.1.attn.out", "encoder.layer.1.attention.output.dense>", "set", [0, -1]),
    ("bert-base-v5", "block.0.mlp.act", "encoder.layer.0.intermediate>", "scale", [2]),
    ("gpt2-base-v4", "block.0.out", "h.0>", "set", [0]),
    ("gpt2-base-v4", "block.1.mlp.in", "h.1.ln_2>", "add", [-1]),
    ("gpt2-base-v4", "block.0.attn.out", "h.0.attn.c_proj>", "scale", [1, 2]),
    ("llama-base-v4", "embed", "embed_tokens>", "add", [1]),
    ("llama-base-v4", "block.0.attn.z", ">layers.0.self_attn.o_proj", "set", [1]),
    ("llama-base-v4", "block.0.attn.v", "layers.0.self_attn.v_proj>", "add", [0]),
    ("llama-base-v4", "block.0.attn.in", "layers.0.input_layernorm>", "scale", [-2]),
    ("mixtral-base-v4", "block.0.mlp.out", "layers.0.mlp>", "add", [1]),
    ("t5-base-v5", "enc.block.0.out", "encoder.block.0>", "add", [1]),
    ("t5-base-v5", "dec.block.0.cross.v", "decoder.block.0.layer.1.EncDecAttention.v>", "set", [0]),
    ("t5-base-v5", "dec.block.0.cross.z", ">decoder.block.0.layer.1.EncDecAttention.o", "scale", [-1]),
]


def edited(value, op, positions, vector):
    value = value.clone()
    for position in positions:
        if op == "add":
            value[0, position] += vector
        elif op == "set":
            value[0, position] = vector
        else:
            value[0, position] *= vector
    return value


def hook(model, place, change):
    """Applies `change` to the first tensor that goes into or comes out of a module."""
    def on(values):
        return (change(values[0]), *values[1:]) if isinstance(values, tuple) else change(values)
    if place.startswith(">"):
        return model.get_submodule(place[1:]).register_forward_pre_hook(lambda module, inputs: on(inputs))
    return model.get_submodule(place[:-1]).register_forward_hook(lambda module, inputs, output: on(output))


def ids_of(folder):
    with safe_open(ROOT / "tests/golden" / folder / "reference.safetensors", "pt") as file:
        names = [f"r{ROW}.input_ids", f"r{ROW}.enc.input_ids", f"r{ROW}.dec.input_ids"]
        return {name.split(".", 1)[1]: file.get_tensor(name).tolist() for name in names if name in file.keys()}


def width_at(model, place, inputs):
    widths = []
    handle = hook(model, place, lambda value: widths.append(value.shape[-1]) or value)
    with torch.no_grad():
        model(**inputs)
    handle.remove()
    return widths[0]


def main():
    torch.set_num_threads(1)
    cases = []
    for folder, site, place, op, positions in CASES:
        model = transformers.AutoModel.from_pretrained(ROOT / "tests/golden" / folder, dtype=torch.float32,
                                                       attn_implementation="eager").eval()
        ids = ids_of(folder)
        if "input_ids" in ids:
            inputs = {"input_ids": torch.tensor([ids["input_ids"]])}
        else:
            inputs = {"input_ids": torch.tensor([ids["enc.input_ids"]]),
                      "decoder_input_ids": torch.tensor([ids["dec.input_ids"]])}
        generator = numpy.random.default_rng(len(cases))
        vector = generator.uniform(-1, 1, width_at(model, place, inputs)).astype(numpy.float32).round(3)
        handle = hook(model, place, lambda value: edited(value, op, positions, torch.from_numpy(vector)))
        with torch.no_grad():
            final = model(**inputs).last_hidden_state[0].numpy()
        handle.remove()
        cases.append({"folder": folder, "ids": ids,
                      "edit": {"site": site, "op": op, "positions": ",".join(map(str, positions)),
                               "values": [float(str(value)) for value in vector]},
                      "final": [[float(str(value)) for value in row] for row in final]})
    lines = ",\n".join(json.dumps(case) for case in cases)
    OUT.write_text(f'{{"transformers":"{transformers.__version__}","cases":[\n{lines}\n]}}\n')


if __name__ == "__main__":
    main()
