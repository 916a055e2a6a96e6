"""Cases with texts: a dump whose tokens are not those that the model folder's own tokenizer makes."""

import torch
import transformers

from make_states import load

from . import models
from .cases import ROOT, Case, distance, generator, place, precise, reach, site_of_state, verdict
from .faults import FAULTS, NotHere
from .hooks import Changes
from .parts import Stack

TEXTS = ["Alice was beginning to get very tired", "said the White Rabbit, and then hurried on",
         "what is the use of a book without pictures", "Oh dear! I shall be late!"]


def bare(tokenizer, text):
    return tokenizer(text, add_special_tokens=False)["input_ids"]


def doubled_first(tokenizer, text):
    ids = tokenizer(text)["input_ids"]
    return ids[:1] + ids


def ended(tokenizer, text):
    return [*tokenizer(text)["input_ids"], tokenizer.eos_token_id]


def without_end(tokenizer, text):
    return tokenizer(text)["input_ids"][:-1]


def without_first(tokenizer, text):
    return tokenizer(text)["input_ids"][1:]


def spaced(tokenizer, text):
    return tokenizer(" " + text)["input_ids"]


def token_faults(demo):
    masked, causal = ROOT / "tests/data/alice/masked", ROOT / "tests/data/alice/causal"
    yield masked, "no special tokens", bare
    yield masked, "no [SEP]", without_end
    yield masked, "no [CLS]", without_first
    yield causal, "no BOS", bare
    yield causal, "BOS twice", doubled_first
    yield causal, "an EOS behind it", ended
    yield causal, "a space in front", spaced
    if demo:
        yield demo, "no special tokens", bare
        yield demo, "no [SEP]", without_end


def padded(rows, pad, left=False):
    length = max(map(len, rows))
    filled = [[pad] * (length - len(r)) + r if left else r + [pad] * (length - len(r)) for r in rows]
    mask = [[0] * (length - len(r)) + [1] * len(r) if left else [1] * len(r) + [0] * (length - len(r)) for r in rows]
    return {"input_ids": torch.tensor(filled), "attention_mask": torch.tensor(mask)}


def cases(arguments):
    for number, (path, what, ids) in enumerate(token_faults(arguments.demo)):
        tokenizer, model = transformers.AutoTokenizer.from_pretrained(path), load(path)
        batch = padded([ids(tokenizer, text) for text in TEXTS], tokenizer.pad_token_id or 0)
        same = [ids(tokenizer, text) == tokenizer(text)["input_ids"] for text in TEXTS]
        assert not any(same), f"{what}: the tokens are the same"
        answer = {"model": place(path, arguments.out), "family": model.config.model_type, "verdict": "differs", "first": [], "texts": TEXTS,
                  "faults": [{"sites": [], "kinds": ["tokens"], "what": what}], "effect": 1.0, "noise": 0.0, "padding": "right"}
        yield Case(f"text-{number}", model.config.model_type, path, models.run(model, batch), answer)
        if number in (0, 3):  # the same texts with the right tokens: nothing to report
            batch = padded([tokenizer(text)["input_ids"] for text in TEXTS], tokenizer.pad_token_id or 0)
            answer = answer | {"verdict": "same", "faults": [], "effect": 0.0}
            yield Case(f"text-honest-{number}", model.config.model_type, path, models.run(model, batch), answer)


DEMO_FAULTS = ("activation", "eps", "eps-embed", "scale", "mask-no-padding", "exchanged", "transposed", "other-layer", "bias",
               "norm-missing", "bf16-linear", "bf16-layer", "positions-shifted", "noisy-weight", "mask-padding")


def demo(arguments):
    """Faults in the real all-MiniLM-L6-v2, and the pair without one."""
    model = load(arguments.demo)
    tokenizer = transformers.AutoTokenizer.from_pretrained(arguments.demo)
    stack = Stack(model, "bert")
    batch = padded([tokenizer(text)["input_ids"] for text in TEXTS], tokenizer.pad_token_id)
    clean, exact = models.run(model, batch), precise(model, batch)
    answer = {"model": place(arguments.demo, arguments.out), "family": "bert", "verdict": "same", "first": [], "faults": [], "effect": 0.0,
              "noise": distance(clean["hidden_states.6"][0, : exact[0]["hidden_states.6"].shape[1]], exact[0]["hidden_states.6"][0]),
              "padding": "right"}
    yield Case("demo-honest", "bert", arguments.demo, clean, answer)
    for name in DEMO_FAULTS:
        random = generator(arguments.seed, arguments.which, "demo", name)
        changes = Changes()
        try:
            planted = FAULTS[name](stack, int(random.integers(len(stack))), random, changes)
            tensors = models.run(model, planted.inputs(batch) if planted.inputs else batch)
        except NotHere:
            continue
        finally:
            changes.undo()
        effect, noise = reach(model, stack, batch, batch, tensors, planted.layer)
        yield Case(f"demo-{name}", "bert", arguments.demo, tensors, answer | {
            "verdict": verdict(effect, noise), "first": site_of_state(stack, planted.layer + 1), "effect": effect, "noise": noise,
            "faults": [{"sites": planted.sites, "kinds": planted.kinds, "what": planted.what}]})
