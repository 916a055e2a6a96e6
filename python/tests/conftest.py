"""What the tests need: the demo model, the program to compare with, and the references of tests/golden."""

import json
import os
import pathlib
import struct
import subprocess

import numpy as np
import pytest
from hypothesis import HealthCheck, settings

ROOT = pathlib.Path(__file__).resolve().parents[2]
GOLDEN = ROOT / "tests" / "golden"
MODEL = pathlib.Path(os.environ.get("MODEL", "models/all-MiniLM-L6-v2"))
PROGRAM = pathlib.Path(os.environ.get("LAYERSCOPE", "build/release/layerscope"))
TYPES = {"F32": np.float32, "I32": np.int32, "U8": np.uint8, "I64": np.int64}
TEXTS = ["I love cats", "", "You like dogs, don't you?", "naïve 你好 café", "a much longer sentence about nothing " * 9]

settings.register_profile("quick", max_examples=30, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)
settings.load_profile("quick")


@pytest.fixture(scope="session")
def folder() -> str:
    return str(MODEL if MODEL.is_absolute() else ROOT / MODEL)


@pytest.fixture(scope="session")
def model(folder):
    import layerscope

    return layerscope.AutoModel.from_pretrained(folder)


@pytest.fixture(scope="session")
def tokenizer(folder):
    import layerscope

    return layerscope.AutoTokenizer.from_pretrained(folder)


def layerscope_program(*words, stdin=None, status=0):
    """What the program prints."""
    program = str(PROGRAM if PROGRAM.is_absolute() else ROOT / PROGRAM)
    done = subprocess.run([program, *map(str, words)], input=stdin, capture_output=True, text=True, timeout=300)
    assert done.returncode == status, done.stderr
    return done.stdout


def json_lines(text):
    return [json.loads(line) for line in text.splitlines()]


def reference(name):
    """The tensors of a golden model's reference, by name."""
    return safetensors_of(GOLDEN / name / "reference.safetensors")


def safetensors_of(path):
    """The tensors of a file, by name."""
    data = path.read_bytes()
    (length,) = struct.unpack("<Q", data[:8])
    tensors = {}
    for key, place in json.loads(data[8 : 8 + length]).items():
        if key == "__metadata__":
            continue
        begin, end = (8 + length + offset for offset in place["data_offsets"])
        tensors[key] = np.frombuffer(data[begin:end], TYPES[place["dtype"]]).reshape(place["shape"])
    return tensors


def rows_of(tensors, prefix=""):
    """Ids of the rows of a reference."""
    rows = []
    while f"r{len(rows)}.{prefix}input_ids" in tensors:
        rows.append(tensors[f"r{len(rows)}.{prefix}input_ids"].astype(np.int64))
    return rows


def padded(rows, side="right", length=None, fill=0):
    """Ids and mask [rows, length]."""
    length = length or max(len(row) for row in rows)
    ids = np.full((len(rows), length), fill, np.int64)
    mask = np.zeros((len(rows), length), np.int64)
    for i, row in enumerate(rows):
        cells = slice(length - len(row), length) if side == "left" else slice(0, len(row))
        ids[i, cells], mask[i, cells] = row, 1
    return ids, mask


def close(a, b, tolerance=1e-5):
    """Largest difference against the largest value."""
    a, b = np.asarray(a, np.float64), np.asarray(b, np.float64)
    assert a.shape == b.shape, (a.shape, b.shape)
    return float(np.abs(a - b).max(initial=0)) <= tolerance * max(float(np.abs(b).max(initial=0)), 1e-9)
