"""Writes tests/data/sentence/long.jsonl: texts about the length limit of all-MiniLM-L6-v2 with their vectors.

Usage: make_long.py MODEL. `tokens` counts the whole text's tokens, special ones included; the vector is that of
sentence-transformers, which cuts at the folder's 256.
"""

import json
import pathlib
import random
import sys

import torch
from sentence_transformers import SentenceTransformer

OUT = pathlib.Path(__file__).parents[1] / "data" / "sentence" / "long.jsonl"
WORDS = "the a river bank letter träume 日 vector of hidden states, layers; 3.14 unbelievable cat's".split()


def main():
    torch.set_num_threads(1)
    model = SentenceTransformer(sys.argv[1], device="cpu")
    generator = random.Random(7)
    lines = []
    for wanted in (255, 256, 257, 600):
        words = []
        while True:
            count = len(model.tokenizer(" ".join(words), truncation=False)["input_ids"])
            if count >= wanted:
                break
            words.append(generator.choice(WORDS) if wanted - count > 8 else "the")
        text = " ".join(words)
        vector = [float(f"{value:.9g}") for value in model.encode([text])[0].tolist()]
        lines.append(json.dumps({"tokens": count, "text": text, "vector": vector}, ensure_ascii=False))
    OUT.write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
