"""open_run(): what a run folder holds, as arrays that lie in its files."""

from __future__ import annotations

import json
import os
from functools import cached_property
from typing import Any, Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from . import _native
from .arrays import Integers
from .errors import UsageError
from .model import Ragged
from .run_batches import RunBatches
from .run_shard import RunShard, widened


class RunRow:
    """One row: its ids and the states that are stored of it."""

    def __init__(self, run: Run, shard: RunShard, index: int) -> None:
        self._run, self._shard, self._index = run, shard, index
        self.number = int(shard.numbers[index])

    def _slice(self, name: str, offsets: str) -> NDArray[Any]:
        ends = self._shard.array(offsets)
        return self._shard.array(name)[ends[self._index] : ends[self._index + 1]]

    def _of_stacks(self, name: str) -> Any:
        stacks = self._run.stacks
        both = {stack: self._slice(f"{stack}{name}", f"{stack}offsets") for stack in stacks}
        return both[""] if stacks == ("",) else {stack.rstrip("."): values for stack, values in both.items()}

    @property
    def id(self) -> Any:
        """What the input called the row, None where it did not."""
        return self._shard.id(self._index)

    @property
    def input_ids(self) -> Any:
        """The ids that the model read; of two stacks, a dict of both."""
        return self._of_stacks("input_ids")

    @property
    def special(self) -> Any:
        """1 for special tokens."""
        return self._of_stacks("special")

    def __getitem__(self, site: str) -> NDArray[Any]:
        return self._run[site].of(self._shard, self._index)

    def __repr__(self) -> str:
        return f"RunRow({self.number}, {', '.join(self._run.sites)})"


class RunSite:
    """The states of one site, rows by their place in the run: [tokens, width] each, [width] where they are pooled."""

    def __init__(self, run: Run, site: _native.StoredSite) -> None:
        self._run = run
        self.name: str = site.name
        self.width: int = site.width
        self.heads: int = site.heads
        self.unit: str = site.unit
        """tokens, pooled, picks (of tokens) or probs (of attention)"""
        self.pooled = self.unit == "pooled"
        two = run.stacks != ("",)
        # Keys and values of a cross attention have the encoder's tokens as rows, its probabilities the decoder's.
        self.stack: str = "" if not two else "dec." if site.decoder and not (site.cross and self.unit != "probs") else "enc."
        own = {"tokens": f"{self.stack}offsets", "picks": f"{self.stack}pos_offsets", "probs": f"{self.name}.offsets"}
        self.offsets: str | None = own.get(self.unit)
        """The tensor that says where rows begin; None where a row is one vector."""

    def __len__(self) -> int:
        return len(self._run)

    def __getitem__(self, place: int) -> NDArray[Any]:
        return self.of(*self._run.locate(place))

    def __iter__(self) -> Iterator[NDArray[Any]]:
        for shard, index in self._run.walk():
            yield self.of(shard, index)

    def blocks(self, raw: bool = False) -> Iterator[NDArray[Any]]:
        """Whole shards as they lie: [rows or tokens, width] each, no copies. bfloat16 becomes float32 unless `raw`."""
        for shard in self._run.shards:
            yield shard.floats(self.name, raw=raw)

    def to_numpy(self) -> NDArray[Any]:
        """All of it, rows in order: [rows or tokens, width]; a copy where the run has several shards."""
        if self._run.in_order:
            blocks = list(self.blocks())
        elif self.pooled:
            return np.concatenate(list(self.blocks()))[self._run.order]
        else:
            blocks = [self.of(shard, index, flat=True) for shard, index in self._run.walk()]
        if len(blocks) == 1:
            return blocks[0]
        return np.concatenate(blocks) if blocks else np.zeros((0, self.width), np.float32)

    def of(self, shard: RunShard, index: int, *, raw: bool = False, flat: bool = False) -> NDArray[Any]:
        """The values of a row of a shard; with `flat` not as [head, query, key]."""
        if self.offsets is None:
            return shard.floats(self.name, index, raw=raw)
        ends = shard.array(self.offsets)
        own = shard.floats(self.name, slice(int(ends[index]), int(ends[index + 1])), raw=raw)
        if self.unit != "probs" or flat:
            return own
        tokens = shard.array(f"{self.stack}offsets")
        return own.reshape(self.heads, int(tokens[index + 1] - tokens[index]), -1)

    def ragged(self) -> Ragged:
        """All rows as one Ragged; a copy where the run has several shards."""
        if self.offsets is None or self.unit == "probs":
            raise UsageError(f"site {self.name}: is not one of tokens")
        name = self.offsets
        lengths = np.concatenate([np.diff(shard.array(name)) for shard in self._run.shards] or [np.zeros(0, np.int64)])
        lengths = lengths if self._run.in_order else lengths[self._run.order]
        return Ragged(self.to_numpy(), np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64))

    def __repr__(self) -> str:
        return f"RunSite({self.name!r}, {len(self)} rows, width {self.width}{', pooled' if self.pooled else ''})"


