"""open(): a model under our own names, rows without padding."""

from __future__ import annotations

import json
import os
from itertools import islice
from typing import Any, Callable, Iterable, Iterator, Mapping, Sequence, overload

import numpy as np
from numpy.typing import NDArray

from . import _native
from .arrays import Floats, Integers
from .edits import edit_plan, numbers
from .errors import UsageError
from .folder import check_device, dtype_name, resolve
from .padded import thread_count

_ROWS_READ = 512  # at a time, for a sink
_ELEMENTS_HELD = 16 << 20  # of float32, likewise


class Ragged(Sequence[NDArray[Any]]):
    """Arrays of different lengths that lie end to end: `values` [total, width], row i from `offsets[i]` to `offsets[i + 1]`."""

    def __init__(self, values: NDArray[Any], offsets: Integers) -> None:
        self.values, self.offsets = values, offsets

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(len(self)))]
        if not -len(self) <= index < len(self):
            raise IndexError(f"row {index} of {len(self)}")
        index %= len(self)
        return self.values[self.offsets[index] : self.offsets[index + 1]]

    def padded(self, side: str = "right") -> NDArray[Any]:
        """[rows, longest, width], zero where there is nothing."""
        lengths = np.diff(self.offsets)
        longest = int(lengths.max(initial=0))
        result = np.zeros((len(self), longest, *self.values.shape[1:]), self.values.dtype)
        for row, own in zip(result, self):
            row[longest - len(own) if side == "left" else 0 :][: len(own)] = own
        return result

    def __repr__(self) -> str:
        return f"Ragged({len(self)} rows, {list(self.values.shape)} {self.values.dtype})"


class States(Mapping[str, Any]):
    """What was asked of rows, by site: a Ragged of tokens, [rows, width] where they are pooled, or a list of
    probabilities [heads, queries, keys]. `first`: the number of the first row."""

    def __init__(
        self,
        sites: dict[str, Any],
        ids: list[NDArray[np.int32]],
        special: list[NDArray[np.uint8]],
        positions: list[NDArray[np.int32]] | None,
        tokens: Any,
        first: int = 0,
    ) -> None:
        self.first = first
        self._sites, self.ids, self.special, self.positions, self._tokens = sites, ids, special, positions, tokens

    def __getitem__(self, site: str) -> Any:
        try:
            return self._sites[site]
        except KeyError:
            raise UsageError(f"site {site!r} was not asked for; there are {', '.join(self._sites)}") from None

    def __iter__(self) -> Iterator[str]:
        return iter(self._sites)

    def __len__(self) -> int:
        return len(self._sites)

    @property
    def tokens(self) -> list[list[str]]:
        """The vocabulary's entries of every row."""
        return [[self._tokens(int(token)) for token in row] for row in self.ids]

    def __repr__(self) -> str:
        lines = [f"States of {len(self.ids)} rows, {sum(len(row) for row in self.ids)} tokens"]
        for name, value in self._sites.items():
            shape = getattr(value, "values", value)
            text = f"{len(value)} arrays" if isinstance(value, list) else f"{list(shape.shape)} {shape.dtype}"
            lines.append(f"  {name}  {text}")
        return "\n".join(lines)


