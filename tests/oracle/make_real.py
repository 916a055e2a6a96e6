"""Writes the reference of the real all-MiniLM-L6-v2: tokens, the seven hidden states and the sentence vectors.

Reads texts.jsonl from tests/golden/all-MiniLM-L6-v2 and writes reference.safetensors and tokens.jsonl beside it. The
model itself is not committed; its folder is named on the command line.
"""

import argparse
import json
import pathlib

import torch
import transformers
from safetensors.torch import save_file
from sentence_transformers import SentenceTransformer

from make_models import GOLDEN
from make_references import input_tensors, is_light
from sites import Collector
from verify import check, near


def describe(encoding, tokenizer):
    """What `layerscope tokenize --json` is to print for one row."""
    offsets = encoding["offset_mapping"]
    special = encoding["special_tokens_mask"]
    return {
        "ids": encoding["input_ids"],
        "type_ids": encoding["token_type_ids"],
        "tokens": tokenizer.convert_ids_to_tokens(encoding["input_ids"]),
        "special": special,
        "offsets": [None if mark else list(pair) for mark, pair in zip(special, offsets)],
        "sequence": encoding.sequence_ids(0),
    }


def run_row(row, encoding, model):
    """The tensors of one row, computed alone; block 5's output is the same as final and left out."""
    inputs = {"input_ids": encoding["input_ids"]}
    if any(encoding["token_type_ids"]):
        inputs["token_type_ids"] = encoding["token_type_ids"]
    with Collector(model) as collector:
        output = model(**{key: torch.tensor([ids]) for key, ids in inputs.items()}, output_hidden_states=True)
    check(collector, output)
    top = f"block.{model.config.num_hidden_layers - 1}.out"
    kept = {site: value for site, value in collector.sites.items() if is_light(site) and site != top}
    return input_tensors(row, inputs) | {f"r{row}.{site}": value for site, value in kept.items()}


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", type=pathlib.Path, help="folder of all-MiniLM-L6-v2")
    parser.add_argument("--out", type=pathlib.Path, default=GOLDEN / "all-MiniLM-L6-v2")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    tokenizer = transformers.AutoTokenizer.from_pretrained(arguments.model)
    model = transformers.AutoModel.from_pretrained(
        arguments.model, dtype=torch.float32, attn_implementation="eager"
    ).eval()
    sentence_model = SentenceTransformer(str(arguments.model), device="cpu")
    rows = [json.loads(line) for line in (GOLDEN / "all-MiniLM-L6-v2" / "texts.jsonl").read_text().splitlines()]

    tensors, described = {}, []
    with torch.no_grad():
        for row, entry in enumerate(rows):
            encoding = tokenizer(
                entry["text"],
                entry.get("pair"),
                truncation=False,
                padding=False,
                return_offsets_mapping=True,
                return_special_tokens_mask=True,
            )
            described.append(describe(encoding, tokenizer))
            tensors |= run_row(row, encoding, model)
            if "pair" not in entry:
                vector = sentence_model.encode([entry["text"]], convert_to_tensor=True)[0].clone()
                mean = torch.nn.functional.normalize(tensors[f"r{row}.final"].mean(0), dim=0)
                near(vector, mean, f"r{row}.embedding", "not the normalised mean of final")
                tensors[f"r{row}.embedding"] = vector
    arguments.out.mkdir(parents=True, exist_ok=True)
    lines = [json.dumps(entry, ensure_ascii=False) + "\n" for entry in described]
    (arguments.out / "tokens.jsonl").write_text("".join(lines))
    metadata = {"transformers": transformers.__version__}
    save_file(tensors, arguments.out / "reference.safetensors", metadata=metadata)
    print(len(rows), "rows,", sum(len(entry["ids"]) for entry in described), "tokens")


if __name__ == "__main__":
    main()