class Run:
    """A run folder, its parts as one, rows in the order of their numbers. Nothing is read before it is touched."""

    def __init__(self, folder: str, allow_incomplete: bool = False) -> None:
        opened = _native.open_run(folder, allow_incomplete)
        self.folder = folder
        self._allow_incomplete = allow_incomplete
        self.manifest: dict[str, Any] = json.loads(opened.manifest)
        self.complete: bool = opened.complete
        self.shards = [RunShard(path, tensors) for path, tensors in opened.shards]
        """The files, part by part."""
        two = len(self.manifest["stacks"]) > 1
        self.stacks: tuple[str, ...] = ("enc.", "dec.") if two else ("",)
        self._sites = {site.name: RunSite(self, site) for site in opened.sites}
        self._begins = np.concatenate([[0], np.cumsum([len(shard) for shard in self.shards])]).astype(np.int64)
        self.in_order = len({os.path.dirname(shard.path) for shard in self.shards}) <= 1
        """Whether the files hold the rows in the order of their numbers: a run without parts."""

    def __reduce__(self) -> Any:
        return Run, (self.folder, self._allow_incomplete)

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
        for shard, index in self.walk():
            yield RunRow(self, shard, index)

    @cached_property
    def _stored_numbers(self) -> Integers:
        return np.concatenate([shard.numbers for shard in self.shards] or [np.zeros(0, np.int64)])

    @cached_property
    def order(self) -> Integers:
        """Where each row lies, counted over the files."""
        return np.arange(len(self)) if self.in_order else np.argsort(self._stored_numbers, kind="stable")

    @cached_property
    def numbers(self) -> Integers:
        """The numbers of all rows, ascending: lines of the input, counted from 0."""
        return self._stored_numbers if self.in_order else self._stored_numbers[self.order]

    @property
    def ids(self) -> list[Any]:
        """What the input called its rows, None where it did not."""
        return [shard.id(index) for shard, index in self.walk()]

    @cached_property
    def _by_id(self) -> dict[str, int]:
        return {json.dumps(name): place for place, name in enumerate(self.ids) if name is not None}

    def walk(self) -> Iterator[tuple[RunShard, int]]:
        """Where every row lies: its shard and its place there."""
        if self.in_order:
            for shard in self.shards:
                for index in range(len(shard)):
                    yield shard, index
        else:
            for place in range(len(self)):
                yield self.locate(place)

    def locate(self, place: int) -> tuple[RunShard, int]:
        """Where the row at a place of the run lies: its shard and its place there."""
        if not -len(self) <= place < len(self):
            raise IndexError(f"row {place} of {len(self)}")
        place %= len(self)
        stored = place if self.in_order else int(self.order[place])
        shard = int(np.searchsorted(self._begins, stored, side="right")) - 1
        return self.shards[shard], stored - int(self._begins[shard])

    def row(self, number: int | None = None, *, id: Any = None) -> RunRow:
        """The row of that number (its line in the input, from 0), or of that id."""
        if (number is None) == (id is None):
            raise UsageError("row: expected a number or an id")
        place: int | None
        if number is not None:
            place = int(np.searchsorted(self.numbers, number))
            place = place if place < len(self) and self.numbers[place] == number else None
        else:
            place = self._by_id.get(json.dumps(id))
        if place is None:
            raise UsageError(f"{self.folder}: no row {'number ' + str(number) if number is not None else repr(id)}")
        return RunRow(self, *self.locate(place))

    def chosen(self, sites: str | Sequence[str] | None) -> list[RunSite]:
        """Sites by name; all of them for None."""
        return [self[name] for name in (self.sites if sites is None else [sites] if isinstance(sites, str) else sites)]

    # What others read it with.

    def batches(
        self,
        size: int,
        sites: str | Sequence[str] | None = None,
        *,
        seed: int = 0,
        epoch: int = 0,
        special: bool = True,
        drop_last: bool = False,
        block: int = 8192,
        buffer: int = 16,
        share: tuple[int, int] = (0, 1),
    ) -> RunBatches:
        """Vectors of all rows in a shuffled order, `size` at a time, as training wants them (RunBatches tells more).

        special: whether special tokens are among them. block: vectors that are read in one piece. buffer: pieces that are
        mixed. share: (i, n) is the i-th of n shares, which together are everything once.
        """
        return RunBatches(self, size, sites, seed, epoch, special, drop_last, block, buffer, share)

    def torch_batches(self, size: int, sites: str | Sequence[str] | None = None, **options: Any) -> Any:
        """batches() as a torch IterableDataset: give it to a DataLoader with batch_size=None; workers share the blocks."""
        from .run_torch import iterable_dataset

        return iterable_dataset(self.batches(size, sites, **options))

    def torch_dataset(self, sites: str | Sequence[str] | None = None) -> Any:
        """Rows as a map-style torch Dataset: a dict of `row`, `input_ids` and the sites each, bfloat16 as it is stored."""
        from .run_torch import map_dataset

        return map_dataset(self, sites)

    def to_pandas(self, sites: str | Sequence[str] | None = None) -> Any:
        """A DataFrame, a row each: `row`, `id`, the ids of its tokens and an array a site, which lie in the files."""
        from .run_tables import to_pandas

        return to_pandas(self, sites)

    def to_arrow(self, sites: str | Sequence[str] | None = None) -> Any:
        """A pyarrow.Table with the columns that `export --to hf-dataset` writes; values lie in the run's files where it has
        no parts."""
        from .run_tables import to_arrow

        return to_arrow(self, sites)

    def __repr__(self) -> str:
        state = "" if self.complete else ", incomplete"
        return f"Run({self.folder!r}, {len(self)} rows{state}, {', '.join(self._sites)})"


def open_run(folder: str | os.PathLike[str], *, allow_incomplete: bool = False) -> Run:
    """A run folder that a command with -o wrote, its parts as one. Its files are mapped: arrays of it cost nothing until they
    are read. Missing parts and unfinished runs are refused unless allowed."""
    return Run(os.fspath(folder), allow_incomplete)


__all__ = ["Run", "RunRow", "RunSite", "open_run", "widened"]
