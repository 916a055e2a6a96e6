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
    "attn_implementation", "device_map", "force_download", "local_files_only", "low_cpu_mem_usage", "proxies", "subfolder",
    "token", "trust_remote_code", "use_auth_token", "use_fast", "use_safetensors", "weights_only", "ignore_mismatched_sizes",
})  # fmt: skip


def resolve(name: str | os.PathLike[str], revision: str | None = None, cache: str | os.PathLike[str] | None = None) -> str:
    """The folder of a model: a path, or org/name in the local cache of the Hugging Face tools."""
    text = os.fspath(name)
    if revision is not None and not os.path.isdir(text):
        text = f"{text}@{revision}"
    return _native.find_model_folder(text, os.fspath(cache) if cache is not None else "")


def refuse_unknown(options: dict[str, Any], where: str) -> None:
    """An option that we do not know may change results: it is refused rather than ignored."""
    unknown = sorted(set(options) - IGNORED)
    if unknown:
        raise UsageError(f"{where}: {', '.join(unknown)} {'is' if len(unknown) == 1 else 'are'} not supported")


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
    """config.json, its fields by attribute too."""

    def __getattr__(self, name: str) -> Any:
        try:
            return self[name]
        except KeyError:
            raise AttributeError(f"config.json has no {name!r}") from None

    def to_dict(self) -> dict[str, Any]:
        return dict(self)
