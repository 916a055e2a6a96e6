"""Arrays in the library of the caller: numpy, or torch where the caller passes tensors of it."""

from __future__ import annotations

import importlib
import sys
from typing import Any, Callable

import numpy as np
from numpy.typing import NDArray

from .errors import UsageError

Floats = NDArray[np.float32]
Integers = NDArray[np.int64]
Convert = Callable[[Any], Any]


def is_torch(value: Any) -> bool:
    """Whether this is a tensor of torch, without importing torch."""
    torch = sys.modules.get("torch")
    return torch is not None and isinstance(value, torch.Tensor)


def keep(array: Any) -> Any:
    return array


def converter(*inputs: Any) -> Convert:
    """What makes an array of ours one of the library, and on the device, of the inputs. Memory is shared, not copied."""
    for value in inputs:
        if is_torch(value):
            torch = sys.modules["torch"]
            device = value.device
            if device.type == "cpu":
                return lambda array: torch.from_numpy(array)
            return lambda array: torch.from_numpy(array).to(device)
    return keep


def need(module: str, what: str) -> Any:
    """A module that only `what` needs."""
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise ImportError(f"{what} needs {module}, which cannot be imported: {error}") from error


def to_torch(array: Any) -> Any:
    """The same memory as a tensor of torch, which has to be installed."""
    return importlib.import_module("torch").from_numpy(array)


def from_torch(tensor: Any) -> NDArray[Any]:
    """The same memory as an array of numpy; of bfloat16, which numpy lacks, a copy as float32, which holds all of it."""
    tensor = tensor.detach().cpu()
    array: NDArray[Any] = (tensor.float() if tensor.dtype == sys.modules["torch"].bfloat16 else tensor).numpy()
    return array


def integers(value: Any, what: str, rank: int = 2) -> Integers:
    """Any array of integers or nested list as one of numpy, contiguous."""
    if is_torch(value):
        value = from_torch(value)
    try:
        array = np.asarray(value)
    except ValueError:
        raise UsageError(f"{what}: rows differ in length; pad them (padding=True) and pass the attention mask") from None
    if array.dtype == bool:
        array = array.astype(np.int64)
    if array.size == 0 and array.dtype == np.float64:
        array = array.astype(np.int64)
    if array.dtype.kind not in "iu":
        raise UsageError(f"{what}: expected integers, not {array.dtype}")
    if array.ndim != rank:
        raise UsageError(f"{what}: expected {rank} dimensions, not the shape {array.shape}")
    return np.ascontiguousarray(array, dtype=np.int64)


def whole_mask(value: Any, shape: tuple[int, ...]) -> Integers | None:
    """An attention mask as zeros and ones, or None where there is none."""
    if value is None:
        return None
    if is_torch(value):
        value = from_torch(value)
    mask = np.asarray(value)
    if mask.shape != shape:
        raise UsageError(f"attention_mask: has the shape {mask.shape}, the ids have {shape}")
    if not np.isin(mask, (0, 1)).all():
        raise UsageError("attention_mask: expected zeros and ones")
    return np.ascontiguousarray(mask, dtype=np.int64)
