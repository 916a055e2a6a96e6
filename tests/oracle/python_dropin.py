"""Holds the Python package against transformers, in one process: the same calls, with another import.

usage: python_dropin.py MODEL [NAMES...]

MODEL is the demo model's folder. The lines that users have (SNIPPET) must print the same; ids, states of all layers,
attentions, scores and what generate() returns must have the same shapes and agree to 1e-5 of the largest value. NAMES choose
folders of tests/golden whose name begins so; without any, every folder that this generation of transformers wrote takes part.
Rows are padded on either side: what transformers makes of each row alone is the reference for both, and of right padding its
own padded batch too.
"""

import contextlib
import io
import json
import pathlib
import sys

import numpy
import torch
import transformers
from safetensors import safe_open

import layerscope

GOLDEN = pathlib.Path(__file__).resolve().parent.parent / "golden"
TOLERANCE = 1e-5
# Text is not written on with these: transformers computes the whole row again at each step, or once it is long (mpt,
# longrope), or fails where encoder and decoder differ in depth (t5).
NOT_WRITTEN = ("mpt-", "phi3-longrope", "t5-gated-silu", "mt5-head", "umt5-head")
TEXTS = ["hello world", "I love cats", "", "You like dogs, don't you?", "naïve 你好 café 🙂", "a long sentence on nothing " * 9]
PAIRS = [("what is it?", "a cat"), ("", "nothing"), ("one two three", "four " * 30)]

SNIPPET = """
import torch
from LIBRARY import AutoTokenizer, AutoModel

tok = AutoTokenizer.from_pretrained(name)
model = AutoModel.from_pretrained(name)

inputs = tok("hello world", return_tensors="pt")

with torch.no_grad():
    out = model(**inputs, output_hidden_states=True)

last = out.last_hidden_state
hs = out.hidden_states
print(len(hs), hs[0].shape, hs[-1].shape)
cls_vec = last[:, 0, :]
mask = inputs["attention_mask"].unsqueeze(-1)
mean_vec = (last * mask).sum(dim=1) / mask.sum(dim=1)
print(cls_vec.shape, mean_vec.shape, type(last), last.dtype, list(out.keys()), dict(inputs))
"""


class Tally:
    """The worst difference of each subject, and what is wrong."""

    def __init__(self, folder):
        self.worst, self.wrong = 0.0, []
        with safe_open(pathlib.Path(folder, "model.safetensors"), "pt") as file:
            self.pooler = any("pooler" in name for name in file.keys())  # else theirs is random

    def same(self, subject, ours, theirs, cells=None):
        ours, theirs = (numpy.asarray(x.detach().float() if isinstance(x, torch.Tensor) else x) for x in (ours, theirs))
        if ours.shape != theirs.shape:
            self.wrong.append(f"{subject}: shape {ours.shape}, transformers {theirs.shape}")
            return
        if cells is not None:
            ours, theirs = ours[cells], theirs[cells]
        difference = float(numpy.abs(ours.astype(float) - theirs).max(initial=0) / max(numpy.abs(theirs).max(initial=0), 1e-9))
        self.worst = max(self.worst, difference)
        if not difference <= TOLERANCE:
            self.wrong.append(f"{subject}: {difference:.2g}")

    def equal(self, subject, ours, theirs):
        if ours != theirs:
            self.wrong.append(f"{subject}: {ours!r}, transformers {theirs!r}")

    def report(self, name):
        print(f"{name:34} {self.worst:8.1e}  {'; '.join(self.wrong[:3])}")
        return not self.wrong


def theirs_of(folder, kind):
    config = json.loads(pathlib.Path(folder, "config.json").read_text())
    if kind == "AutoModel" and config["architectures"][0].endswith("EncoderModel"):
        kind = config["architectures"][0]
    options = {"attn_implementation": "eager", "experts_implementation": "eager"}
    return getattr(transformers, kind).from_pretrained(folder, dtype=torch.float32, **options).eval()


def snippet(folder, tally):
    made = {}
    for library in ("transformers", "layerscope"):
        printed, names = io.StringIO(), {"name": folder}
        with contextlib.redirect_stdout(printed):
            exec(SNIPPET.replace("LIBRARY", library), names)
        made[library] = printed.getvalue(), names
    tally.equal("printed", made["layerscope"][0], made["transformers"][0])
    ours, theirs = made["layerscope"][1], made["transformers"][1]
    for field in ("last", "cls_vec", "mean_vec"):
        tally.same(field, ours[field], theirs[field])
    for layer, states in enumerate(zip(ours["hs"], theirs["hs"], strict=True)):
        tally.same(f"hidden_states[{layer}]", *states)
    print(made["layerscope"][0], end="")


