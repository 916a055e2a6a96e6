"""Plants faults in running transformers models and writes what they compute, with what `diff` should find.

    plant_faults.py OUT [--set open|held|small] [--seed N] [--variants N] [--demo MODEL] [NAMES...]

OUT/models/ holds tiny model folders of random sizes, untouched; OUT/<case>/dump.safetensors what a changed model computed
(docs/diff.md), and OUT/<case>/expected.json the answer: {model, verdict, first: site names of the first layer that differs,
faults: [{sites, kinds, what}], effect, noise}. A fault is planted by changing the modules of transformers, never the model
folder. Every case is proved when it is made: no state before the first one is touched, and how far that one is off, with the
rounding of fp32 against float64 beside it, decides whether the fault has to be found. The set `held` takes other families too,
`small` the golden models and rows of at most 10 tokens.
"""

import argparse
import pathlib
import warnings

import torch
import transformers

from faults import cases, honest, texts
from faults.faults import FAULTS, HIDDEN, NotHere


def two_at_once(planter, variants):
    random = cases.generator(planter.seed, planter.which, "two")
    for same in (False, True):
        made = 0
        label = "two-same" if same else "two-layers"
        for pair in cases.pairs_of_faults(random, 60, same):
            if made == 2 * variants:
                break
            family = str(random.choice(cases.FAMILIES[planter.which]))
            layers = [int(random.integers(3))] * 2 if same else None
            try:
                case = planter.plant(f"{label}-{made}", family, int(random.integers(2)), pair, layers)
            except NotHere:
                continue
            if case.answer["verdict"] != "differs":
                continue
            made += 1
            yield case


def hidden(planter, variants):
    """Faults that are smaller than rounding: nobody can see them."""
    for name in HIDDEN:
        for case in planter.drawn(name, [name], variants):
            assert case.answer["verdict"] == "same", case.answer
            yield case


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=pathlib.Path)
    parser.add_argument("--set", default="open", choices=sorted(cases.FAMILIES), dest="which")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--variants", type=int, default=3)
    parser.add_argument("--demo", type=pathlib.Path, help="folder of all-MiniLM-L6-v2: faults in a real model as well")
    parser.add_argument("names", nargs="*", help="only faults whose names begin so")
    arguments = parser.parse_intermixed_args()
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    planter = cases.Planter(arguments.out, arguments.which, arguments.seed)

    def wanted(name):
        return not arguments.names or name.startswith(tuple(arguments.names))

    def made():
        for name in [name for name in FAULTS if name not in HIDDEN and wanted(name)]:
            yield from planter.drawn(name, [name], arguments.variants)
        if wanted("two"):
            yield from two_at_once(planter, arguments.variants)
        if wanted("hidden"):
            yield from hidden(planter, arguments.variants)
        if wanted("honest"):
            yield from honest.cases(planter)
        if wanted("text"):
            yield from texts.cases(arguments)
        if arguments.demo and wanted("demo"):
            yield from texts.demo(arguments)

    for case in made():
        case.write(arguments.out)
        answer = case.answer
        line = f"{case.name:24} {case.family:12} {answer['verdict']:8}"
        if answer["first"]:
            line += f" {answer['first'][0]:16} {answer['effect'] / max(answer['noise'], 1e-12):10.3g} times the noise"
        print(line + "  " + "; ".join(f["what"] for f in answer["faults"]), flush=True)


if __name__ == "__main__":
    main()
