"""dump_reference(): another engine's states as a file that diff reads (docs/diff.md)."""

from __future__ import annotations

import json
import os
import struct
import sys
from typing import Any, Iterator, Mapping

import numpy as np

from .arrays import is_torch
from .errors import UsageError

_INPUTS = (
    "input_ids", "attention_mask", "token_type_ids", "position_ids",
    "decoder_input_ids", "decoder_attention_mask", "decoder_position_ids",
)  # fmt: skip
_STATES = ("hidden_states", "encoder_hidden_states", "decoder_hidden_states")
_TYPES = {"<f8": "F64", "<f4": "F32", "<f2": "F16", "<i8": "I64", "<i4": "I32", "<i2": "I16", "|i1": "I8", "|u1": "U8"}


def dump_reference(
    path: str | os.PathLike[str], inputs: Mapping[str, Any], outputs: Mapping[str, Any], sites: Mapping[str, Any] | None = None
) -> None:
    """Writes what a model of transformers read and returned to FILE.safetensors or FILE.npz.

    inputs: what the model was called with. outputs: what it returned with output_hidden_states=True, `logits` included
    where there are. sites: anything inside, [batch, sequence, width] under our names. Values keep their type.
    """
    tensors = {name: inputs[name] for name in _INPUTS if inputs.get(name) is not None}
    if "input_ids" not in tensors:
        raise UsageError("inputs: input_ids are needed")
    tensors |= dict(_states(outputs)) | dict(sites or {})
    if outputs.get("logits") is not None:
        tensors["logits"] = outputs["logits"]
    file = os.fspath(path)
    if file.endswith(".npz"):
        np.savez(file, **{name: _array(name, value) for name, value in tensors.items()})
    elif file.endswith(".safetensors"):
        _write_safetensors(file, tensors)
    else:
        raise UsageError(f"{file}: expected a name that ends in .safetensors or .npz")


def _states(outputs: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    found = [name for name in _STATES if outputs.get(name) is not None]
    if not found:
        raise UsageError("outputs: there are no hidden states; call the model with output_hidden_states=True")
    for name in found:
        for layer, state in enumerate(outputs[name]):
            yield f"{name}.{layer}", state


def _is_bf16(value: Any) -> bool:
    return is_torch(value) and value.dtype == sys.modules["torch"].bfloat16


def _array(name: str, value: Any) -> Any:
    if _is_bf16(value):
        raise UsageError(f"{name}: is bfloat16, which a .npz cannot hold; write a .safetensors")
    return np.asarray(value.detach().cpu().numpy() if is_torch(value) else value)


def _write_safetensors(path: str, tensors: Mapping[str, Any]) -> None:
    header, blocks, begin = {}, [], 0
    for name, value in tensors.items():
        if _is_bf16(value):
            kind, array = "BF16", value.detach().cpu().view(sys.modules["torch"].int16).numpy()
        else:
            array = _array(name, value)
            array = array.astype(np.uint8) if array.dtype == bool else array
            kind = _TYPES.get(array.dtype.newbyteorder("<").str, "")
        if not kind:
            raise UsageError(f"{name}: {array.dtype} is no type that a .safetensors holds")
        block = np.ascontiguousarray(array, array.dtype.newbyteorder("<")).tobytes()
        header[name] = {"dtype": kind, "shape": list(array.shape), "data_offsets": [begin, begin + len(block)]}
        begin += len(block)
        blocks.append(block)
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        file.writelines(blocks)