def token_calls(folder, tally):
    own, other = (library.AutoTokenizer.from_pretrained(folder) for library in (layerscope, transformers))
    calls = [
        {"text": "hello world"}, {"text": TEXTS}, {"text": TEXTS, "padding": True}, {"text": "a", "text_pair": "b c"},
        {"text": TEXTS, "padding": True, "padding_side": "left"}, {"text": PAIRS, "padding": True},
        {"text": TEXTS, "padding": "max_length", "max_length": 12, "truncation": True}, {"text": PAIRS, "padding": "longest"},
        {"text": TEXTS, "truncation": True, "max_length": 5}, {"text": TEXTS, "add_special_tokens": False},
        {"text": TEXTS, "return_special_tokens_mask": True, "return_offsets_mapping": True, "padding": True},
        {"text": TEXTS, "padding": True, "pad_to_multiple_of": 8, "return_length": True},
    ]  # fmt: skip
    for call in calls:
        ours, theirs = dict(own(**call)), dict(other(**call))
        tally.equal(f"tokenizer{call}", *({key: repr(value) for key, value in made.items()} for made in (ours, theirs)))
    ids = other(TEXTS)["input_ids"]
    for skip in (False, True):
        tally.equal("batch_decode", *(tok.batch_decode(ids, skip_special_tokens=skip) for tok in (own, other)))
    tally.equal("tokens", [own.convert_ids_to_tokens(row) for row in ids], [other.convert_ids_to_tokens(row) for row in ids])
    for side in ("left", "right"):
        for texts in (TEXTS, PAIRS):
            yield own(texts, padding=True, padding_side=side, return_tensors="pt")


def compare(tally, where, ours, theirs, place=None, alone=None, text=False):
    """Fields of two outputs; of row `place` of ours against theirs alone, whose cells are `alone`."""
    for name in theirs.keys():
        if name in ("past_key_values", "loss") or theirs[name] == () or (name == "pooler_output" and not tally.pooler):
            continue
        if name != "logits" and ours.keys() == {"logits"}:
            continue
        if ours.get(name) is None:
            tally.wrong.append(f"{where}: no {name}")
            continue
        several = isinstance(theirs[name], tuple)
        if several:
            tally.equal(f"{where}.{name}: length", len(ours[name]), len(theirs[name]))
        for index, (own, other) in enumerate(zip(*((x[name] if several else (x[name],)) for x in (ours, theirs)))):
            subject = f"{where}.{name}[{index}]"
            if other is None:
                continue
            if place is None:
                tally.same(subject, own, other)
            elif name.endswith("attentions"):
                rows = alone[name.startswith("decoder")] if not name.startswith("cross") else alone[1]
                columns = alone[0] if not name.startswith("decoder") else alone[1]
                tally.same(subject, own[place][:, rows][:, :, columns], other[0])
            elif own.ndim == 3:
                cells = alone[-1] if name.startswith(("decoder", "last", "logits")) else alone[0]
                tally.same(subject, own[place][cells], other[0])
            else:
                tally.same(subject, own[place], other[0])


def fields_of_rows(tally, ours, theirs, batch, two_stacks):
    """Every row of a padded batch against itself alone, and of right padding the padded batch too."""
    asked = {"output_hidden_states": True, "output_attentions": True}
    if two_stacks and ours.scores == "labels":  # reads the row by itself, and gives scores alone
        batch, asked, two_stacks = {name: value for name, value in batch.items() if not name.startswith("decoder_")}, {}, False
    out = ours(**batch, **asked)
    mask = batch["attention_mask"].bool()
    with torch.no_grad():
        for row in range(len(mask)):
            cells = [mask[row]]
            single = {name: value[row][mask[row]][None] for name, value in batch.items() if not name.startswith("decoder_")}
            if two_stacks:
                cells.append(batch["decoder_attention_mask"][row].bool())
                single["decoder_input_ids"] = batch["decoder_input_ids"][row][cells[1]][None]
            if not cells[0].any():
                continue
            compare(tally, f"row {row}", out, theirs(**single, **asked), row, cells)
        if mask[:, 0].all():
            whole = theirs(**batch, **asked)
            if asked == {}:
                tally.same("batch.logits", out.logits, whole.logits)
            for name in ("hidden_states", "encoder_hidden_states", "decoder_hidden_states"):
                cells = batch["decoder_attention_mask" if name.startswith("dec") and two_stacks else "attention_mask"].bool()
                for layer, states in enumerate(zip(out.get(name) or (), whole.get(name) or ())):
                    tally.same(f"batch.{name}[{layer}]", *states, cells=cells.numpy())


def random_batch(config, side, seed, ends=False):
    """Rows of ids of different lengths, of a decoder too; with an end token where `ends`."""
    random = numpy.random.default_rng(seed)
    text = config.get_text_config()
    special = {value for key, value in config.to_dict().items() if key.endswith("token_id") and isinstance(value, int)}
    lengths, batch = (5, 1, 9, 7), {}

    def column(prefix, lengths, vocabulary, first=None):
        allowed = [token for token in range(3, vocabulary) if token not in special]
        ids = torch.full((len(lengths), max(lengths)), allowed[0])
        mask = torch.zeros_like(ids)
        for row, length in enumerate(lengths):
            begin = max(lengths) - length if side == "left" else 0
            ids[row, begin : begin + length] = torch.from_numpy(random.choice(allowed, length))
            if first is not None:
                ids[row, begin] = first
            if ends:
                ids[row, begin + length - 1] = config.eos_token_id
            mask[row, begin : begin + length] = 1
        batch[prefix + "input_ids"] = ids
        batch[prefix + "attention_mask"] = mask

    column("", lengths, text.vocab_size)
    if config.is_encoder_decoder:
        vocabulary = getattr(config, "decoder_vocab_size", None) or text.vocab_size
        column("decoder_", (4, 6, 1, 3), vocabulary, config.decoder_start_token_id)
    return batch


