"""open_run(): what a run folder holds, as arrays that lie in its files."""

from __future__ import annotations

import json
import os
from typing import Any, Iterator

import numpy as np
from numpy.typing import NDArray

from . import _native
from .arrays import Integers
from .errors import UsageError
from .model import Ragged

_TYPES = {"F64": "<f8", "F32": "<f4", "F16": "<f2", "BF16": "<u2", "I64": "<i8", "I32": "<i4", "U8": "|u1"}


def widened(array: NDArray[Any]) -> NDArray[np.float32]:
    """bfloat16, which numpy lacks and which is stored as its 16 bits, as float32: exactly, in a copy."""
    return (array.astype(np.uint32) << 16).view(np.float32)


class _Shard:
    """One file of a run, mapped into memory."""

    def __init__(self, path: str, tensors: list[tuple[str, str, list[int], int, int]]) -> None:
        self.path = path
        self._places = {name: (dtype, shape, begin, end) for name, dtype, shape, begin, end in tensors}
        self._bytes = np.memmap(path, np.uint8, "r")
        self.numbers: Integers = self.array("row")

    def __contains__(self, name: str) -> bool:
        return name in self._places

    def array(self, name: str) -> NDArray[Any]:
        """A tensor, without a copy."""
        dtype, shape, begin, end = self._places[name]
        return np.asarray(self._bytes[begin:end]).view(_TYPES[dtype]).reshape(shape)

    def is_bf16(self, name: str) -> bool:
        return self._places[name][0] == "BF16"

    def ids(self) -> list[Any]:
        """What the input called its rows, None where it did not."""
        if "id" not in self:
            return [None] * len(self.numbers)
        text, offsets = self.array("id").tobytes(), self.array("id_offsets").tolist()
        return [json.loads(text[a:b]) if b > a else None for a, b in zip(offsets[:-1], offsets[1:])]


class RunRow:
    """One row: its ids and the states that are stored of it."""

    def __init__(self, run: Run, shard: _Shard, index: int) -> None:
        self._run, self._shard, self._index = run, shard, index
        self.number = int(shard.numbers[index])

    def _slice(self, name: str, offsets: str) -> NDArray[Any]:
        ends = self._shard.array(offsets)
        return self._shard.array(name)[ends[self._index] : ends[self._index + 1]]

    @property
    def id(self) -> Any:
        return self._shard.ids()[self._index]

    @property
    def input_ids(self) -> Any:
        """The ids that the model read; of two stacks, a dict of both."""
        stacks = self._run.stacks
        both = {stack: self._slice(f"{stack}input_ids", f"{stack}offsets") for stack in stacks}
        return both[""] if stacks == ("",) else {stack.rstrip("."): ids for stack, ids in both.items()}

    @property
    def special(self) -> Any:
        stacks = self._run.stacks
        both = {stack: self._slice(f"{stack}special", f"{stack}offsets") for stack in stacks}
        return both[""] if stacks == ("",) else {stack.rstrip("."): marks for stack, marks in both.items()}

    def __getitem__(self, site: str) -> NDArray[Any]:
        return self._run[site]._of(self._shard, self._index)

    def __repr__(self) -> str:
        return f"RunRow({self.number}, {', '.join(self._run.sites)})"


class RunSite:
    """The states of one site, rows by their place in the run: [tokens, width] each, [width] where they are pooled."""

    def __init__(self, run: Run, site: _native.StoredSite) -> None:
        self._run, self._site = run, site
        self.name: str = site.name
        self.width: int = site.width
        self.pooled: bool = site.unit == "pooled"

    def __len__(self) -> int:
        return len(self._run)

    def __getitem__(self, place: int) -> NDArray[Any]:
        return self._of(*self._run._place(place))

    def __iter__(self) -> Iterator[NDArray[Any]]:
        for shard in self._run._shards:
            for index in range(len(shard.numbers)):
                yield self._of(shard, index)

    def blocks(self, raw: bool = False) -> Iterator[NDArray[Any]]:
        """Whole shards: [rows or tokens, width] each, no copies. bfloat16 becomes float32 unless `raw`."""
        for shard in self._run._shards:
            array = shard.array(self.name)
            yield widened(array) if shard.is_bf16(self.name) and not raw else array

    def to_numpy(self) -> NDArray[Any]:
        """All of it, [rows or tokens, width]; a copy where the run has several shards."""
        blocks = list(self.blocks())
        return blocks[0] if len(blocks) == 1 else np.concatenate(blocks)

    def _offsets(self, shard: _Shard) -> Integers | None:
        unit = self._site.unit
        if unit == "pooled":
            return None
        if unit == "probs":
            return shard.array(f"{self.name}.offsets")
        decoder = self._site.decoder and not self._site.cross
        stack = "" if self._run.stacks == ("",) else "dec." if decoder else "enc."
        return shard.array(f"{stack}{'pos_' if unit == 'picks' else ''}offsets")

    def _of(self, shard: _Shard, index: int) -> NDArray[Any]:
        array, offsets = shard.array(self.name), self._offsets(shard)
        if offsets is None:
            own = array[index]
        else:
            own = array[offsets[index] : offsets[index + 1]]
        if shard.is_bf16(self.name):
            own = widened(own)
        return own if self._site.unit != "probs" else self._probabilities(own, shard, index)

    def _probabilities(self, flat: NDArray[Any], shard: _Shard, index: int) -> NDArray[Any]:
        prefix = "" if self._run.stacks == ("",) else "dec." if self._site.decoder else "enc."
        ends = shard.array(f"{prefix}offsets")
        return flat.reshape(self._site.heads, int(ends[index + 1] - ends[index]), -1)

    def ragged(self) -> Ragged:
        """All rows as one Ragged; a copy where the run has several shards."""
        offsets = [np.zeros(1, np.int64)]
        for shard in self._run._shards:
            own = self._offsets(shard)
            if own is None or self._site.unit == "probs":
                raise UsageError(f"site {self.name}: is not one of tokens")
            offsets.append(own[1:] + offsets[-1][-1])
        return Ragged(self.to_numpy(), np.concatenate(offsets))

    def __repr__(self) -> str:
        return f"RunSite({self.name!r}, {len(self)} rows, width {self.width}{', pooled' if self.pooled else ''})"


