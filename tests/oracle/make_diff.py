"""Writes tests/data/diff/: dumps that changed transformers models made, each with what `diff` should find (faults/).

A case is a folder of dump.safetensors (or .npz) and expected.json, as plant_faults.py writes them; its model is a golden one or
one of tests/data/alice. `port/` is the example of docs/diff.md: examples/dump_hooks.py with one line of its rotation changed.
"""

import argparse
import re
import shutil
import sys
import types

import torch
import transformers
from safetensors.torch import load_file, save_file

from faults import honest, texts
from faults.cases import ROOT, Planter

OUT = ROOT / "tests/data/diff"
# (faults, family): one of every kind, over the families.
FAULTS = [
    (["activation"], "bert"), (["activation"], "gpt2"), (["eps"], "roberta"), (["scale"], "opt"), (["embedding-scale"], "gemma2"),
    (["rope-base"], "llama"), (["rope-pairing"], "qwen3"), (["mask-self"], "gpt2"), (["mask-padding"], "bert"), (["window"], "modernbert"),
    (["positions-left"], "gpt2"), (["positions-offset"], "opt"), (["exchanged"], "t5"), (["transposed"], "gpt_neox"),
    (["other-layer"], "bart"), (["gate-up"], "llama"), (["bias"], "roberta"), (["bf16-linear"], "starcoder2"), (["final-norm"], "gpt_neox"),
    (["norm-offset"], "gemma2"), (["qk-norm"], "qwen3"), (["key-heads"], "qwen3"), (["relative-bias"], "t5"),
    (["activation", "scale"], "roberta"), (["hidden-weight"], "bert"),
]
HONEST = [("sdpa", "bert"), ("float64", "roberta"), ("stored-bf16", "gpt2"), ("stored-f16", "llama"), ("reordered", "t5"), ("alone", "gemma2")]
TOKENS = ("text-0", "text-3", "text-honest-0")
LINE = ("x.chunk(2, -1)", "(x[..., ::2], x[..., 1::2])")  # neighbours in place of halves


def port():
    """The port of the example, with its mistake."""
    source = (ROOT / "examples/dump_hooks.py").read_text()
    assert source.count(LINE[0]) == 1
    folder = OUT / "port"
    folder.mkdir(parents=True, exist_ok=True)
    arguments, sys.argv = sys.argv, ["dump_hooks.py", str(ROOT / "tests/data/alice/causal"), str(folder / "dump.safetensors"),
                                     *"0 55 71 65 28 213 37 78 11 55 71 65 9 28".split()]
    exec(compile(source.replace(*LINE), "dump_hooks.py", "exec"), {"__name__": "__main__"})
    sys.argv = arguments
    stream = {name: value for name, value in load_file(folder / "dump.safetensors").items() if not re.search(r"\.(attn|mlp)\.", name)}
    save_file(stream, folder / "dump.safetensors")  # the page's example: the stream alone is enough


def main():
    torch.set_num_threads(1)
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    shutil.rmtree(OUT, ignore_errors=True)
    planter = Planter(OUT, "small", 1)
    for faults, family in FAULTS:
        planter.plant("-".join([*faults, family]), family, 0, faults).write(OUT)
    for way, family in HONEST:
        for case in honest.cases(planter, [way], [family]):
            case.write(OUT)
    for case in texts.cases(types.SimpleNamespace(demo=None, out=OUT)):
        if case.name in TOKENS:
            case.tensors.pop("logits", None)  # large
            case.write(OUT)
    for case, compressed in (("honest-sdpa-bert", False), ("activation-bert", True)):  # two of them in numpy's format
        honest.as_npz(OUT / case, compressed)
    port()


if __name__ == "__main__":
    argparse.ArgumentParser(description=__doc__).parse_args()
    main()
