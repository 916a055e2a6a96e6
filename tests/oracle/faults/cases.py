"""Which faults are planted in which families: sets drawn from a seed, and what `diff` should say to each."""

import dataclasses
import json
import pathlib
import zlib

import numpy
import torch
from safetensors.torch import save_file

from make_states import load

from . import models
from .faults import FAULTS, NotHere
from .hooks import Changes
from .parts import Stack

# How far a fault has to reach beyond rounding before it must be found, and below which it must not be.
CLEAR, HIDDEN = 30.0, 2.0
FAMILIES = {"open": models.OPEN, "held": models.HELD + models.OPEN, "small": tuple(models.GOLDEN)}
ROOT = pathlib.Path(__file__).resolve().parents[3]


@dataclasses.dataclass
class Case:
    name: str
    family: str
    model: pathlib.Path
    tensors: dict
    answer: dict

    def write(self, folder):
        place = folder / self.name
        place.mkdir(parents=True, exist_ok=True)
        save_file(self.tensors, place / "dump.safetensors")
        (place / "expected.json").write_text(json.dumps(self.answer, indent=1) + "\n")


def place(path, folder):
    """Of a model: within the repository, or beside the cases."""
    for root in (ROOT, folder):
        if root in path.parents:
            return str(path.relative_to(root))
    return str(path)


def generator(*words):
    return numpy.random.default_rng(zlib.crc32(" ".join(map(str, words)).encode()))


def states_of(stack, tensors):
    which = {"enc.": "encoder_", "dec.": "decoder_", "": ""}[stack.prefix]
    names = sorted((n for n in tensors if n.startswith(f"{which}hidden_states.")), key=lambda n: int(n.rsplit(".", 1)[1]))
    return [tensors[name] for name in names]


def real(stack, batch, state):
    """The rows of a state that are no padding."""
    if stack.prefix == "dec.":
        return state.reshape(-1, state.shape[-1])
    return state[batch["attention_mask"].bool()]


def distance(a, b):
    return float((a.double() - b.double()).norm() / b.double().norm().clamp_min(1e-30))


def site_of_state(stack, k):
    """Names under which the state k may be reported."""
    if k == 0:
        return [stack.end("embed")]
    last = [stack.end("final")] if k >= len(stack) else []
    return [*last, *([stack.site(k - 1, "out")] if k <= len(stack) else [])]


def precise(model, batch):
    """What float64 makes of the same rows, each alone and unpadded."""
    model.double()
    rows = []
    for row in range(len(batch["input_ids"])):
        alone = {"input_ids": batch["input_ids"][row][batch["attention_mask"][row].bool()][None]}
        if "decoder_input_ids" in batch:
            alone["decoder_input_ids"] = batch["decoder_input_ids"][row : row + 1]
        rows.append(models.run(model, alone))
    model.float()
    return rows


def reach(model, stack, batch, honest_batch, faulty, layer):
    """(effect, noise) at the first state that a fault in `layer` changes; all states before it must be untouched."""
    clean, exact = models.run(model, honest_batch), precise(model, batch)

    def values(tensors, k):
        if k > len(stack):
            return tensors["logits"][batch["attention_mask"].bool()]
        return real(stack, batch, states_of(stack, tensors)[k])

    k = layer + 1 if layer < len(stack) else layer  # the end changes the state of the last block
    for i in range(k):
        assert values(faulty, i).equal(values(clean, i)), f"state {i} is changed by a fault in block {layer}"
    alone = [tensors["logits"][0] if layer > len(stack) else states_of(stack, tensors)[k][0] for tensors in exact]
    return distance(values(faulty, k), values(clean, k)), distance(values(clean, k), torch.cat(alone))


def verdict(effect, noise):
    ratio = effect / max(noise, 1e-12)
    return "differs" if ratio > CLEAR else "same" if ratio < HIDDEN else "either"


class Planter:
    """Makes cases of one set in one folder; models are made once and shared by cases."""

    def __init__(self, folder, which, seed):
        self.folder, self.which, self.seed = folder, which, seed
        self.loaded = {}

    def model(self, family, number):
        key = f"{family}-{number}"
        if key not in self.loaded and self.which == "small":
            path = ROOT / "tests/golden" / models.GOLDEN[family]
            self.loaded[key] = (path, load(path))
        elif key not in self.loaded:
            path = self.folder / "models" / f"{self.which}-{key}"
            seed = zlib.crc32(f"{self.seed} {self.which} {key}".encode())
            self.loaded[key] = (path, models.build(family, f"{self.which}-{self.seed}-{key}", seed, path))
        return self.loaded[key]

    def shape(self):
        return {"count": 3, "longest": 10} if self.which == "small" else {}

    def plant(self, name, family, number, faults, layers=None):
        """A case with the given faults, each in its layer; NotHere where the family has no such part."""
        random = generator(self.seed, self.which, name, family, number)
        path, model = self.model(family, number)
        which = ("enc", "dec")[int(random.integers(2))] if model.config.is_encoder_decoder else ""
        stack = Stack(model, family, which)
        changes = Changes()
        try:
            chosen = layers or [int(n) for n in random.choice(len(stack), len(faults), replace=False)]
            planted = [FAULTS[fault](stack, layer, random, changes) for fault, layer in zip(faults, sorted(chosen))]
            side = next((p.padding for p in planted if p.padding), "right")
            batch = models.make_batch(model, random, side, **self.shape())
            run_with = dict(batch)
            for p in planted:
                run_with = p.inputs(run_with) if p.inputs else run_with
            tensors = models.run(model, run_with)
        finally:
            changes.undo()
        honest = dict(batch)
        if side == "left" and "decoder_input_ids" not in batch:
            honest["position_ids"] = (batch["attention_mask"].cumsum(-1) - 1).clamp_min(0)
        first = min(planted, key=lambda p: p.layer)
        effect, noise = reach(model, stack, batch, honest, tensors, first.layer)
        answer = {
            "model": place(path, self.folder), "family": family, "verdict": verdict(effect, noise),
            "first": ["logits"] if first.layer > len(stack) else site_of_state(stack, first.layer + 1),
            "faults": [{"sites": p.sites, "kinds": p.kinds, "what": p.what} for p in sorted(planted, key=lambda p: p.layer)],
            "effect": effect, "noise": noise, "padding": side,
        }
        return Case(name, family, path, tensors, answer)

    def drawn(self, name, faults, variants):
        """`variants` cases of the same faults in different families, as far as there are families that have the part."""
        order = [str(f) for f in generator(self.seed, self.which, name).permutation(FAMILIES[self.which])]
        made = 0
        for number in range(variants):
            for family in order:
                if made == variants:
                    return
                try:
                    yield self.plant(f"{name}-{made}", family, number, faults)
                    made += 1
                except NotHere:
                    continue


def pairs_of_faults(random, count, same):
    """Names of two faults each: in one block an attention's and an MLP's, else any two."""
    attention = ["scale", "bf16-linear", "exchanged", "mask-self", "mask-causal", "rope-base", "qk-norm", "key-heads"]
    mlp = ["activation", "gate-up", "eps", "bias", "noisy-weight"]
    every = attention + mlp + ["transposed", "other-layer", "norm-weight", "bf16-layer"]
    for _ in range(count):
        if same:
            yield [str(random.choice(attention)), str(random.choice(mlp[:2]))]
        else:
            yield [str(name) for name in random.choice(every, 2, replace=False)]
