"""Writes (or, with --check, compares) the tiny models of settings/: config.json, model.safetensors, reference.safetensors.

A reference holds, for each row, the ids and every state: embed, block.{i}.out, final, with block.{L-1}.out before the
final norm, and the logits where the model has a head. Each row is computed alone, unpadded, in fp32 with eager attention.
"""

import argparse
import importlib
import inspect
import json
import pathlib
import pkgutil
import re
import shutil
import zlib

import numpy
import torch
import transformers
from safetensors.torch import load_file, save_file

import settings

GOLDEN = pathlib.Path(__file__).resolve().parent.parent / "golden"
GENERATION = int(transformers.__version__.split(".")[0])
TOLERANCE = 1e-6


def all_models():
    for module in sorted(info.name for info in pkgutil.iter_modules(settings.__path__)):
        yield from importlib.import_module(f"settings.{module}").MODELS


def spread(name, parameter, tiny):
    """Mean and standard deviation of a parameter's random values."""
    for part, values in tiny.spreads.items():
        if part in name:
            return values
    if parameter.ndim <= 1:
        return (1.0, 0.2) if name.endswith("weight") else (0.0, 0.1)
    if re.search(r"embed|shared|wte|wpe|relative_attention_bias", name):
        return 0.0, tiny.embedding_std
    fan_in = parameter[0].numel() if parameter.ndim == 2 else parameter.shape[-1]
    return 0.0, fan_in**-0.5


def randomise(model, tiny):
    """Fills every parameter from a generator seeded by the model's name."""
    random = numpy.random.default_rng(zlib.crc32(tiny.name.encode()))
    with torch.no_grad():
        corrections = [(name, buffer) for name, buffer in model.named_buffers() if name.endswith("correction_bias")]
        for name, parameter in sorted([*model.named_parameters(), *corrections]):
            if any(part in name for part in tiny.kept):
                continue
            mean, std = spread(name, parameter, tiny)
            values = random.standard_normal(tuple(parameter.shape)) * std + mean
            parameter.copy_(torch.from_numpy(numpy.asarray(values, dtype=numpy.float32)))
        for name, buffer in sorted(model.named_buffers()):
            if name.endswith("final_logits_bias"):
                buffer.copy_(torch.from_numpy(random.standard_normal(tuple(buffer.shape)).astype(numpy.float32)))


def make(tiny, folder):
    architecture = getattr(transformers, tiny.architecture)
    config = architecture.config_class(**tiny.config)
    config._attn_implementation = "eager"
    model = architecture(config)
    randomise(model, tiny)
    if tiny.storage != "float32":  # a few numbers of Apertus in generation 4 are bfloat16 in any model
        model.to(getattr(torch, tiny.storage))
    shutil.rmtree(folder, ignore_errors=True)
    model.save_pretrained(folder, **({"save_original_format": False} if tiny.in_memory else {}))
    for pattern, replacement in tiny.rename:
        path = folder / "model.safetensors"
        tensors = {re.sub(pattern, replacement, name): tensor for name, tensor in load_file(path).items()}
        save_file(tensors, path, metadata={"format": "pt"})


def load(folder):
    architecture = json.loads((folder / "config.json").read_text())["architectures"][0]
    eager = {"attn_implementation": "eager"} | ({"experts_implementation": "eager"} if GENERATION >= 5 else {})
    model, info = getattr(transformers, architecture).from_pretrained(
        folder, dtype=torch.float32, output_loading_info=True, **eager
    )
    assert not info["missing_keys"] and not info["unexpected_keys"], info
    return model.eval()


