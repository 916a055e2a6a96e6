"""Edits of the stream, and lists of numbers, as the library takes them."""

from __future__ import annotations

from typing import Any, Sequence

import numpy as np

from . import _native
from .arrays import from_torch, is_torch
from .errors import UsageError

EditIn = tuple[str, str, str, "int | None", Any]


def edit_tuples(edits: Sequence[Sequence[Any]]) -> list[EditIn]:
    """(site, "add" | "set" | "scale", positions, vector or number): a vector for all of the positions, or one each."""
    ready: list[EditIn] = []
    for edit in edits:
        if isinstance(edit, str) or len(edit) != 4:
            raise UsageError("edits: expected (site, add|set|scale, positions, vector or number)")
        site, op, positions, values = edit
        if is_torch(values):
            values = from_torch(values)
        array = np.ascontiguousarray(values, np.float32)
        ready.append((site, op, numbers(positions), None, array if array.ndim == 2 else array.reshape(1, -1)))
    return ready


def edit_plan(model: _native.Model, edits: Sequence[Sequence[Any]]) -> _native.EditPlan | None:
    """Edits that fit the model; nothing for none."""
    return _native.edit_plan(model, edit_tuples(edits)) if len(edits) > 0 else None


def numbers(value: Any) -> str:
    """A list of numbers as the command line takes it."""
    if isinstance(value, str):
        return value
    return str(value) if isinstance(value, int) else ",".join(str(int(number)) for number in value)
