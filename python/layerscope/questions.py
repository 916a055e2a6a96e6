"""diff, lens, probe and similarity: what the commands of these names answer, as objects."""

from __future__ import annotations

import json
import math
import os
import warnings
from typing import Any, Iterable, Mapping, Sequence, cast

import numpy as np

from . import _native
from .arrays import from_torch, is_torch
from .auto import PreTrainedModel
from .edits import edit_tuples, numbers
from .errors import UsageError
from .folder import check_device, dtype_name, resolve
from .model import Model, Ragged
from .padded import thread_count
from .reports import DiffReport, LensReport, ProbeReport, SimilarityReport
from .run import Run

Path = str | os.PathLike[str]
Rows = str | os.PathLike[str] | Iterable[Any]  # a str is a text, a path is a file


def diff(
    a: Any,
    b: Any,
    texts: Rows | None = None,
    *,
    layers: str | int | Sequence[int] = "",
    sites: str | Sequence[str] = "",
    tol: float | None = None,
    edits_a: Sequence[Sequence[Any]] = (),
    edits_b: Sequence[Sequence[Any]] = (),
    dtype: Any = None,
    dtype_a: Any = None,
    dtype_b: Any = None,
    allow_incomplete: bool = False,
    add_special_tokens: bool = True,
    truncate: bool = False,
    max_length: int | None = None,
    threads: int | None = None,
) -> DiffReport:
    """Where two sides part, layer by layer, and why: opened models or their names, runs, reference dumps.

    texts: what models read; none where a side holds rows. A dtype is that of a side given by its name.
    """
    first = _side(a, edits_a, dtype if dtype_a is None else dtype_a)
    second = _side(b, edits_b, dtype if dtype_b is None else dtype_b)
    found, notes = _native.diff(
        first,
        second,
        None if texts is None else _rows_source(texts),
        layers=numbers(layers),
        sites=_names(sites),
        tol=tol,
        allow_incomplete=allow_incomplete,
        add_special_tokens=add_special_tokens,
        truncate=truncate,
        max_length=max_length,
        threads=_threads(threads, a, b),
    )
    for note in notes:
        warnings.warn(note, stacklevel=2)
    return DiffReport(found.json, found)


def lens(
    model: Any,
    rows: Rows,
    *,
    layers: str | int | Sequence[int] = "all",
    positions: str | Sequence[int] = "all",
    seed: int = 0,
    top_k: int = 5,
    edits: Sequence[Sequence[Any]] = (),
    lens: Path | None = None,
    dtype: Any = None,
    add_special_tokens: bool = True,
    truncate: bool = False,
    max_length: int | None = None,
    threads: int | None = None,
) -> Any:
    """What each layer would predict: a LensReport of a text, or a list of them for several rows.

    lens: a file that `layerscope lens --train` wrote.
    """
    if top_k < 1:
        raise UsageError(f"top_k {top_k}: expected at least 1")
    found = _native.lens(
        _opened(model, dtype),
        _rows_source(rows),
        layers=numbers(layers),
        positions=numbers(positions),
        seed=seed,
        top_k=top_k,
        edits=edit_tuples(edits),
        tuned="" if lens is None else os.fspath(lens),
        add_special_tokens=add_special_tokens,
        truncate=truncate,
        max_length=max_length,
        threads=_threads(threads, model),
    )
    reports = [LensReport(report.json, report) for report in found]
    return reports[0] if isinstance(rows, str) else reports


