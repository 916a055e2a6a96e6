"""Writes (or, with --check, compares) tests/data/generation/greedy.json: what the golden models write on behind a prompt.

Greedily, one row at a time, in fp32 with eager attention. "free" ignores end tokens; "folder" is what the folder's own
settings give. A row has as many new tokens as its positions allow, 64 at most. One model a type is taken, and every
one whose rotation depends on the length.
"""

import argparse
import json
import pathlib

import torch
import transformers
from safetensors.numpy import load_file

GOLDEN = pathlib.Path(__file__).resolve().parent.parent / "golden"
TARGET = GOLDEN.parent / "data" / "generation" / "greedy.json"
NEW_TOKENS = 64
NEAR = 1e-4  # two highest scores this close to each other decide nothing


def prompts(folder):
    reference = load_file(folder / "reference.safetensors")
    rows = sorted({int(name.split(".")[0][1:]) for name in reference if name[1].isdigit()})
    for row in rows[2:3] or rows[:1]:
        name = f"r{row}.enc.input_ids" if f"r{row}.enc.input_ids" in reference else f"r{row}.input_ids"
        yield reference[name].tolist()[:12]


def room(config, two_stacks):
    """Tokens that the decoder has positions for."""
    learned = ("max_position_embeddings", "n_positions", "max_target_positions", "max_seq_len")
    return min([getattr(config, name) for name in learned if isinstance(getattr(config, name, None), int)] or [10**6])


def matters(config, free):
    """True if the folder's settings could change what the model writes without an end."""
    ends = [config.eos_token_id] if isinstance(config.eos_token_id, int) else config.eos_token_id or []
    others = ("forced_bos_token_id", "forced_eos_token_id", "min_length", "no_repeat_ngram_size", "repetition_penalty",
              "encoder_no_repeat_ngram_size", "suppress_tokens", "begin_suppress_tokens", "bad_words_ids")
    return any(token in free for token in ends) or any(getattr(config, name, None) for name in others)


def by_length(folder):
    return "long" in folder.name or "dynamic" in folder.name


def continued(model, ids, new_tokens, **settings):
    two_stacks = model.config.is_encoder_decoder
    out = model.generate(torch.tensor([ids]), attention_mask=torch.ones(1, len(ids), dtype=torch.long), do_sample=False,
                         num_beams=1, max_new_tokens=new_tokens, return_dict_in_generate=True, output_scores=True,
                         **settings)
    gap = min(float(torch.topk(scores[0], 2).values.diff().abs()) for scores in out.scores)
    return out.sequences[0].tolist()[1 if two_stacks else len(ids):], gap


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true")
    check = parser.parse_args().check
    torch.set_num_threads(1)
    transformers.logging.set_verbosity_error()
    results, types = {}, set()
    for folder in sorted(GOLDEN.iterdir(), key=lambda folder: (not by_length(folder), folder.name)):
        if not (folder / "config.json").exists() or not (folder / "reference.safetensors").exists():
            continue
        config = json.loads((folder / "config.json").read_text())
        architecture = getattr(transformers, config["architectures"][0])
        if "both-ways" in folder.name or not getattr(architecture, "can_generate", lambda: False)():
            continue
        if config["model_type"] in types and not by_length(folder):
            continue
        model = architecture.from_pretrained(folder, dtype=torch.float32, attn_implementation="eager",
                                             experts_implementation="eager").eval()
        two_stacks = model.config.is_encoder_decoder
        rows = []
        for ids in prompts(folder):
            new_tokens = min(NEW_TOKENS, room(model.config, two_stacks) - (1 if two_stacks else len(ids)))
            if new_tokens < 8:
                continue
            try:
                free, gap = continued(model, ids, new_tokens, eos_token_id=None)
            except IndexError as error:  # of the reference's own cache, where stacks differ in depth
                print(f"{folder.name}: {error}")
                continue
            own = continued(model, ids, new_tokens)[0] if matters(model.generation_config, free) else free
            if gap > NEAR:
                rows.append({"prompt": ids, "new_tokens": new_tokens, "free": free, "folder": own})
        if rows:
            results[folder.name] = rows
            types.add(config["model_type"])
        print(f"{folder.name}: {len(rows)} rows", flush=True)
    text = "{\n" + ",\n".join(f' {json.dumps(name)}: {json.dumps(rows)}' for name, rows in results.items()) + "\n}\n"
    if check:
        raise SystemExit(0 if TARGET.read_text() == text else f"{TARGET} differs")
    TARGET.parent.mkdir(parents=True, exist_ok=True)
    TARGET.write_text(text)
    print(f"{len(results)} models, {len(text)} bytes")


if __name__ == "__main__":
    main()