class Run:
    """A run folder, its parts as one. Nothing is read before it is touched."""

    def __init__(self, folder: str, opened: _native.OpenedRun) -> None:
        self.folder = folder
        self.manifest: dict[str, Any] = json.loads(opened.manifest)
        self.complete: bool = opened.complete
        self._shards = [_Shard(path, tensors) for path, tensors in opened.shards]
        self._shards.sort(key=lambda shard: int(shard.numbers[0]) if len(shard.numbers) else 0)
        self._sites = {site.name: RunSite(self, site) for site in opened.sites}
        two = any("enc.offsets" in shard for shard in self._shards)
        self.stacks: tuple[str, ...] = ("enc.", "dec.") if two else ("",)
        self._begins = np.concatenate([[0], np.cumsum([len(shard.numbers) for shard in self._shards])]).astype(np.int64)
        self._by_number: dict[int, int] | None = None
        self._by_id: dict[str, int] | None = None

    @property
    def sites(self) -> list[str]:
        return list(self._sites)

    def __len__(self) -> int:
        return int(self._begins[-1])

    def __getitem__(self, site: str) -> RunSite:
        try:
            return self._sites[site]
        except KeyError:
            raise UsageError(f"{self.folder}: no site {site!r}, there are {', '.join(self._sites)}") from None

    def __iter__(self) -> Iterator[RunRow]:
        for shard in self._shards:
            for index in range(len(shard.numbers)):
                yield RunRow(self, shard, index)

    @property
    def numbers(self) -> Integers:
        """The numbers of all rows: lines of the input, counted from 0."""
        return np.concatenate([shard.numbers for shard in self._shards]) if self._shards else np.zeros(0, np.int64)

    @property
    def ids(self) -> list[Any]:
        """What the input called its rows, None where it did not."""
        return [name for shard in self._shards for name in shard.ids()]

    def _place(self, place: int) -> tuple[_Shard, int]:
        if not -len(self) <= place < len(self):
            raise IndexError(f"row {place} of {len(self)}")
        place %= len(self)
        shard = int(np.searchsorted(self._begins, place, side="right")) - 1
        return self._shards[shard], place - int(self._begins[shard])

    def row(self, number: int | None = None, *, id: Any = None) -> RunRow:
        """The row of that number (its line in the input, from 0), or of that id."""
        if (number is None) == (id is None):
            raise UsageError("row: expected a number or an id")
        if number is not None:
            if self._by_number is None:
                self._by_number = {int(n): place for place, n in enumerate(self.numbers)}
            place = self._by_number.get(int(number))
        else:
            if self._by_id is None:
                self._by_id = {json.dumps(name): place for place, name in enumerate(self.ids) if name is not None}
            place = self._by_id.get(json.dumps(id))
        if place is None:
            raise UsageError(f"{self.folder}: no row {'number ' + str(number) if number is not None else repr(id)}")
        return RunRow(self, *self._place(place))

    def __repr__(self) -> str:
        state = "" if self.complete else ", incomplete"
        return f"Run({self.folder!r}, {len(self)} rows{state}, {', '.join(self._sites)})"


def open_run(folder: str | os.PathLike[str], *, allow_incomplete: bool = False) -> Run:
    """A run folder that a command with -o wrote. Its files are mapped: arrays of it cost nothing until they are read."""
    path = os.fspath(folder)
    return Run(path, _native.open_run(path, allow_incomplete))
