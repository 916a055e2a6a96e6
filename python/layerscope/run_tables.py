"""Runs as tables of pandas and pyarrow, each imported when it is asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Sequence

import numpy as np
from numpy.typing import NDArray

from .arrays import Integers, need
from .errors import UsageError

if TYPE_CHECKING:
    from .run import Run, RunSite
    from .run_shard import RunShard


def to_pandas(run: Run, sites: str | Sequence[str] | None) -> Any:
    """A DataFrame of a run."""
    pandas = need("pandas", "to_pandas")
    columns: dict[str, Any] = {"row": run.numbers, "id": run.ids}
    for stack in run.stacks:
        columns[f"{stack}input_ids"] = [_slice(shard, f"{stack}input_ids", f"{stack}offsets", at) for shard, at in run.walk()]
    for site in run.chosen(sites):
        columns[site.name] = list(site)
    return pandas.DataFrame({name: pandas.Series(values, dtype=None if name == "row" else object) for name, values in columns.items()})


def _slice(shard: RunShard, name: str, offsets: str, index: int) -> NDArray[Any]:
    ends = shard.array(offsets)
    return shard.array(name)[ends[index] : ends[index + 1]]


class _Columns:
    """The columns of one shard."""

    def __init__(self, arrow: Any, shard: RunShard) -> None:
        self._arrow, self._shard = arrow, shard
        self.arrays: dict[str, Any] = {}

    def lists(self, offsets: Integers, items: Any) -> Any:
        if len(offsets) and int(offsets[-1]) > np.iinfo(np.int32).max:
            raise UsageError(f"{self._shard.path}: has more items than an Arrow list can count, 2147483647")
        return self._arrow.ListArray.from_arrays(self._arrow.array(offsets.astype(np.int32)), items)

    def fixed(self, width: int, items: Any) -> Any:
        return self._arrow.FixedSizeListArray.from_arrays(items, width)

    def add_numbers(self, name: str, offsets: str, like: str) -> None:
        values = self._shard.array(name) if name in self._shard else np.zeros(len(self._shard.array(like)), np.uint8)
        self.arrays[name] = self.lists(self._shard.array(offsets), self._arrow.array(values))

    def add_site(self, site: RunSite) -> None:
        values = self._shard.floats(site.name)
        items = self._arrow.array(values.reshape(-1))
        if site.unit == "probs":
            items = self._probabilities(site, items)
        else:
            items = self.fixed(site.width, items)
            if site.offsets is not None:
                items = self.lists(self._shard.array(site.offsets), items)
        self.arrays[site.name] = items

    def _probabilities(self, site: RunSite, items: Any) -> Any:
        queries = np.diff(self._shard.array(f"{site.stack}offsets"))
        keys = np.diff(self._shard.array(f"{site.name}.offsets")) // np.maximum(queries * site.heads, 1)
        of_heads, of_rows = np.repeat(queries, site.heads), np.repeat(keys, queries * site.heads)
        inner = self.lists(np.concatenate([[0], np.cumsum(of_rows)]), items)
        return self.fixed(site.heads, self.lists(np.concatenate([[0], np.cumsum(of_heads)]), inner))


def to_arrow(run: Run, sites: str | Sequence[str] | None) -> Any:
    """A pyarrow.Table of a run."""
    arrow = need("pyarrow", "to_arrow")
    chosen = run.chosen(sites)
    has_ids = any("id" in shard for shard in run.shards)
    batches = []
    for shard in run.shards:
        columns = _Columns(arrow, shard)
        columns.arrays["row"] = arrow.array(shard.numbers)
        if has_ids:
            names = (shard.id(index) for index in range(len(shard)))
            columns.arrays["id"] = arrow.array([None if name is None else str(name) for name in names], arrow.string())
        for stack in run.stacks:
            columns.add_numbers(f"{stack}input_ids", f"{stack}offsets", f"{stack}input_ids")
            columns.add_numbers(f"{stack}special", f"{stack}offsets", f"{stack}input_ids")
            if any(f"{stack}type_ids" in other for other in run.shards):
                columns.add_numbers(f"{stack}type_ids", f"{stack}offsets", f"{stack}input_ids")
            if f"{stack}pos" in shard:
                columns.add_numbers(f"{stack}pos", f"{stack}pos_offsets", f"{stack}pos")
        if "prompt_len" in shard:
            columns.arrays["prompt_len"] = arrow.array(shard.array("prompt_len"))
            columns.add_numbers("output_ids", "output_offsets", "output_ids")
        for site in chosen:
            columns.add_site(site)
        batches.append(arrow.RecordBatch.from_arrays(list(columns.arrays.values()), list(columns.arrays)))
    if not batches:
        raise UsageError(f"{run.folder}: holds no rows")
    table = arrow.Table.from_batches(batches)
    return table if run.in_order else table.take(arrow.array(run.order))
