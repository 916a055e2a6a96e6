"""What the questions found: plain objects that cannot be changed, drawn as the command line draws them."""

from __future__ import annotations

import html
import json
import shutil
from typing import Any, Iterator, Protocol

import numpy as np
from numpy.typing import NDArray


class Record:
    """Fields by attribute, named as in the command's --json; lists are tuples."""

    def __init__(self, fields: dict[str, Any]) -> None:
        object.__setattr__(self, "_fields", {name: _frozen(value) for name, value in fields.items()})

    def __getattr__(self, name: str) -> Any:
        fields: dict[str, Any] = self.__dict__.get("_fields", {})
        if name in fields:
            return fields[name]
        raise AttributeError(f"{type(self).__name__} has no field {name!r}, there are {', '.join(fields)}")

    def __setattr__(self, name: str, value: Any) -> None:
        raise AttributeError(f"{type(self).__name__}: {name!r} cannot be set")

    def __delattr__(self, name: str) -> None:
        raise AttributeError(f"{type(self).__name__}: {name!r} cannot be deleted")

    def __dir__(self) -> Iterator[str]:
        yield from super().__dir__()
        yield from self.__dict__["_fields"]

    def __eq__(self, other: object) -> bool:
        return type(other) is type(self) and other.__dict__["_fields"] == self.__dict__["_fields"]

    def __hash__(self) -> int:
        return hash(tuple(self.__dict__["_fields"].items()))

    def __reduce__(self) -> Any:
        return type(self), (self.to_dict(),)

    def to_dict(self) -> dict[str, Any]:
        """The object that the command prints under --json."""
        return {name: _thawed(value) for name, value in self.__dict__["_fields"].items()}

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(f'{name}={_brief(value)}' for name, value in self.__dict__['_fields'].items())})"


def _frozen(value: Any) -> Any:
    if isinstance(value, dict):
        return Record(value)
    return tuple(_frozen(item) for item in value) if isinstance(value, list) else value


def _thawed(value: Any) -> Any:
    if isinstance(value, Record):
        return value.to_dict()
    return [_thawed(item) for item in value] if isinstance(value, tuple) else value


def _brief(value: Any) -> str:
    return f"({len(value)} of them)" if isinstance(value, tuple) and len(value) > 8 else repr(value)


class Drawn(Protocol):
    """What draws a report."""

    def picture(self, columns: int) -> str: ...
    def page(self) -> str: ...


class _Kept:
    """The pictures of a report that came out of a pickle."""

    def __init__(self, picture: str, page: str) -> None:
        self._picture, self._page = picture, page

    def picture(self, columns: int) -> str:
        return self._picture

    def page(self) -> str:
        return self._page


class Report(Record):
    """A record whose repr is the picture of the terminal, and which a notebook shows as the page of --html."""

    def __init__(self, text: str, drawn: Drawn) -> None:
        super().__init__(json.loads(text))
        object.__setattr__(self, "_drawn", drawn)

    def __reduce__(self) -> Any:
        drawn: Drawn = self.__dict__["_drawn"]
        return type(self), (json.dumps(self.to_dict()), _Kept(drawn.picture(80), drawn.page()))

    def __repr__(self) -> str:
        drawn: Drawn = self.__dict__["_drawn"]
        return drawn.picture(shutil.get_terminal_size().columns).rstrip("\n")

    def to_html(self) -> str:
        """A page that needs nothing else, as --html writes it."""
        drawn: Drawn = self.__dict__["_drawn"]
        return drawn.page()

    def _repr_html_(self) -> str:
        # A frame of its own origin: the page's style and scripts do not meet the notebook's.
        page = html.escape(self.to_html(), quote=True)
        return f'<iframe sandbox="allow-scripts" style="width:100%;height:640px;border:0" srcdoc="{page}"></iframe>'


class DiffReport(Report):
    """Where two sides part, and why (docs/diff.md)."""

    verdict: str
    sentence: str
    tol: float | None
    ids_equal: bool
    first: Any
    cause: Any
    causes: tuple[Any, ...]
    rows: int
    tokens: int
    sites: tuple[Any, ...]
    notes: tuple[str, ...]


class LensReport(Report):
    """What each layer would predict at the positions of one row (docs/lens.md)."""

    row: int
    id: Any
    input_ids: Any
    layers: tuple[Any, ...]


class ProbeReport(Report):
    """What each layer knows (docs/probe.md)."""

    task: str
    metric: str
    samples: int
    baseline: Any
    layers: tuple[Any, ...]
    best: str


class SimilarityReport(Report):
    """How alike layers are (docs/similarity.md). `cka` and `rsa` are [layers, layers], NaN where there is no number."""

    a: str
    b: str | None
    rows: int
    vectors: int
    layers: tuple[Any, ...]

    @property
    def cka(self) -> NDArray[np.float64]:
        return self._table("cka")

    @property
    def rsa(self) -> NDArray[np.float64]:
        return self._table("rsa")

    def _table(self, name: str) -> NDArray[np.float64]:
        table = np.array(self.__dict__["_fields"][name], np.float64)
        table.flags.writeable = False
        return table