def make_rows(tiny, model):
    random = numpy.random.default_rng(zlib.crc32(f"{tiny.name} rows".encode()))
    config = model.config.get_text_config()
    rows = []
    for row, length in enumerate(tiny.lengths):
        ids = random.integers(0, config.vocab_size, length).tolist()
        if row == 2:
            for at, special in enumerate(tiny.special_ids):
                ids[3 + 2 * at] = special
        if row == 1 and tiny.ends_in_padding:
            ids[-1] = config.pad_token_id
        inputs = {"input_ids": ids}
        if has_two_stacks(tiny, config):
            vocabulary = getattr(config, "decoder_vocab_size", None) or config.vocab_size
            target = random.integers(0, vocabulary, max(1, length * 2 // 3)).tolist()
            inputs["decoder_input_ids"] = [config.decoder_start_token_id] + target[1:]
            if scores_labels(tiny):  # read under the last end token; both stacks read the row
                ids[length // 2] = ids[-1 - row // 3] = config.eos_token_id
                wrapped = ids[sum(i != config.pad_token_id for i in ids) - 1] if config.model_type == "mbart" else None
                inputs["decoder_input_ids"] = [config.decoder_start_token_id if wrapped is None else wrapped] + ids[:-1]
        elif getattr(config, "type_vocab_size", 0) > 1 and row == 2 and "Model" in tiny.architecture:
            inputs["token_type_ids"] = [0] * (length // 2) + [1] * (length - length // 2)
        rows.append(inputs)
    return rows


def tensor_of(output):
    return output if isinstance(output, torch.Tensor) else output[0]


def layer_list(module, count):
    """The longest-named list of `count` layers in a stack."""
    lists = [m for m in module.modules() if isinstance(m, torch.nn.ModuleList) and len(m) == count]
    assert lists, f"no list of {count} layers"
    return lists[0]


class Ends:
    """Hooks that keep the un-normed top and the last hidden state of a stack."""

    def __init__(self, stack, last):
        self.kept = {}
        self.hooks = [
            last.register_forward_hook(lambda module, args, output: self.keep("top", output)),
            stack.register_forward_hook(lambda module, args, output: self.keep("final", output)),
        ]

    def keep(self, name, output):
        value = output.last_hidden_state if name == "final" and hasattr(output, "last_hidden_state") else tensor_of(output)
        self.kept[name] = value.detach().clone()

    def remove(self):
        for hook in self.hooks:
            hook.remove()


def stack_sites(prefix, states, ends, width_note):
    """Sites of one stack from its hidden states and its ends; the last state must be one of the two."""
    layers = len(states) - 1
    top, final = ends.kept["top"].reshape(states[0].shape[1], -1), ends.kept["final"][0]
    last = states[layers][0]
    assert last.equal(final) or last.equal(top), f"{prefix}: the last state is neither the top nor the final one"
    sites = {f"{prefix}embed": states[0][0]}
    for k in range(1, layers):
        sites[f"{prefix}block.{k - 1}.out"] = states[k][0]
    sites[f"{prefix}block.{layers - 1}.out"] = top
    sites[f"{prefix}final"] = final
    return {name: value.detach().clone().contiguous() for name, value in sites.items()}


def run(tiny, model):
    config = model.config.get_text_config()
    base = model.base_model if model.base_model is not model else getattr(model, "model", model)
    two = has_two_stacks(tiny, config)
    if two:
        holder = model if hasattr(model, "get_encoder") else base
        stacks = {"enc.": holder.get_encoder(), "dec.": holder.get_decoder()}
    else:
        stacks = {"": getattr(base, "decoder", base)}  # OPT's own model is stepped over by its head
    tensors = {}
    for row, inputs in enumerate(make_rows(tiny, model)):
        batch = {key: torch.tensor([ids]) for key, ids in inputs.items()}
        with torch.no_grad():
            count = lambda prefix: (
                config.num_hidden_layers
                if not prefix
                else getattr(config, "encoder_layers" if prefix == "enc." else "decoder_layers", None)
                or (config.num_layers if prefix == "enc." else config.num_decoder_layers)
            )
            ends = {
                prefix: Ends(
                    stack,
                    model.get_submodule(tiny.last) if tiny.last else layer_list(stack, count(prefix))[-1],
                )
                for prefix, stack in stacks.items()
            }
            extra = {} if "Encoder" in tiny.architecture or not accepts_cache(model) else {"use_cache": False}
            output = model(**batch, **extra, output_hidden_states=True, return_dict=True)
            for end in ends.values():
                end.remove()
        if two:
            sites = stack_sites("enc.", output["encoder_hidden_states"], ends["enc."], row)
            sites |= stack_sites("dec.", output["decoder_hidden_states"], ends["dec."], row)
        else:
            sites = stack_sites("", output["hidden_states"], ends[""], row)
        if "logits" in output and (row == 2 or scores_labels(tiny)):
            sites["logits"] = output["logits"][0].clone()
        names = {
            "input_ids": "enc.input_ids" if two else "input_ids",
            "decoder_input_ids": "dec.input_ids",
            "token_type_ids": "type_ids",
        }
        for key, ids in inputs.items():
            dtype = torch.uint8 if key == "token_type_ids" else torch.int32
            tensors[f"r{row}.{names[key]}"] = torch.tensor(ids, dtype=dtype)
        tensors |= {f"r{row}.{name}": value for name, value in sites.items()}
    return tensors


def has_two_stacks(tiny, config):
    return config.is_encoder_decoder and "Encoder" not in tiny.architecture


def scores_labels(tiny):
    return tiny.architecture.endswith(("ForSequenceClassification", "ForTokenClassification"))


def accepts_cache(model):
    return "use_cache" in inspect.signature(model.forward).parameters


def distance(a, b):
    return ((a.double() - b.double()).norm() / b.double().norm().clamp_min(1e-30)).item()


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=pathlib.Path, default=GOLDEN, help="folder of the models (default tests/golden)")
    parser.add_argument("--check", action="store_true", help="compare models of every generation instead of writing")
    parser.add_argument("names", nargs="*", help="only models whose names begin so")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    for tiny in all_models():
        if arguments.names and not tiny.name.startswith(tuple(arguments.names)):
            continue
        folder = arguments.out / tiny.name
        if arguments.check:
            reference = load_file(folder / "reference.safetensors")
            tensors = run(tiny, load(folder))
            assert tensors.keys() == reference.keys(), tensors.keys() ^ reference.keys()
            worst = max((distance(tensors[name], reference[name]), name) for name in tensors)
            print(tiny.name, f"{worst[0]:.2g} {worst[1]}", "" if worst[0] <= TOLERANCE else "PARTS", flush=True)
        elif tiny.generation == GENERATION:
            make(tiny, folder)
            tensors = run(tiny, load(folder))
            save_file(tensors, folder / "reference.safetensors", metadata={"transformers": transformers.__version__})
            print(tiny.name, sum(file.stat().st_size for file in folder.iterdir()), flush=True)


if __name__ == "__main__":
    main()
