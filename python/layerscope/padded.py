"""Between padded matrices and rows without padding: which cells of a batch are tokens, and where values belong."""

from __future__ import annotations

import os
from typing import Any

import numpy as np

from . import _native
from .arrays import Floats, Integers, integers, whole_mask
from .errors import InputError, UsageError


class Cells:
    """The tokens of padded ids [batch, sequence]: cells begins[i] ... ends[i] of row i, none where they are equal."""

    def __init__(self, ids: Any, mask: Any, what: str = "input_ids") -> None:
        self.ids = integers(ids, what)
        rows, self.length = self.ids.shape
        attended = whole_mask(mask, self.ids.shape)
        if attended is None:
            self.begins = np.zeros(rows, np.int64)
            self.ends = np.full(rows, self.length, np.int64)
            return
        count = attended.sum(axis=1)
        self.begins = np.where(count > 0, attended.argmax(axis=1), 0)
        last = self.length - attended[:, ::-1].argmax(axis=1) if self.length > 0 else count
        self.ends = np.where(count > 0, last, 0)
        holes = np.flatnonzero(self.ends - self.begins != count)
        if holes.size > 0:
            raise InputError(f"attention_mask: row {holes[0]} has a hole, its ones do not stand side by side")

    def __len__(self) -> int:
        return len(self.ids)

    def kept(self, rows: Integers) -> tuple[Integers, Integers, Integers]:
        """Ids, begins and ends of some of the rows."""
        return np.ascontiguousarray(self.ids[rows]), self.begins[rows], self.ends[rows]


class PaddedRun:
    """A batch through a model, its values in padded arrays whose other cells are zero."""

    def __init__(self, model: _native.Model, main: Cells, types: Any, decoder: Cells | None, edits: _native.EditPlan | None = None) -> None:
        if decoder is not None and len(decoder) != len(main):
            raise UsageError(f"decoder_input_ids: has {len(decoder)} rows, input_ids has {len(main)}")
        self._model, self._main, self._decoder, self._edits = model, main, decoder, edits
        self._running = np.flatnonzero(main.ends > main.begins)
        type_ids = None if types is None else integers(types, "token_type_ids")
        if type_ids is not None and type_ids.shape != main.ids.shape:
            raise UsageError(f"token_type_ids: has the shape {type_ids.shape}, the ids have {main.ids.shape}")
        ids, begins, ends = main.kept(self._running)
        second = decoder.kept(self._running) if decoder is not None else (None, None, None)
        self.rows = _native.rows_of_ids(
            model, ids, begins, ends, None if type_ids is None else np.ascontiguousarray(type_ids[self._running]), *second
        )

    @property
    def running(self) -> Integers:
        """The rows that have tokens."""
        return self._running

    def cells(self, decoder: bool) -> Cells:
        return self._decoder if decoder and self._decoder is not None else self._main

    def values(self, plan: _native.Plan, threads: int) -> dict[str, Floats]:
        """Every site of the plan: [batch, sequence, width], of probabilities [batch, heads, queries, keys]."""
        outputs, arrays = [], {}
        for site in plan.stored:
            array, output = self._place(site)
            arrays[site.name] = array
            outputs.append(output)
        if len(self._running) > 0:
            _native.run(self._model, plan, self.rows, outputs, threads, self._edits)
        return arrays

    def _place(self, site: _native.StoredSite) -> tuple[Floats, tuple[Floats, Integers, int, int]]:
        queries = self.cells(site.decoder)
        first, running = queries.begins[self._running], self._running
        if site.unit == "tokens":
            array = np.zeros((len(queries), queries.length, site.width), np.float32)
            offsets = (running * queries.length + first) * site.width
            return array, (array.reshape(-1), offsets, site.width, 0)
        if site.unit != "probs":
            raise UsageError(f"site {site.name}: not for padded results")
        keys = self.cells(site.decoder and not site.cross)
        array = np.zeros((len(queries), site.heads, queries.length, keys.length), np.float32)
        plane = queries.length * keys.length
        offsets = running * site.heads * plane + first * keys.length + keys.begins[running]
        return array, (array.reshape(-1), offsets, keys.length, plane)


def thread_count(threads: int | None) -> int:
    """Threads as the library counts them: 0 for all cores that this process may use."""
    if threads is None:
        return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 0
    if threads < 1:
        raise UsageError(f"threads {threads}: expected at least 1")
    return threads