class Model:
    """A folder's model. Calls may come from several threads at once."""

    def __init__(self, native: _native.Model, threads: int | None = None) -> None:
        self._model, self.threads = native, thread_count(threads)
        self.path: str = native.path
        self.sites: list[str] = [site.name for site in native.sites]

    @overload
    def states(
        self,
        rows: str | Iterable[Any],
        *,
        layers: str | int | Sequence[int] = ...,
        sites: str | Sequence[str] = ...,
        pool: str = ...,
        positions: str | Sequence[int] = ...,
        mix: str | Mapping[int, float] = ...,
        seed: int = ...,
        edits: Sequence[Sequence[Any]] = ...,
        add_special_tokens: bool = ...,
        truncate: bool = ...,
        max_length: int | None = ...,
        sink: Callable[[States], object],
    ) -> None: ...

    @overload
    def states(
        self,
        rows: str | Iterable[Any],
        *,
        layers: str | int | Sequence[int] = ...,
        sites: str | Sequence[str] = ...,
        pool: str = ...,
        positions: str | Sequence[int] = ...,
        mix: str | Mapping[int, float] = ...,
        seed: int = ...,
        edits: Sequence[Sequence[Any]] = ...,
        add_special_tokens: bool = ...,
        truncate: bool = ...,
        max_length: int | None = ...,
        sink: None = None,
    ) -> States: ...

    def states(
        self,
        rows: str | Iterable[Any],
        *,
        layers: str | int | Sequence[int] = "",
        sites: str | Sequence[str] = "",
        pool: str = "none",
        positions: str | Sequence[int] = "all",
        mix: str | Mapping[int, float] = "",
        seed: int = 0,
        edits: Sequence[Sequence[Any]] = (),
        add_special_tokens: bool = True,
        truncate: bool = False,
        max_length: int | None = None,
        sink: Callable[[States], object] | None = None,
    ) -> States | None:
        """Hidden states of rows: texts, pairs of texts, lists of ids, or dicts as the lines of a .jsonl are.

        layers, sites, pool, positions and mix mean what the command line's flags of that name mean; with none of them,
        all layers. edits: (site, "add" | "set" | "scale", positions, vector or number).

        With a sink nothing is returned: it is called with the states of some rows after the other, in order, about 64 MB
        at a time, while `rows` may be an iterator without end. What it raises ends the pass and comes out as it is.
        """
        plan = _native.plan(
            self._model,
            layers=numbers(layers),
            sites=sites if isinstance(sites, str) else ",".join(sites),
            positions=numbers(positions),
            pool=pool,
            mix=mix if isinstance(mix, str) else ",".join(f"{layer}={weight}" for layer, weight in mix.items()),
            seed=seed,
        )
        changes = edit_plan(self._model, edits)
        tokenize = (add_special_tokens, truncate, max_length, self.threads)
        given = iter([rows] if isinstance(rows, str) else rows)
        if sink is None:
            return self._run(plan, _native.rows_of_texts(self._model, [_text_row(row) for row in given], *tokenize), changes)
        first = 0
        while texts := [_text_row(row) for row in islice(given, _ROWS_READ)]:
            ready = _native.rows_of_texts(self._model, texts, *tokenize, first)
            for part in self._parts(plan, ready):
                sink(self._run(plan, part, changes))
            first += len(texts)
        return None

    def _parts(self, plan: _native.Plan, rows: _native.Rows) -> Iterator[_native.Rows]:
        """Rows side by side whose states are not too many to hold; a single one may be."""
        elements = np.zeros(len(rows), np.int64)
        for site in range(len(plan.stored)):
            counts, widths = _native.block_shapes(self._model, plan, site, rows)
            elements += counts * widths
        begin = 0
        for end in range(1, len(rows) + 1):
            if end == len(rows) or elements[begin : end + 1].sum() > _ELEMENTS_HELD:
                yield rows.part(begin, end)
                begin = end

    def _run(self, plan: _native.Plan, ready: _native.Rows, edits: _native.EditPlan | None) -> States:
        values, outputs = {}, []
        for index, site in enumerate(plan.stored):
            values[site.name], output = self._place(plan, index, site, ready)
            outputs.append(output)
        if len(ready) > 0:
            _native.run(self._model, plan, ready, outputs, self.threads, edits)
        count = range(len(ready))
        kept = None
        if any(site.unit == "picks" for site in plan.stored):
            kept = [plan.picks(ready.first + row, int(length)) for row, length in enumerate(ready.lengths())]
        ids, special = [ready.ids(i) for i in count], [ready.special(i) for i in count]
        return States(values, ids, special, kept, self._token, ready.first)

    def _place(self, plan: _native.Plan, index: int, site: _native.StoredSite, rows: _native.Rows) -> tuple[Any, Any]:
        counts, widths = _native.block_shapes(self._model, plan, index, rows)
        if site.unit != "probs":
            offsets = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
            array: Floats = np.zeros((int(offsets[-1]), site.width), np.float32)
            value = array if site.unit == "pooled" else Ragged(array, offsets)
            return value, (array.reshape(-1), offsets[:-1] * site.width, site.width, 0)
        sizes = counts * widths
        begins = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)
        flat: Floats = np.zeros(int(begins[-1]), np.float32)
        blocks = [
            flat[begin : begin + size].reshape(site.heads, -1, width) for begin, size, width in zip(begins, sizes, widths)
        ]
        return blocks, (flat, begins[:-1], 0, 0)

    def _token(self, index: int) -> str:
        entry = self._model.token(index)
        return str(index) if entry is None else entry.decode("utf-8", "replace")

    def inspect(self) -> dict[str, Any]:
        """What the model is: stacks and their block programs, sites, the tensor behind every slot."""
        described: dict[str, Any] = json.loads(self._model.inspect_json())
        return described

    def __repr__(self) -> str:
        programs = [line for stack in self.inspect()["stacks"] for line in stack["program"]]
        head = f"{self.path}: {self._model.model_type}, {self._model.parameters:,} parameters, {self._model.dtype}"
        return "\n".join([head, *programs])


def _text_row(row: Any) -> _native.TextRow:
    if isinstance(row, str):
        return _native.TextRow(text=row)
    if isinstance(row, Mapping):
        return _native.TextRow(**{key: value for key, value in row.items() if key != "id"})
    if isinstance(row, (tuple, list)) and len(row) == 2 and all(isinstance(part, str) for part in row):
        return _native.TextRow(text=row[0], pair=row[1])
    if isinstance(row, (tuple, list, np.ndarray)) and all(isinstance(part, (int, np.integer)) for part in row):
        return _native.TextRow(ids=[int(part) for part in row])
    raise UsageError(f"rows: expected texts, pairs of texts, lists of ids or dicts, not {type(row).__name__}")


def open(
    name: str | os.PathLike[str],
    *,
    dtype: Any = None,
    device: Any = None,
    threads: int | None = None,
    isa: str = "",
    revision: str | None = None,
    cache_dir: str | os.PathLike[str] | None = None,
) -> Model:
    """A folder in Hugging Face layout, or org/name in the local cache; nothing is downloaded."""
    return Model(_native.Model.open(resolve(name, revision, cache_dir), dtype_name(dtype), check_device(device), isa), threads)
