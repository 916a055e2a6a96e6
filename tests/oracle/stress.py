"""Holds the built program against transformers on models that nobody has seen: the settings of settings/, each with
other sizes, other random parameters and, where transformers has one, a head. Prints the worst relative L2 distance of states and logits of every model, and what was refused.

usage: stress.py PROGRAM [--seed N] [NAMES...]
"""

import argparse
import dataclasses
import json
import pathlib
import random
import re
import subprocess
import tempfile

import torch
import transformers
from safetensors.torch import load_file

from make_states import GENERATION, all_models, load, make, run

LAYERS = ("num_hidden_layers", "num_layers", "n_layer", "n_layers", "encoder_layers", "decoder_layers")
WIDTHS = ("intermediate_size", "ffn_hidden_size", "d_ff", "encoder_ffn_dim", "decoder_ffn_dim", "ffn_dim", "n_inner")
LABELS = ("ForSequenceClassification", "ForTokenClassification")
HEADS = ("ForCausalLM", "ForMaskedLM", "ForConditionalGeneration", "LMHeadModel")


def with_head(tiny, chance):
    """The architecture or, every other time, one of the same family with a head over the vocabulary or over labels."""
    base = tiny.architecture.removesuffix("Model")
    if tiny.last or tiny.rename or base == tiny.architecture or chance.randrange(2):
        return tiny.architecture
    found = [base + head for head in HEADS + LABELS if hasattr(transformers, base + head)]
    return chance.choice(found) if found else tiny.architecture


def mutated(tiny, chance):
    """The same settings with another vocabulary, depth, MLP width, epsilon and seed."""
    config = dict(tiny.config)
    fixed = bool(tiny.last) or any(isinstance(value, (list, tuple)) for value in config.values())
    for key in config:
        if key == "vocab_size":
            config[key] += chance.randrange(1, 40)
        elif key in LAYERS and not fixed:
            config[key] += chance.randrange(0, 3)
        elif key in WIDTHS and isinstance(config[key], int):
            config[key] += 2 * chance.randrange(0, 9)
        elif re.search("eps", key) and isinstance(config[key], float):
            config[key] = chance.choice([1e-6, 1e-5, 1e-3])
    name = tiny.name[: -len("-v5")] + f"-{chance.randrange(10**6)}-v{tiny.generation}"
    architecture = with_head(tiny, chance)
    if architecture != tiny.architecture and chance.randrange(2):
        config["tie_word_embeddings"] = bool(chance.randrange(2))
    return dataclasses.replace(tiny, name=name, config=config, architecture=architecture)


def scores_labels(folder):
    name = json.loads((folder / "config.json").read_text())["architectures"][0]
    return not name.endswith((*HEADS, "MTModel"))


def distances(program, folder, tensors):
    """(worst distance, site) over all rows, or the program's refusal."""
    two = any(name.endswith("enc.input_ids") for name in tensors)
    names = {"input_ids": "ids", "type_ids": "type_ids", "enc.input_ids": "ids", "dec.input_ids": "decoder_ids"}
    rows = {}
    for name, value in tensors.items():
        row, what = name.split(".", 1)
        if what in names:
            rows.setdefault(int(row[1:]), {})[names[what]] = value.tolist()
    (folder / "rows.jsonl").write_text("".join(json.dumps(rows[row]) + "\n" for row in sorted(rows)))
    described = subprocess.run([program, "inspect", str(folder), "--json"], capture_output=True, text=True, timeout=120)
    has_head = described.returncode == 0 and json.loads(described.stdout)["head"] is not None
    sites = "**.embed,**.block.*.out,**.final" if two else "embed,block.*.out,final"
    sites += ",logits" if has_head else ""
    words = [program, "states", str(folder), "-i", str(folder / "rows.jsonl"), "-o", str(folder / "run"), "-q"]
    result = subprocess.run([*words, "--sites", sites], capture_output=True, text=True, timeout=120)
    if result.returncode:
        return None, f"exit {result.returncode} {result.stderr.strip()}"
    worst = (0.0, "none")
    shards = [load_file(path) for path in sorted((folder / "run").glob("shard-*"))]
    assert len(shards) == 1
    for name, value in tensors.items():
        row, site = name.split(".", 1)
        if site in names or site == "logits" and scores_labels(folder):
            continue
        if site == "logits" and not has_head:
            return None, "no head"
        prefix = ("dec." if site == "logits" else site.split(".")[0] + ".") if two else ""
        offsets = shards[0][f"{prefix}offsets"]
        index = int(row[1:])
        mine = shards[0][site][int(offsets[index]) : int(offsets[index + 1])].double()
        away = float((mine - value.double()).norm() / value.double().norm().clamp_min(1e-30))
        worst = max(worst, (away, f"{row}.{site}"))
    return worst


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("program")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("names", nargs="*", help="only models whose names begin so")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    counts = {"exact": 0, "refused": 0, "wrong": 0, "not made": 0}
    for tiny in all_models():
        if tiny.generation != GENERATION or (arguments.names and not tiny.name.startswith(tuple(arguments.names))):
            continue
        chance = random.Random(f"{arguments.seed} {tiny.name}")
        with tempfile.TemporaryDirectory() as scratch:
            folder = pathlib.Path(scratch) / "model"
            other = mutated(tiny, chance)
            try:
                make(other, folder)
                tensors = run(other, load(folder))
            except Exception as error:  # transformers itself refuses some sizes
                counts["not made"] += 1
                print(f"{other.name}: not made: {str(error).splitlines()[0] if str(error) else type(error)}", flush=True)
                continue
            away, where = distances(arguments.program, folder, tensors)
            verdict = "refused" if away is None else "exact" if away <= 1e-5 else "wrong"
            counts[verdict] += 1
            if verdict != "exact":
                print(f"{other.name}: {verdict}: {where} {away}", flush=True)
    print(counts)


if __name__ == "__main__":
    main()