def probe(
    source: Any,
    labels: Path | Iterable[Any],
    *,
    texts: Rows | None = None,
    groups: Iterable[Any] | None = None,
    label_key: str = "",
    model: Any = None,
    layers: str | int | Sequence[int] = "",
    sites: str | Sequence[str] = "",
    pool: str | None = None,
    align: str = "first",
    task: str | None = None,
    metric: str | None = None,
    folds: int = 5,
    seed: int = 0,
    control: bool = True,
    mdl: bool = True,
    scalar_mix: bool = False,
    dtype: Any = None,
    allow_incomplete: bool = False,
    add_special_tokens: bool = True,
    truncate: bool = False,
    max_length: int | None = None,
    threads: int | None = None,
) -> ProbeReport:
    """What each layer knows.

    source: a run; a model or its name, which reads `texts`; or vectors: [samples, width], [layers, samples, width], or
    a mapping of names to [samples, width]. labels: a file, or one label a row: a text, a number or None, a list of a
    label a token, or a dict as a line of a label file is. groups: of rows that must not be apart, as the file's "group".
    """
    given = _label_lines(labels, groups)
    if not 2 <= folds <= 20:
        raise UsageError(f"folds {folds}: expected 2 to 20")
    arrays = _arrays(source)
    if arrays and (layers or sites or pool or texts is not None):
        raise UsageError("layers, sites, pool, texts: not for vectors that are there already")
    run = "" if arrays else _run_path(source)
    if arrays:
        name, native, rows = "vectors", None, None
    elif run:
        name, rows = run, None if texts is None else _rows_source(texts)
        native = None if texts is None else _tokenizer_of(run, model, allow_incomplete)
    else:
        native = _opened(source, dtype)
        name, rows = _name_of(source), given if texts is None else _rows_source(texts)
    found = _native.probe(
        _native.Source(name, native, rows, arrays, allow_incomplete, add_special_tokens, truncate, max_length),
        given,
        label_key=label_key,
        layers=numbers(layers),
        sites=_names(sites),
        pool=pool,
        align=align,
        task=task,
        metric=metric,
        folds=folds,
        seed=seed,
        control=control,
        mdl=mdl,
        scalar_mix=scalar_mix,
        threads=_threads(threads, source),
    )
    return ProbeReport(found.json, found)


def similarity(
    a: Any,
    b: Any = None,
    texts: Rows | None = None,
    *,
    layers: str | int | Sequence[int] = "",
    sites: str | Sequence[str] = "",
    positions: str | Sequence[int] = "all",
    pool: str = "none",
    vectors: int | None = None,
    seed: int = 0,
    dtype: Any = None,
    allow_incomplete: bool = False,
    add_special_tokens: bool = True,
    truncate: bool = False,
    max_length: int | None = None,
    threads: int | None = None,
) -> SimilarityReport:
    """How alike the layers of one side are, or those of two: runs, models or their names (which read `texts`), or vectors
    as probe() takes them. vectors: as many are drawn and held (the command's --rows), for layers that are very wide.
    """
    if vectors is not None and vectors < 2:
        raise UsageError(f"vectors {vectors}: expected at least 2")
    rows = None if texts is None else _rows_source(texts)

    def source(side: Any) -> _native.Source:
        arrays = _arrays(side)
        if arrays:
            return _native.Source("vectors", arrays=arrays)
        if run := _run_path(side):
            return _native.Source(run, allow_incomplete=allow_incomplete)
        if rows is None:
            raise UsageError("texts: a model needs rows to read")
        native = _opened(side, dtype)
        return _native.Source(_name_of(side), native, rows, [], False, add_special_tokens, truncate, max_length)

    sides = [source(side) for side in (a, b) if side is not None]
    if rows is not None and not any(side.reads for side in sides):
        raise UsageError("texts: runs and vectors hold their rows already")
    found = _native.similarity(
        sides[0],
        sides[1] if len(sides) > 1 else None,
        layers=numbers(layers),
        sites=_names(sites),
        positions=numbers(positions),
        pool=pool,
        vectors=vectors or 0,
        seed=seed,
        threads=_threads(threads, a, b),
    )
    return SimilarityReport(found.json, found)


def _names(sites: str | Sequence[str]) -> str:
    return sites if isinstance(sites, str) else ",".join(sites)


def _threads(threads: int | None, *sides: Any) -> int:
    """As many as were asked for, or as a model was opened with."""
    if threads is None:
        for side in sides:
            if isinstance(side, (Model, PreTrainedModel)):
                return side.threads
    return thread_count(threads)


def _opened(model: Any, dtype: Any, weights: bool = True) -> _native.Model:
    if isinstance(model, (Model, PreTrainedModel)):
        return model._model
    if not isinstance(model, (str, os.PathLike)):
        raise UsageError(f"expected a model, its name or a run, not {type(model).__name__}")
    return _native.Model.open(resolve(model), dtype_name(dtype), check_device(None), "", weights)


def _name_of(model: Any) -> str:
    """What the command would be told: a name as it was given, or an opened model's folder."""
    return model._model.path if isinstance(model, (Model, PreTrainedModel)) else os.fspath(model)


def _run_path(source: Any) -> str:
    """The folder of a run, empty for what is none."""
    if isinstance(source, Run):
        return source.folder
    path = os.fspath(source) if isinstance(source, (str, os.PathLike)) else ""
    return path if path and _native.stored_kind(path) == "run" else ""