def class_of(folder):
    """The Auto class for what the folder was saved as, or None."""
    config = json.loads((folder / "config.json").read_text())
    name = config["architectures"][0]
    if name.endswith(("ForConditionalGeneration", "MTModel")):
        return "AutoModelForSeq2SeqLM"
    for head in ("CausalLM", "MaskedLM", "SequenceClassification", "TokenClassification"):
        if name.endswith(f"For{head}"):
            return f"AutoModelFor{head}"
    return "AutoModelForCausalLM" if name.endswith("LMHeadModel") else None if "For" in name else "AutoModel"


def generation(tally, folder, kind):
    """Shapes of a padded batch; tokens and states of each row as transformers writes it on alone."""
    own, other = getattr(layerscope, kind).from_pretrained(folder), theirs_of(folder, kind)
    two_stacks = other.config.is_encoder_decoder
    batch = random_batch(other.config, "right" if two_stacks else "left", 5)
    batch = {name: value for name, value in batch.items() if not name.startswith("decoder_")}
    asked = dict(max_new_tokens=5, do_sample=False, output_hidden_states=True, return_dict_in_generate=True, pad_token_id=0)
    out, whole = own.generate(**batch, **asked), other.generate(**batch, **asked)
    tally.equal("sequences", (type(out.sequences), out.sequences.dtype), (type(whole.sequences), whole.sequences.dtype))
    written = "decoder_hidden_states" if two_stacks else "hidden_states"
    shapes = [[[tuple(layer.shape) for layer in step] for step in each[written]] for each in (out, whole)]
    tally.equal(f"{written}: shapes", *shapes)
    mask = batch["attention_mask"].bool()
    for row in range(len(mask)):
        alone = other.generate(batch["input_ids"][row][mask[row]][None], **asked)
        first = 1 if two_stacks else alone.sequences.shape[1] - len(alone[written])
        new = alone.sequences[0, first:].tolist()
        begin = 1 if two_stacks else mask.shape[1]
        tally.equal("tokens", out.sequences[row, begin : begin + len(new)].tolist(), new)
        for layer, states in enumerate(alone.get("encoder_hidden_states") or ()):
            tally.same(f"generate.encoder_hidden_states[{layer}]", out.encoder_hidden_states[layer][row][mask[row]], states[0])
        for step, layers in enumerate(alone[written]):
            for layer, states in enumerate(layers):
                ours = out[written][step][layer][row]
                cells = slice(0, None) if two_stacks or step > 0 else mask[row]
                tally.same(f"generate.{written}[{step}][{layer}]", ours[cells], states[0])


def main():
    model, names = sys.argv[1], tuple(sys.argv[2:])
    good = True
    if not names:
        tally = Tally(model)
        snippet(model, tally)
        good &= tally.report("lines of users")
        tally = Tally(model)
        ours, theirs = layerscope.AutoModel.from_pretrained(model), theirs_of(model, "AutoModel")
        for batch in token_calls(model, tally):
            fields_of_rows(tally, ours, theirs, batch, False)
        good &= tally.report("demo model, texts and pairs")
    for folder in sorted(GOLDEN.iterdir()):
        if not folder.name.endswith(f"-v{transformers.__version__[0]}") or not folder.name.startswith(names or ("",)):
            continue
        kind = class_of(folder)
        if kind is None or not (folder / "model.safetensors").exists():
            continue
        tally = Tally(folder)
        try:
            for name in dict.fromkeys(("AutoModel", kind)):
                if (name, kind) == ("AutoModel", "AutoModelForTokenClassification"):
                    continue
                ours, theirs = getattr(layerscope, name).from_pretrained(folder), theirs_of(folder, name)
                for seed, side in enumerate(("right", "left")):
                    batch = random_batch(theirs.config, side, seed, ends=ours.scores == "labels" and ours._model.two_stacks)
                    if not ours._model.two_stacks:
                        batch = {name: value for name, value in batch.items() if not name.startswith("decoder_")}
                    fields_of_rows(tally, ours, theirs, batch, ours._model.two_stacks)
            if kind in ("AutoModelForCausalLM", "AutoModelForSeq2SeqLM") and not folder.name.startswith(NOT_WRITTEN):
                with contextlib.suppress(layerscope.ModelError):  # an encoder writes no text
                    generation(tally, folder, kind)
        except (RuntimeError, ValueError, LookupError, TypeError) as error:
            tally.wrong.append(f"{type(error).__name__}: {str(error)[:200]}")
        good &= tally.report(folder.name)
    return 0 if good else 1


if __name__ == "__main__":
    transformers.logging.set_verbosity_error()
    torch.manual_seed(0)
    sys.exit(main())
