"""Reads a finished run with nothing but numpy and the plain safetensors library: read_back.py RUN [TEXT TEXT...]

Checks that every tensor has as many rows as there are tokens. With the texts of the run's first rows it also shows their
states padded side by side, [texts, longest, width] a layer, as other libraries lay them out.
"""
import json
import pathlib
import sys

import numpy
from safetensors import safe_open


def main() -> int:
    run, texts = pathlib.Path(sys.argv[1]), sys.argv[2:]
    manifest = json.loads((run / "manifest.json").read_text(encoding="utf-8"))
    sites = [site["name"] for site in manifest["sites"]]
    rows = tokens = 0
    first_rows = []  # per row, per site: [tokens, width]
    shards = sorted(run.glob("shard-*.safetensors"))
    for path in shards:
        with safe_open(path, framework="numpy") as shard:
            offsets = shard.get_tensor("offsets")
            rows += len(offsets) - 1
            tokens += int(offsets[-1])
            if int(offsets[-1]) != len(shard.get_tensor("input_ids")):
                print(f"{path.name}: offsets end at {offsets[-1]}, input_ids has {len(shard.get_tensor('input_ids'))}")
                return 1
            for site in sites:
                height = shard.get_slice(site).get_shape()[0]
                if height != int(offsets[-1]):
                    print(f"{path.name}: {site} has {height} rows for {offsets[-1]} tokens")
                    return 1
            for row in range(min(len(texts) - len(first_rows), len(offsets) - 1)):
                part = slice(int(offsets[row]), int(offsets[row + 1]))
                first_rows.append([shard.get_slice(site)[part] for site in sites])
    if (rows, tokens) != (manifest["rows"], manifest["tokens"]):
        print(f"the shards hold {rows} rows and {tokens} tokens, manifest.json says {manifest['rows']} and {manifest['tokens']}")
        return 1

    print(f"{run}: {len(shards)} shards, {rows} rows, {tokens} tokens; each of {len(sites)} sites has one row a token")
    if not texts:
        return 0
    longest = max(len(states[0]) for states in first_rows)
    print("padded, as one batch: " + " | ".join(texts))
    for index, site in enumerate(sites):
        batch = numpy.zeros((len(first_rows), longest, first_rows[0][index].shape[1]), numpy.float32)
        for row, states in enumerate(first_rows):
            batch[row, : len(states[index])] = states[index]
        corner = ", ".join(f"{value:+.4f}" for value in batch[0, 1, :3])
        print(f"  hidden_states[{index}]  {site:<12} {list(batch.shape)}   [0, 1, :3] = {corner}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
