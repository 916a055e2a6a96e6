"""generate() as transformers shapes its results."""

from __future__ import annotations

from typing import Any

import numpy as np

from . import _native
from .arrays import Convert, converter
from .edits import edit_plan
from .errors import InputError, UsageError
from .folder import Config, read_json, refuse_unknown
from .outputs import GenerateOutput, GenerateSeq2SeqOutput
from .padded import Cells, PaddedRun

_PASSED_ON = ("top_k", "top_p", "min_p")
_WITHOUT_EFFECT = frozenset({"use_cache", "synced_gpus"})


def generate(
    model: _native.Model, config: Config, threads: int, input_ids: Any, attention_mask: Any, options: dict[str, Any]
) -> Any:
    if input_ids is None:
        raise UsageError("generate: input_ids are needed")
    prompts = Cells(input_ids, attention_mask)
    empty = np.flatnonzero(prompts.ends == prompts.begins)
    if empty.size > 0:
        raise InputError(f"generate: row {empty[0]} has no tokens")
    convert = converter(input_ids, attention_mask)
    defaults = read_json(model.path, "generation_config.json")
    return_dict = bool(options.pop("return_dict_in_generate", defaults.get("return_dict_in_generate", False)))
    states = bool(options.pop("output_hidden_states", False)) and return_dict
    padding = options.pop("pad_token_id", None)
    edits = edit_plan(model, options.pop("edits", ()))
    settings = _settings(model, prompts, defaults, options)
    rows = [
        _native.TextRow(ids=prompts.ids[row, prompts.begins[row] : prompts.ends[row]].tolist()) for row in range(len(prompts))
    ]
    layers = "" if not states else "dec:all" if model.two_stacks else "all"
    written = _native.generate(model, rows, layers=layers, states=states, edits=edits, threads=threads, **settings)
    if padding is None:
        padding = _padding(defaults, config, settings)
    sequences = _sequences(model, prompts, written, padding)
    if not return_dict:
        return convert(sequences)
    shown = _states(model, prompts, written, convert) if states else None
    if not model.two_stacks:
        return GenerateOutput(sequences=convert(sequences), hidden_states=shown)
    read = _encoder_states(model, prompts, threads, edits, convert) if states else None
    return GenerateSeq2SeqOutput(sequences=convert(sequences), encoder_hidden_states=read, decoder_hidden_states=shown)


def _settings(model: _native.Model, prompts: Cells, defaults: dict[str, Any], options: dict[str, Any]) -> dict[str, Any]:
    """What the library is told, from arguments of transformers and the folder's own settings."""
    given = dict(options)
    sample = bool(given.pop("do_sample", defaults.get("do_sample", False)))
    beams = given.pop("num_beams", None)
    if beams not in (None, 1):
        raise UsageError(f"generate: num_beams {beams}: only one is followed")
    if given.pop("num_return_sequences", None) not in (None, 1):
        raise UsageError("generate: num_return_sequences: expected 1; repeat the prompt, with another seed each")
    settings: dict[str, Any] = {"seed": given.pop("seed", 0), "repetition_penalty": given.pop("repetition_penalty", None)}
    temperature = given.pop("temperature", None)
    own = {name: given.pop(name, None) for name in _PASSED_ON}
    if sample:
        settings["temperature"] = float(defaults.get("temperature") or 1.0) if temperature is None else float(temperature)
        usual = {"top_k": 50, "top_p": None, "min_p": None}
        settings |= {name: defaults.get(name, usual[name]) if value is None else value for name, value in own.items()}
    elif beams == 1 or "do_sample" in options:
        settings["temperature"] = 0.0
    first = 1 if model.two_stacks else prompts.length
    longest = given.pop("max_length", None)
    new = given.pop("max_new_tokens", None)
    if new is None and longest is None:
        new, longest = defaults.get("max_new_tokens"), defaults.get("max_length", 20)
    settings["max_new_tokens"] = int(new) if new is not None else int(longest) - first
    if settings["max_new_tokens"] < 1:
        raise UsageError(f"generate: max_length {longest} leaves no room behind a prompt of {first} tokens")
    settings["min_new_tokens"] = given.pop("min_new_tokens", None)
    stops = given.pop("stop_strings", None)
    settings["stop_strings"] = [stops] if isinstance(stops, str) else list(stops or ())
    given.pop("tokenizer", None)
    end = given.pop("eos_token_id", None)
    settings["eos_token_id"] = None if end is None else [end] if isinstance(end, int) else list(end)
    refuse_unknown(given, "generate", _WITHOUT_EFFECT)
    return settings


def _padding(defaults: dict[str, Any], config: Config, settings: dict[str, Any]) -> int:
    """What stands behind rows that ended: the padding token or, without one, the end token."""
    for value in (defaults.get("pad_token_id"), config.get("pad_token_id")):
        if isinstance(value, int):
            return value
    for value in (settings["eos_token_id"], defaults.get("eos_token_id"), config.get("eos_token_id")):
        first = value[0] if isinstance(value, list) and value else value
        if isinstance(first, int):
            return first
    return 0


def _sequences(model: _native.Model, prompts: Cells, written: list[_native.Written], padding: int) -> Any:
    begins = [row.prompt_ids for row in written] if model.two_stacks else prompts.ids
    first, new = len(begins[0]), max(len(row.output_ids) for row in written)
    sequences = np.full((len(written), first + new), padding, np.int64)
    for index, row in enumerate(written):
        sequences[index, :first] = begins[index]
        sequences[index, first : first + len(row.output_ids)] = row.output_ids
    return sequences


def _states(model: _native.Model, prompts: Cells, written: list[_native.Written], convert: Convert) -> tuple[Any, ...]:
    """By step, by layer: [batch, tokens of the prompt, width] first, then [batch, 1, width]; zero where there is no token."""
    plan = _native.plan(model, layers="dec:all" if model.two_stacks else "all")
    order = sorted(range(len(plan.stored)), key=lambda site: plan.stored[site].hf_index or 0)
    lengths = [len(row.prompt_ids) for row in written]
    begins = [0] * len(written) if model.two_stacks else prompts.begins.tolist()
    first = max(lengths) if model.two_stacks else prompts.length
    steps = max(len(row.output_ids) for row in written)
    by_layer = []
    for site in order:
        width = plan.stored[site].width
        prompt = np.zeros((len(written), first, width), np.float32)
        later = np.zeros((steps - 1, len(written), 1, width), np.float32)
        for index, row in enumerate(written):
            values = row.values(site, width)
            prompt[index, begins[index] : begins[index] + lengths[index]] = values[: lengths[index]]
            own = values[lengths[index] :]
            later[: len(own), index, 0] = own
        by_layer.append([convert(prompt), *(convert(step) for step in later)])
    return tuple(zip(*by_layer))


def _encoder_states(
    model: _native.Model, prompts: Cells, threads: int, edits: _native.EditPlan | None, convert: Convert
) -> tuple[Any, ...]:
    start = Cells(np.zeros((len(prompts), 1), np.int64), None, "decoder_input_ids")
    plan = _native.plan(model, layers="enc:all")
    values = PaddedRun(model, prompts, None, start, edits).values(plan, threads)
    stored = sorted(plan.stored, key=lambda site: site.hf_index or 0)
    return tuple(convert(values[site.name]) for site in stored)
