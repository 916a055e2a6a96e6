"""Models over the batches of other programs' tables: Ray Data's map_batches, Spark's mapInArrow, or any dict of columns."""

from __future__ import annotations

import os
import sys
import threading
from typing import Any, Callable, Iterable, Iterator, Mapping

import numpy as np
from numpy.typing import NDArray

from .arrays import need
from .errors import UsageError
from .model import Model, Ragged
from .model import open as open_model
from .sentence import SentenceTransformer

# Models of this process. A class is called anew for every task of Spark, and a worker has many.
_opened: dict[tuple[Any, ...], Any] = {}
_opening = threading.Lock()


def _once(key: tuple[Any, ...], make: Callable[[], Any]) -> Any:
    with _opening:
        if key not in _opened:
            _opened[key] = make()
        return _opened[key]


class _Columns:
    """What both classes share: columns of a batch in, more columns out."""

    def __init__(self, text: str, pair: str | None, ids: str | None) -> None:
        self.text, self.pair, self.ids = text, pair, ids

    def columns(self, rows: list[Any]) -> dict[str, Any]:
        """New columns by name: [rows, width], a Ragged of vectors or numbers, or a list of [heads, queries, keys]."""
        raise NotImplementedError

    def __call__(self, batch: Any) -> Any:
        """The batch with more columns: a dict of arrays or lists for one, a pyarrow.Table or RecordBatch for one."""
        if isinstance(batch, Mapping):
            new = self._new(batch.keys(), batch.__getitem__)
            return {**batch, **{name: _numpy(values) for name, values in new.items()}}
        arrow = sys.modules.get("pyarrow")
        if arrow is None or not isinstance(batch, (arrow.Table, arrow.RecordBatch)):
            raise UsageError(f"expected a dict of columns or a table of pyarrow, not {type(batch).__name__}")
        return self._with_arrow(batch, fixed=True)

    def in_arrow(self, batches: Iterable[Any]) -> Iterator[Any]:
        """For Spark's mapInArrow: record batches with more columns, as plain lists, the only ones that Spark knows."""
        for batch in batches:
            yield self._with_arrow(batch, fixed=False)

    def _with_arrow(self, batch: Any, fixed: bool) -> Any:
        names = batch.schema.names
        new = self._new(names, lambda name: batch.column(names.index(name)).to_pylist())
        made = [_arrow(values, fixed) for values in new.values()]
        return type(batch).from_arrays([*batch.columns, *made], names=[*names, *new])

    def _new(self, names: Iterable[str], column: Callable[[str], Any]) -> dict[str, Any]:
        names = list(names)
        for wanted in (self.ids or self.text, self.pair):
            if wanted is not None and wanted not in names:
                raise UsageError(f"the batch has no column {wanted!r}, there are {', '.join(names)}")
        if self.ids is not None:
            rows: list[Any] = [[int(token) for token in row] for row in column(self.ids)]
        else:
            rows = [_text(value) for value in column(self.text)]
            if self.pair is not None:
                rows = [(text, _text(pair)) for text, pair in zip(rows, column(self.pair))]
        new = self.columns(rows)
        for name in new:
            if name in names:
                raise UsageError(f"the batch has a column {name!r} already; rename it")
        return new


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise UsageError(f"expected texts, not {type(value).__name__}")
    return str(value)


def _numpy(values: Any) -> NDArray[Any]:
    if isinstance(values, np.ndarray):
        return values
    column = np.empty(len(values), object)
    for place, value in enumerate(values):
        column[place] = value
    return column


def _arrow(values: Any, fixed: bool) -> Any:
    arrow = need("pyarrow", "a batch of Arrow")

    def vectors(array: NDArray[Any]) -> Any:
        items, width = arrow.array(array.reshape(-1)), array.shape[1]
        if fixed:
            return arrow.FixedSizeListArray.from_arrays(items, width)
        return lists(np.arange(len(array) + 1, dtype=np.int64) * width, items)

    def lists(offsets: NDArray[Any], items: Any) -> Any:
        if int(offsets[-1]) > np.iinfo(np.int32).max:
            raise UsageError("the batch is too large for Arrow's lists; take smaller ones")
        return arrow.ListArray.from_arrays(arrow.array(offsets.astype(np.int32)), items)

    if isinstance(values, np.ndarray):
        return vectors(values)
    if isinstance(values, Ragged):
        flat = values.values
        return lists(values.offsets, arrow.array(flat) if flat.ndim == 1 else vectors(flat))
    return arrow.array([value.tolist() for value in values], arrow.list_(arrow.list_(arrow.list_(arrow.float32()))))


class BatchStates(_Columns):
    """Adds the hidden states of each row's text to a batch: a column a site, and `input_ids` where rows keep their tokens.

    text, pair: the columns to read, or ids: one of token ids. Everything else is what Model.states takes (layers, sites,
    pool, positions, mix, edits, ...). The model is opened once in each process, by the first batch; an object of this class
    holds its settings alone and may be sent to other machines, where `model` has to be found too.
    """

    def __init__(
        self,
        model: str | os.PathLike[str],
        *,
        text: str = "text",
        pair: str | None = None,
        ids: str | None = None,
        dtype: Any = None,
        threads: int | None = None,
        **options: Any,
    ) -> None:
        super().__init__(text, pair, ids)
        self.model, self.dtype, self.threads, self.options = os.fspath(model), dtype, threads, options

    def columns(self, rows: list[Any]) -> dict[str, Any]:
        """The states, by site."""
        key = ("states", self.model, str(self.dtype), self.threads)
        opened: Model = _once(key, lambda: open_model(self.model, dtype=self.dtype, threads=self.threads))
        states = opened.states(rows, **self.options)
        columns = dict(states)
        if any(not isinstance(values, np.ndarray) for values in columns.values()):
            offsets = np.cumsum([0, *(len(ids) for ids in states.ids)])
            columns["input_ids"] = Ragged(np.concatenate([np.zeros(0, np.int32), *states.ids]), offsets)
        return columns


class BatchVectors(_Columns):
    """Adds one vector of each row's text to a batch, as the column `embedding`: what SentenceTransformer.encode gives.

    text: the column to read; options are those of encode (prompt_name, normalize_embeddings, truncate_dim, ...). The model is
    opened once in each process, by the first batch.
    """

    def __init__(
        self,
        model: str | os.PathLike[str],
        *,
        text: str = "text",
        dtype: Any = None,
        threads: int | None = None,
        **options: Any,
    ) -> None:
        super().__init__(text, None, None)
        self.model, self.dtype, self.threads, self.options = os.fspath(model), dtype, threads, options

    def columns(self, rows: list[Any]) -> dict[str, Any]:
        """`embedding` [rows, width]."""
        key = ("vectors", self.model, str(self.dtype), self.threads)
        opened = _once(key, lambda: SentenceTransformer(self.model, dtype=self.dtype, threads=self.threads))
        if rows:
            return {"embedding": opened.encode(rows, **self.options)}
        width = self.options.get("truncate_dim") or opened.get_embedding_dimension()
        return {"embedding": np.zeros((0, width), np.float32)}
