#!/usr/bin/env python3
"""Writes tests/data/similarity/cases.json: layers of a few vectors and how alike they are, by float64 numpy.

Definitions, each by its own formula rather than by ours: CKA as HSIC of centred Gram matrices (Kornblith et al. 2019,
equation 4), effective rank from a singular value decomposition (Roy and Vetterli 2007), RSA as Spearman's correlation of
1 - numpy.corrcoef (Kriegeskorte et al. 2008), anisotropy as the mean over all pairs (Ethayarajh 2019).
Run with the environment of requirements-v5.txt: python tests/oracle/make_similarity.py
"""
import json
import pathlib

import numpy
from scipy.stats import spearmanr

OUT = pathlib.Path(__file__).resolve().parents[1] / "data/similarity/cases.json"


def cka(x, y):
    centre = numpy.eye(len(x)) - 1 / len(x)
    k, l = centre @ (x @ x.T) @ centre, centre @ (y @ y.T) @ centre
    return numpy.trace(k @ l) / numpy.sqrt(numpy.trace(k @ k) * numpy.trace(l @ l))


def effective_rank(x):
    values = numpy.linalg.svd(x - x.mean(0), compute_uv=False)
    values = values[values > values[0] * 1e-12]
    shares = values / values.sum()
    return numpy.exp(-(shares * numpy.log(shares)).sum())


def rsa(x, y):
    above = numpy.triu_indices(len(x), 1)
    return spearmanr((1 - numpy.corrcoef(x))[above], (1 - numpy.corrcoef(y))[above]).statistic


def anisotropy(x):
    units = x / numpy.linalg.norm(x, axis=1, keepdims=True)
    cosines = units @ units.T
    return cosines[numpy.triu_indices(len(x), 1)].mean()


def cosine(x, y):
    return numpy.mean((x * y).sum(1) / numpy.linalg.norm(x, axis=1) / numpy.linalg.norm(y, axis=1))


def case(name, layers):
    layers = [numpy.round(layer, 3).astype(numpy.float32) for layer in layers]
    wide = [layer.astype(numpy.float64) for layer in layers]
    table = lambda measure: [[float(measure(x, y)) for y in wide] for x in wide]
    return {"name": name, "rows": len(wide[0]), "widths": [x.shape[1] for x in wide],
            "layers": [[float(f"{value:.8g}") for value in layer.ravel()] for layer in layers],
            "cka": table(cka), "rsa": table(rsa), "effective_rank": [float(effective_rank(x)) for x in wide],
            "anisotropy": [float(anisotropy(x)) for x in wide],
            "norm": [float(numpy.linalg.norm(x, axis=1).mean()) for x in wide],
            "cosine": [float(cosine(a, b)) if a.shape == b.shape else None for a, b in zip(wide, wide[1:])]}


def main():
    random = numpy.random.default_rng(7)
    stream = [random.normal(size=(40, 12))]
    for _ in range(3):
        stream.append(stream[-1] + numpy.tanh(stream[-1] @ random.normal(size=(12, 12)) / 3))
    shared = random.normal(size=(40, 4))
    mixed = [shared @ random.normal(size=(4, width)) + .3 * random.normal(size=(40, width)) for width in (5, 9, 17)]
    far = [random.normal(size=(30, 6)) + 1000, random.normal(size=(30, 6)) * [100, 10, 1, 1, .1, .1] - 500]
    few = [random.normal(size=(9, 20)), random.normal(size=(9, 15))]
    cases = [case("a residual stream", stream), case("three widths", mixed), case("large means", far),
             case("fewer vectors than dimensions", few)]
    OUT.parent.mkdir(parents=True, exist_ok=True)
    OUT.write_text(json.dumps(cases, separators=(",", ":")) + "\n")


if __name__ == "__main__":
    main()
