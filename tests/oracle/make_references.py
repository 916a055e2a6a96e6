"""Runs the tiny models and writes, or checks, reference.safetensors beside each.

Without --check: models of this transformers generation, writing. With --check: models of every generation, comparing
with the references that are there.
"""

import argparse
import json
import pathlib
import shutil
import tempfile
import zlib

import numpy
import torch
import transformers
from safetensors.torch import load_file, save_file

from families import MODELS
from make_models import GENERATION, GOLDEN
from sites import Collector
from verify import check, distance

LENGTHS = [(1, False), (2, False), (13, True), (24, True), (60, False)]  # tokens, whether every site is kept
PAIRS = [((1, 2), False), ((13, 7), True), ((20, 14), True), ((37, 1), False), ((60, 40), False)]
TYPED_ROW = 2
TOLERANCE = 1e-6


def make_rows(tiny, config):
    """The inputs of a model: (forward arguments as lists, whether every site is kept) a row."""
    random = numpy.random.default_rng(zlib.crc32(f"{tiny.name} rows".encode()))

    def ids(count):
        return random.integers(0, config.vocab_size, count).tolist()

    made = []
    if tiny.architecture == "T5ForConditionalGeneration":
        for (source, target), whole in PAIRS:
            decoder = [config.decoder_start_token_id] + ids(target - 1)
            made.append(({"input_ids": ids(source), "decoder_input_ids": decoder}, whole))
        return made
    for row, (length, whole) in enumerate(LENGTHS):
        inputs = {"input_ids": ids(length)}
        if tiny.family == "bert" and config.type_vocab_size > 1 and row == TYPED_ROW:
            inputs["token_type_ids"] = [0] * 6 + [1] * (length - 6)
        made.append((inputs, whole))
    return made


def load(folder):
    """The model as its config names it, in fp32 with eager attention; every stored tensor must find its place."""
    architecture = json.loads((folder / "config.json").read_text())["architectures"][0]
    model, info = getattr(transformers, architecture).from_pretrained(
        folder, dtype=torch.float32, attn_implementation="eager", output_loading_info=True
    )
    assert not info["missing_keys"] and not info["unexpected_keys"], info
    return model.eval()


def is_light(site):
    """Sites kept for every row: embed, the blocks' outputs and final."""
    parts = site.removeprefix("enc.").removeprefix("dec.").split(".")
    return parts in (["embed"], ["final"]) or (len(parts) == 3 and parts[2] == "out")


def input_tensors(row, inputs):
    two = "decoder_input_ids" in inputs
    names = {
        "input_ids": "enc.input_ids" if two else "input_ids",
        "decoder_input_ids": "dec.input_ids",
        "token_type_ids": "type_ids",
    }
    dtypes = {"token_type_ids": torch.uint8}
    return {f"r{row}.{names[key]}": torch.tensor(ids, dtype=dtypes.get(key, torch.int32)) for key, ids in inputs.items()}


def run(model, rows):
    """Every tensor of a reference: inputs and sites of each row, each computed alone and unpadded."""
    tensors = {}
    for row, (inputs, whole) in enumerate(rows):
        tensors |= input_tensors(row, inputs)
        batch = {key: torch.tensor([ids]) for key, ids in inputs.items()}
        if model.config.model_type != "bert" and not model.__class__.__name__.endswith("EncoderModel"):
            batch["use_cache"] = False
        with torch.no_grad():
            with Collector(model) as collector:
                output = model(**batch, output_hidden_states=True, output_attentions=True, return_dict=True)
            check(collector, output)
        sites = collector.sites
        if "logits" in output:
            sites["logits"] = output["logits"][0].clone()
        tensors |= {f"r{row}.{site}": value for site, value in sites.items() if whole or is_light(site)}
    return tensors


def respelled(folder, target):
    """A copy of a folder whose config.json spells generation 5's rotary settings as generation 4 does."""
    shutil.copytree(folder, target)
    config = json.loads((folder / "config.json").read_text())
    rope = config.pop("rope_parameters")
    config["rope_theta"] = rope.pop("rope_theta")
    config["rope_scaling"] = None if rope["rope_type"] == "default" else rope
    (target / "config.json").write_text(json.dumps(config))
    return target


def differences(tensors, reference):
    """(site, distance) of all tensors that part from the reference by more than the tolerance, in file order."""
    assert tensors.keys() == reference.keys(), tensors.keys() ^ reference.keys()
    far = [(name, distance(tensors[name], reference[name])) for name in tensors]
    return [(name, value) for name, value in far if value > TOLERANCE], max(value for _, value in far)


def check_folder(tiny, folder):
    """One line that says how far this generation's run is from the stored reference; raises where it parts."""
    reference = load_file(folder / "reference.safetensors")
    model = load(folder)
    beyond, largest = differences(run(model, make_rows(tiny, model.config)), reference)
    if beyond and GENERATION == 4 and "rope_parameters" in json.loads((folder / "config.json").read_text()):
        first = f"{beyond[0][0]} {beyond[0][1]:.2g}"
        with tempfile.TemporaryDirectory() as scratch:
            model = load(respelled(folder, pathlib.Path(scratch) / "model"))
            beyond, largest = differences(run(model, make_rows(tiny, model.config)), reference)
        assert not beyond, f"{tiny.name}: {beyond[:3]}"
        return f"{largest:.2g} with rotary settings respelled (as stored: {first})"
    if GENERATION == 4 and getattr(model.config, "scale_decoder_outputs", True) is False:
        assert beyond and all(name.endswith(".logits") for name, _ in beyond), f"{tiny.name}: {beyond[:3]}"
        return "logits part: generation 4 ties and scales a head that generation 5 stored apart"
    assert not beyond, f"{tiny.name}: {beyond[:3]}"
    return f"{largest:.2g}"


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=pathlib.Path, default=GOLDEN, help="folder of the models (default tests/golden)")
    parser.add_argument("--check", action="store_true", help="compare instead of writing, models of both generations")
    parser.add_argument("names", nargs="*", help="only these models")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    for tiny in MODELS:
        if arguments.names and tiny.name not in arguments.names:
            continue
        folder = arguments.out / tiny.name
        if arguments.check:
            print(tiny.name, check_folder(tiny, folder), flush=True)
        elif tiny.generation == GENERATION:
            model = load(folder)
            tensors = run(model, make_rows(tiny, model.config))
            save_file(tensors, folder / "reference.safetensors", metadata={"transformers": transformers.__version__})
            print(tiny.name, (folder / "reference.safetensors").stat().st_size, flush=True)


if __name__ == "__main__":
    main()
