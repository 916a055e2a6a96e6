"""Model folders: by path or name, and the JSON files in them."""

from __future__ import annotations

import json
import os
import pathlib
from typing import Any

from . import _native
from .errors import ModelError, UsageError

# What transformers takes and what changes nothing here: there is one way to compute, and nothing is downloaded.
IGNORED = frozenset({
    "attn_implementation", "force_download", "local_files_only", "low_cpu_mem_usage", "proxies", "token", "trust_remote_code",
    "use_auth_token", "use_fast", "use_safetensors", "weights_only",
})  # fmt: skip


def resolve(name: str | os.PathLike[str], revision: str | None = None, cache: str | os.PathLike[str] | None = None) -> str:
    """The folder of a model: a path, or org/name in the local cache of the Hugging Face tools."""
    text = os.fspath(name)
    if revision is not None and not os.path.isdir(text):
        text = f"{text}@{revision}"
    return _native.find_model_folder(text, os.fspath(cache) if cache is not None else "")


def refuse_unknown(options: dict[str, Any], where: str, without_effect: frozenset[str] = IGNORED) -> None:
    """An option that we do not know may change results: it is refused rather than ignored, unless it asks for nothing."""
    unknown = sorted(key for key, value in options.items() if key not in without_effect and not _asks_nothing(value))
    if unknown:
        raise UsageError(f"{where}: {', '.join(unknown)} {'is' if len(unknown) == 1 else 'are'} not supported")


def _asks_nothing(value: Any) -> bool:
    return value is None or (isinstance(value, (int, str, list, tuple, dict)) and not value)


def check_device(device: Any) -> str:
    """ "cpu", the one device there is; also of what transformers takes for `device_map`."""
    if isinstance(device, dict) and len(device) == 1:
        device = next(iter(device.values()))
    if device is not None and str(device) not in ("cpu", "auto"):
        raise UsageError(f"device {str(device)!r}: expected cpu")
    return "cpu"


def read_json(folder: str, name: str) -> dict[str, Any]:
    """A file of the folder, empty where it is not there."""
    path = pathlib.Path(folder, name)
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, RecursionError) as error:
        raise ModelError(f"{path}: {error}") from None
    if not isinstance(value, dict):
        raise ModelError(f"{path}: expected a JSON object")
    return value


def dtype_name(dtype: Any) -> str:
    """ "f32" or "bf16" of the names that transformers and torch use. Checkpoints of any float type are read for either."""
    text = str(dtype).removeprefix("torch.") if dtype is not None else "auto"
    known = {"auto": "f32", "f32": "f32", "float32": "f32", "float": "f32", "bf16": "bf16", "bfloat16": "bf16"}
    if text not in known:
        raise UsageError(f"dtype {text!r}: expected float32 or bfloat16")
    return known[text]


class Config(dict[str, Any]):
    """config.json, its fields by attribute too. What every family calls differently has its usual name in `standard`."""

    def __init__(self, fields: dict[str, Any], standard: dict[str, Any] | None = None) -> None:
        super().__init__(fields)
        object.__setattr__(self, "_standard", standard or {})

    def __getattr__(self, name: str) -> Any:
        if name in self:
            return self[name]
        standard: dict[str, Any] = self.__dict__.get("_standard", {})
        if name in standard:
            return standard[name]
        raise AttributeError(f"config.json has no {name!r}")

    def __setattr__(self, name: str, value: Any) -> None:
        self[name] = value

    def to_dict(self) -> dict[str, Any]:
        return dict(self)
