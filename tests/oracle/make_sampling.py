"""Writes (or, with --check, compares) tests/data/generation/sampling.json: random scores and what transformers' logits
processors, in its own order, make of them. A null stands for minus infinity.
"""

import argparse
import json
import math
import pathlib

import numpy
import torch
import transformers

GOLDEN = pathlib.Path(__file__).resolve().parent.parent / "golden"
TARGET = GOLDEN.parent / "data" / "generation" / "sampling.json"
VOCABULARY = 24

# Settings as generation_config.json has them; "max_new_tokens" is the run's.
CASES = [
    {"repetition_penalty": 1.7},
    {"repetition_penalty": 0.6},
    {"no_repeat_ngram_size": 1},
    {"no_repeat_ngram_size": 2},
    {"no_repeat_ngram_size": 3},
    {"encoder_no_repeat_ngram_size": 2},
    {"encoder_no_repeat_ngram_size": 3, "no_repeat_ngram_size": 2},
    {"encoder_repetition_penalty": 1.4},
    {"encoder_repetition_penalty": 1.4, "repetition_penalty": 1.3},
    {"bad_words_ids": [[3], [2], [5, 1], [1, 2, 9], [7, 7]], "eos_token_id": 2},
    {"bad_words_ids": [[3], [2], [5, 1]], "eos_token_id": None},
    {"min_length": 8, "eos_token_id": [2, 4]},
    {"min_length": 6, "eos_token_id": 2},
    {"min_new_tokens": 3, "eos_token_id": 2},
    {"min_new_tokens": 2, "eos_token_id": None},
    {"forced_bos_token_id": 5},
    {"forced_eos_token_id": 2},
    {"forced_eos_token_id": [2, 6], "suppress_tokens": [6]},
    {"suppress_tokens": [0, 9, 999]},
    {"begin_suppress_tokens": [1, 8]},
    {"begin_suppress_tokens": [1, 8], "forced_bos_token_id": 5},
    {"remove_invalid_values": True, "suppress_tokens": [1]},
    {"remove_invalid_values": True, "no_repeat_ngram_size": 1},
    {"temperature": 0.7},
    {"temperature": 1.0, "top_k": 5},
    {"temperature": 1.6, "top_k": 100},
    {"temperature": 1.0, "top_k": 0, "top_p": 0.8},
    {"temperature": 2.0, "top_k": 12, "top_p": 0.5},
    {"temperature": 1.0, "top_k": 0, "top_p": 0.0},
    {"temperature": 1.0, "top_k": 0, "min_p": 0.1},
    {"temperature": 1.5, "top_k": 15, "top_p": 0.9, "min_p": 0.05},
    {"temperature": 1.0, "top_k": 0, "typical_p": 0.6},
    {"temperature": 1.3, "top_k": 0, "typical_p": 0.9, "no_repeat_ngram_size": 2},
    {"temperature": 1.0, "top_k": 0, "epsilon_cutoff": 0.02},
    {"temperature": 1.0, "top_k": 0, "eta_cutoff": 0.05},
    {"temperature": 0.8, "top_k": 20, "top_p": 0.95, "min_p": 0.01, "typical_p": 0.95, "epsilon_cutoff": 0.001,
     "eta_cutoff": 0.002, "repetition_penalty": 1.2, "no_repeat_ngram_size": 3, "min_new_tokens": 4,
     "bad_words_ids": [[4, 4], [11]], "suppress_tokens": [20], "begin_suppress_tokens": [21], "eos_token_id": 2},
]
# The sequence so far and how many of it are the prompt.
SEQUENCES = [([5], 1), ([5, 1], 1), ([7, 7, 1, 2, 7], 5), ([1, 2, 9, 5, 1, 2, 9, 5], 4), ([3, 5, 1, 2, 3, 5, 1], 3)]
WARPERS = {"temperature", "top_k", "top_p", "min_p", "typical_p", "epsilon_cutoff", "eta_cutoff"}  # blind to the sequence
SOURCE = [9, 5, 1, 2, 7, 7]
NEW_TOKENS = 5


def processed(model, settings, ids, prompt_tokens, scores):
    sample = "temperature" in settings
    config = transformers.GenerationConfig(do_sample=sample, **settings)
    config.update(**transformers.GenerationConfig._get_default_generation_params(), defaults_only=True)
    config.max_length = prompt_tokens + NEW_TOKENS
    config.do_sample = sample
    ends = config.eos_token_id
    config._eos_token_tensor = None if ends is None else torch.tensor([ends] if isinstance(ends, int) else ends)
    processors = model._get_logits_processor(generation_config=config, input_ids_seq_length=prompt_tokens,
                                             encoder_input_ids=torch.tensor([SOURCE]), device="cpu", model_kwargs={})
    return processors(torch.tensor([ids]), torch.tensor([scores]))[0].tolist()


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true")
    check = parser.parse_args().check
    model = transformers.AutoModelForCausalLM.from_pretrained(GOLDEN / "llama-lm-v5")
    random = numpy.random.default_rng(7)
    rows = []
    for settings in CASES:
        for ids, prompt_tokens in SEQUENCES[:2] if set(settings) <= WARPERS else SEQUENCES:
            scores = [round(float(score), 3) for score in random.standard_normal(VOCABULARY) * 2]
            expected = processed(model, settings, ids, prompt_tokens, scores)
            rows.append({"settings": settings, "ids": ids, "prompt_tokens": prompt_tokens, "scores": scores,
                         "expected": [None if math.isinf(score) else float(f"{score:.9g}") for score in expected]})
    head = {"vocabulary": VOCABULARY, "source": SOURCE, "max_new_tokens": NEW_TOKENS}
    text = json.dumps(head)[:-1] + ', "cases": [\n' + ",\n".join(json.dumps(row, separators=(",", ":")) for row in rows) + "\n]}\n"
    if check:
        raise SystemExit(0 if TARGET.read_text() == text else f"{TARGET} differs")
    TARGET.parent.mkdir(parents=True, exist_ok=True)
    TARGET.write_text(text)
    print(f"{len(rows)} cases, {len(text)} bytes")


if __name__ == "__main__":
    main()
