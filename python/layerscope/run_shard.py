"""One file of a run."""

from __future__ import annotations

import json
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .arrays import Integers

_TYPES = {"F64": "<f8", "F32": "<f4", "F16": "<f2", "BF16": "<u2", "I64": "<i8", "I32": "<i4", "U8": "|u1"}


def widened(array: NDArray[Any]) -> NDArray[np.float32]:
    """bfloat16, which numpy lacks and which is stored as its 16 bits, as float32: exactly, in a copy."""
    return (array.astype(np.uint32) << 16).view(np.float32)


class RunShard:
    """One file, mapped into memory when something of it is asked for. `tensors`: name, type, shape, first byte, end."""

    def __init__(self, path: str, tensors: list[tuple[str, str, list[int], int, int]]) -> None:
        self.path = path
        self._places = {name: (dtype, shape, begin, end) for name, dtype, shape, begin, end in tensors}

    @cached_property
    def _bytes(self) -> NDArray[np.uint8]:
        return np.memmap(self.path, np.uint8, "r")

    def __len__(self) -> int:
        return self._places["row"][1][0]

    def __contains__(self, name: str) -> bool:
        return name in self._places

    def array(self, name: str) -> NDArray[Any]:
        """A tensor, without a copy; bfloat16 as its 16 bits."""
        dtype, shape, begin, end = self._places[name]
        return np.asarray(self._bytes[begin:end]).view(_TYPES[dtype]).reshape(shape)

    def is_bf16(self, name: str) -> bool:
        return self._places[name][0] == "BF16"

    def floats(self, name: str, part: Any = slice(None), *, raw: bool = False) -> NDArray[Any]:
        """Part of a tensor; bfloat16 becomes float32 unless `raw`."""
        values = self.array(name)[part]
        return widened(values) if self.is_bf16(name) and not raw else values

    @property
    def numbers(self) -> Integers:
        """Of its rows."""
        return self.array("row")

    def id(self, index: int) -> Any:
        """What the input called a row, None where it did not."""
        if "id" not in self._places:
            return None
        ends = self.array("id_offsets")
        text = self.array("id")[ends[index] : ends[index + 1]].tobytes()
        return json.loads(text) if text else None
