"""Vectors of a run in a shuffled order that reads whole pieces of its files."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from .arrays import Integers
from .errors import UsageError

if TYPE_CHECKING:
    from .run import Run, RunSite
    from .run_shard import RunShard

Batch = dict[str, NDArray[Any]]


def permutation(count: int, *key: int) -> Integers:
    """An order of 0 ... count - 1 that depends on the key alone: by SplitMix64 (Steele, Lea and Flood 2014) of the key and
    the index, on every machine and with every version of numpy."""

    def mixed(values: NDArray[np.uint64]) -> NDArray[np.uint64]:
        values = values + np.uint64(0x9E3779B97F4A7C15)
        values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        return values ^ (values >> np.uint64(31))

    state = np.zeros(1, np.uint64)
    for part in key:
        state = mixed(state ^ np.uint64(part % (1 << 64)))
    return np.argsort(mixed(np.arange(count, dtype=np.uint64) ^ state), kind="stable")


class RunBatches:
    """Dicts of `size` vectors [size, width] by site, with `row` (numbers) and, of tokens, `position` and `input_ids`.

    The order: each file is cut into blocks of neighbouring rows with at most `block` vectors (a longer row is a block of its
    own), the blocks are put into an order drawn from (seed, epoch), `buffer` of them at a time are read, each in one piece, and
    their vectors mixed. So a vector's neighbours in a batch come from `buffer` places of the run, and memory holds that many
    blocks. The same arguments give the same batches, on every machine; each pass is another with `epoch` counted on. Share i
    of n takes every n-th block of that order.
    """

    def __init__(
        self,
        run: Run,
        size: int,
        sites: str | Sequence[str] | None,
        seed: int,
        epoch: int,
        special: bool,
        drop_last: bool,
        block: int,
        buffer: int,
        share: tuple[int, int],
    ) -> None:
        if min(size, block, buffer) < 1:
            raise UsageError("batches: size, block and buffer are at least 1")
        if not 0 <= share[0] < share[1]:
            raise UsageError(f"share {share}: expected (i, n) with i below n")
        self.run, self.size, self.seed, self.epoch, self.share = run, size, seed, epoch, share
        self.special, self.drop_last, self.block, self.buffer = special, drop_last, block, buffer
        self.sites = run.chosen(sites)
        units = {(site.unit, site.stack if site.offsets else "") for site in self.sites}
        if len(units) != 1 or self.sites[0].unit == "probs":
            raise UsageError("batches: expected sites of one kind: all of the same tokens, or all of one vector a row")
        self._site: RunSite = self.sites[0]

    def shared(self, share: int, shares: int) -> RunBatches:
        """A share of this share."""
        both = (self.share[0] + self.share[1] * share, self.share[1] * shares)
        names = [site.name for site in self.sites]
        return RunBatches(
            self.run, self.size, names, self.seed, self.epoch, self.special, self.drop_last, self.block, self.buffer, both
        )

    def __reduce__(self) -> Any:
        names = [site.name for site in self.sites]
        mine = (names, self.seed, self.epoch, self.special, self.drop_last, self.block, self.buffer, self.share)
        return RunBatches, (self.run, self.size, *mine)

    def _blocks(self) -> list[tuple[RunShard, int, int]]:
        """Shard, first row and end of every block, as they lie."""
        blocks = []
        for shard in self.run.shards:
            ends = np.arange(len(shard) + 1) if self._site.offsets is None else shard.array(self._site.offsets)
            first = 0
            while first < len(shard):
                end = max(int(np.searchsorted(ends, ends[first] + self.block, side="right")) - 1, first + 1)
                blocks.append((shard, first, end))
                first = end
        return blocks

    def _read(self, shard: RunShard, first: int, end: int) -> Batch:
        offsets = self._site.offsets
        if offsets is None:
            part = slice(first, end)
            vectors: Batch = {"row": shard.numbers[part]}
            return vectors | {site.name: shard.floats(site.name, part) for site in self.sites}
        ends = shard.array(offsets)[first : end + 1]
        lengths = np.diff(ends)
        part = slice(int(ends[0]), int(ends[-1]))
        stack = self._site.stack
        begins = shard.array(f"{stack}offsets")[first:end]
        if self._site.unit == "picks":
            positions = shard.array(f"{stack}pos")[part].astype(np.int64)
        else:
            positions = np.arange(part.start, part.stop) - np.repeat(begins, lengths)
        tokens = np.repeat(begins, lengths) + positions
        batch: Batch = {
            "row": np.repeat(shard.numbers[first:end], lengths),
            "position": positions.astype(np.int32),
            "input_ids": shard.array(f"{stack}input_ids")[tokens],
        }
        batch |= {site.name: shard.floats(site.name, part) for site in self.sites}
        if self.special:
            return batch
        kept = shard.array(f"{stack}special")[tokens] == 0
        return {name: values[kept] for name, values in batch.items()}

    def __iter__(self) -> Iterator[Batch]:
        blocks = self._blocks()
        mine = permutation(len(blocks), self.seed, self.epoch)[self.share[0] :: self.share[1]]
        left: list[Batch] = []
        for begin in range(0, len(mine), self.buffer):
            read = left + [self._read(*blocks[block]) for block in mine[begin : begin + self.buffer]]
            held = {name: np.concatenate([batch[name] for batch in read]) for name in read[0]}
            count = len(held["row"])
            order = permutation(count, self.seed, self.epoch, 1 + begin, *self.share)
            last = begin + self.buffer >= len(mine)
            whole = count if last and not self.drop_last else count - count % self.size
            for at in range(0, whole, self.size):
                yield {name: values[order[at : at + self.size]] for name, values in held.items()}
            left = [{name: values[order[whole:]] for name, values in held.items()}]
