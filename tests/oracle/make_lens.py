"""What each layer of some golden folders would predict, as transformers computes it: tests/data/lens/cases.json.

For layer k the last block's output is replaced by hidden_states[k] and the model's own code does the rest: final norm,
projection, transform, head, scale, soft cap, bias. Nothing of the head is written again here. Numbers over the scores are taken
in float64.

usage: make_lens.py [--check]
"""
import json
import pathlib
import sys

import torch
import transformers
from safetensors.torch import load_file

ROOT = pathlib.Path(__file__).resolve().parents[2]
CASES = ROOT / "tests/data/lens/cases.json"
FOLDERS = ["albert-mlm-v5", "bart-base-v4", "bart-untied-v5", "bert-mlm-v5", "cohere-norms-v5", "gemma2-types-v5", "gpt2-lm-v5",
           "granite-bias-v5", "llama-lm-v5", "modernbert-mlm-v5", "opt-projected-v4", "t5-base-v5", "t5-untied-v5", "umt5-head-v5"]
ROW, TOP = 2, 3


def last_block(model):
    """The module whose last call leaves the stack's stream."""
    for path in ("model.layers", "transformer.h", "bert.encoder.layer", "model.decoder.layers", "decoder.block",
                 "albert.encoder.albert_layer_groups"):
        try:
            blocks = model.get_submodule(path)
        except AttributeError:
            continue
        return blocks[-1]
    raise SystemExit(f"{type(model).__name__}: where are its blocks?")


def run(model, inputs, stream=None):
    """The model's output; with a stream, the last block's output is that stream."""
    block, count = last_block(model), 0

    def counted(module, arguments, output):
        nonlocal count
        count += 1
    handle = block.register_forward_hook(counted)
    output = model(**inputs, output_hidden_states=True)
    handle.remove()
    if stream is None:
        return output
    calls = 0

    def replaced(module, arguments, output):
        nonlocal calls
        calls += 1
        if calls < count:
            return None
        return (stream, *output[1:]) if isinstance(output, tuple) else stream
    handle = block.register_forward_hook(replaced)
    output = model(**inputs)
    handle.remove()
    return output


def top(scores):
    """Ids of the highest scores, lower ids first among equals."""
    return sorted(range(len(scores)), key=lambda id: (-scores[id].item(), id))[:TOP]


def numbers(values):
    return [float(f"{value:.8g}") for value in values]


def predictions(scores, own):
    """One layer's scores [positions, vocabulary] against the model's own."""
    log_q, log_p = scores.double().log_softmax(-1), own.double().log_softmax(-1)
    answers = [top(row)[0] for row in own]
    ranks = [sorted(range(len(row)), key=lambda id: (-row[id].item(), id)).index(answer) for row, answer in zip(scores, answers)]
    return {"top": [top(row) for row in scores], "p": [numbers(row[top(at)].exp().tolist()) for row, at in zip(log_q, scores)],
            "entropy": numbers((-(log_q.exp() * log_q).sum(-1)).tolist()),
            "kl": numbers((log_p.exp() * (log_p - log_q)).sum(-1).tolist()), "rank": ranks,
            "answer_p": numbers([row[answer].exp().item() for row, answer in zip(log_q, answers)])}


def following(scores, ids):
    """The true next token at every position but the last."""
    logs = scores.double().log_softmax(-1)
    ranks = [sorted(range(len(row)), key=lambda id: (-row[id].item(), id)).index(next) for row, next in zip(scores, ids[1:])]
    return {"rank": ranks, "logprob": numbers([row[next].item() for row, next in zip(logs, ids[1:])])}


@torch.no_grad()
def case(name):
    folder = ROOT / "tests/golden" / name
    config = transformers.AutoConfig.from_pretrained(folder)
    model = getattr(transformers, config.architectures[0]).from_pretrained(folder, attn_implementation="eager").eval().float()
    reference = load_file(folder / "reference.safetensors")
    if f"r{ROW}.enc.input_ids" in reference:
        encoder, ids = (reference[f"r{ROW}.{stack}.input_ids"].long() for stack in ("enc", "dec"))
        row = {"ids": encoder.tolist(), "decoder_ids": ids.tolist()}
        inputs = {"input_ids": encoder[None], "decoder_input_ids": ids[None]}
    else:
        ids = reference[f"r{ROW}.input_ids"].long()
        row, inputs = {"ids": ids.tolist()}, {"input_ids": ids[None]}
        types = reference.get(f"r{ROW}.type_ids")
        if types is not None:
            row["type_ids"] = types.tolist()
            inputs["token_type_ids"] = types.long()[None]
    output = run(model, inputs)
    states = output.decoder_hidden_states if len(inputs) == 2 and "decoder_input_ids" in inputs else output.hidden_states
    own = output.logits[0]
    layers = [predictions(run(model, inputs, state).logits[0], own) for state in states[:-1]] + [predictions(own, own)]
    causal = "MaskedLM" not in config.architectures[0]
    return {"model": name, "row": row, "layers": layers, "next": following(own, ids.tolist()) if causal else None}


def near(a, b):
    """Equal but for rounding; lists and objects by their parts."""
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(near(a[key], b[key]) for key in a)
    if isinstance(a, list):
        return len(a) == len(b) and all(map(near, a, b))
    return abs(a - b) <= 1e-5 * max(1, abs(b)) if isinstance(a, float) else a == b


torch.set_num_threads(1)
cases = [case(name) for name in FOLDERS]
if sys.argv[1:] == ["--check"]:
    stored = json.loads(CASES.read_text())
    wrong = [new["model"] for new, old in zip(cases, stored, strict=True) if not near(new, old)]
    raise SystemExit(f"differ: {wrong}" if wrong else 0)
CASES.parent.mkdir(exist_ok=True)
CASES.write_text("[" + ",\n".join(json.dumps(entry, separators=(",", ":")) for entry in cases) + "]\n")