def _side(side: Any, edits: Sequence[Sequence[Any]], dtype: Any) -> tuple[str, Any, list[Any]]:
    if isinstance(side, Run):
        return side.folder, None, edit_tuples(edits)
    if isinstance(side, (str, os.PathLike)) and _native.stored_kind(os.fspath(side)):
        return os.fspath(side), None, edit_tuples(edits)
    native = _opened(side, dtype)
    return native.path, native, edit_tuples(edits)


def _tokenizer_of(run: str, model: Any, allow_incomplete: bool) -> _native.Model:
    """What tokenised the texts of a run."""
    if model is not None:
        return _opened(model, None, False)
    manifest = json.loads(_native.open_run(run, allow_incomplete).manifest)
    return _opened(manifest["model"]["path"], None, False)


def _rows_source(rows: Rows) -> _native.RowsSource:
    """Rows as the lines of a .jsonl; a path is a file."""
    if isinstance(rows, os.PathLike):
        return _native.RowsSource(os.fspath(rows))
    return _native.RowsSource("", "".join(json.dumps(_row(row)) + "\n" for row in ([rows] if isinstance(rows, str) else rows)))


def _row(row: Any) -> Any:
    if isinstance(row, str):
        return {"text": row}
    if isinstance(row, Mapping):
        return dict(row)
    if isinstance(row, (tuple, list)) and len(row) == 2 and all(isinstance(part, str) for part in row):
        return {"text": row[0], "pair": row[1]}
    if isinstance(row, (tuple, list, np.ndarray)) and all(isinstance(part, (int, np.integer)) for part in row):
        return {"ids": [int(part) for part in row]}
    raise UsageError(f"rows: expected texts, pairs of texts, lists of ids or dicts, not {type(row).__name__}")


def _label_lines(labels: Path | Iterable[Any], groups: Iterable[Any] | None) -> _native.RowsSource:
    if isinstance(labels, (str, os.PathLike)):
        if groups is not None:
            raise UsageError('groups: a file of labels names them itself ("group")')
        return _native.RowsSource(os.fspath(labels))
    lines = [_label_line(label) for label in _plain(labels)]
    if groups is not None:
        named = _plain(groups)
        if len(named) != len(lines):
            raise UsageError(f"groups: there are {len(named)}, and {len(lines)} labels")
        for line, group in zip(lines, named):
            line["group"] = group
    return _native.RowsSource("", "".join(json.dumps(line) + "\n" for line in lines))


def _plain(values: Any) -> list[Any]:
    """A list of Python's own numbers and texts."""
    if is_torch(values):
        values = values.detach().cpu().numpy()
    if isinstance(values, np.ndarray):
        return cast("list[Any]", values.tolist())
    return [value.item() if isinstance(value, np.generic) else value for value in values]


def _label_line(label: Any) -> dict[str, Any]:
    if isinstance(label, Mapping):
        return dict(label)
    if isinstance(label, (list, tuple, np.ndarray)):
        return {"labels": [_no_nan(one) for one in _plain(label)]}
    return {"label": _no_nan(label)}


def _no_nan(label: Any) -> Any:
    return None if isinstance(label, float) and math.isnan(label) else label


def _arrays(source: Any) -> list[tuple[str, int | None, Any]]:
    """Layers in memory, by name and number; none for what is no array."""
    if isinstance(source, Mapping):
        return [(str(name), None, _matrix(value, str(name))) for name, value in source.items()]
    if isinstance(source, Ragged):
        return [("vectors", None, _matrix(source, "vectors"))]
    if is_torch(source):
        source = source.detach().cpu().float().numpy()
    if not isinstance(source, np.ndarray):
        return []
    if source.ndim != 3:
        return [("vectors", None, _matrix(source, "vectors"))]
    return [(f"layer {layer}", layer, _matrix(values, f"layer {layer}")) for layer, values in enumerate(source)]


def _matrix(value: Any, name: str) -> Any:
    if isinstance(value, Ragged):
        value = value.values
    elif is_torch(value):
        value = from_torch(value)
    array = np.asarray(value)
    if array.ndim != 2 or array.dtype.kind not in "fiu":
        raise UsageError(f"{name}: expected numbers [samples, width], not {array.dtype} {list(array.shape)}")
    return np.ascontiguousarray(array, np.float32)
