"""`states` as JSON lines: equal to what is stored, whoever shares the batch."""
import json
import math
import tempfile

from harness import BERT, GPT2, ROWS, T5, f32, floats, ids_file, objects, read_shard, run, test


@test
def states_objects_equal_what_is_stored():
    with tempfile.TemporaryDirectory() as folder:
        rows = ids_file(folder, ROWS)
        printed = objects(run("states", BERT, "-i", rows, "--json").stdout)
        assert [row["id"] for row in printed] == [None, "second", 7] and [row["row"] for row in printed] == [0, 1, 2]
        assert [row["input_ids"] for row in printed] == [row["ids"] for row in ROWS]
        run("states", BERT, "-i", rows, "-o", f"{folder}/run", "-q")
        shard = read_shard(f"{folder}/run/shard-00000.safetensors")
        for site in printed[0]["states"]:
            shape, stored = floats(shard[site])
            flat = [f32(value) for row in printed for token in row["states"][site] for value in token]
            assert flat == stored and shape == [6, len(printed[0]["states"][site][0])], site


@test
def states_do_not_depend_on_threads_or_company():
    with tempfile.TemporaryDirectory() as folder:
        rows = [{"ids": [1 + (k * 7 + j) % 30 for j in range(1 + k % 11)]} for k in range(200)]
        all_rows = run("states", BERT, "-i", ids_file(folder, rows), "--json", "--layers", "-1").stdout.splitlines()
        assert len(all_rows) == 200
        one = run("states", BERT, "-i", ids_file(folder, rows), "--json", "--layers", "-1", "--threads", "1").stdout.splitlines()
        assert all_rows == one
        alone = run("states", BERT, "-i", ids_file(folder, rows[57:58], "one.jsonl"), "--json", "--layers", "-1").stdout
        assert json.loads(alone)["states"] == json.loads(all_rows[57])["states"]


@test
def states_objects_of_other_shapes():
    with tempfile.TemporaryDirectory() as folder:
        rows = ids_file(folder, ROWS)
        pooled = objects(run("states", BERT, "-i", rows, "--json", "--pool", "mean").stdout)
        assert all(len(values) == 1 for row in pooled for values in row["states"].values())
        picked = objects(run("states", BERT, "-i", rows, "--json", "--positions", "0,-1,-2").stdout)
        assert picked[0]["positions"] == [0, 1, 2] and picked[2]["positions"] == [0]
        assert len(picked[0]["states"]["final"]) == 3 and len(picked[2]["states"]["final"]) == 1
        (first, *_) = objects(run("states", BERT, "-i", rows, "--json", "--sites", "block.0.attn.probs").stdout)
        probs = first["states"]["block.0.attn.probs"]
        assert all(len(head) == 3 and all(len(query) == 3 and abs(sum(query) - 1) < 1e-5 for query in head) for head in probs)
        for dtype in ("f16", "bf16"):
            half = objects(run("states", BERT, "-i", rows, "--json", "--layers", "0", "--save-dtype", dtype).stdout)
            full = objects(run("states", BERT, "-i", rows, "--json", "--layers", "0").stdout)
            for a, b in zip(half[0]["states"]["embed"][0], full[0]["states"]["embed"][0]):
                assert abs(a - b) <= 0.01 * abs(b) + 1e-3


def pooled_by_hand(mode, tokens):
    """The formulas of sentence-transformers' pooling modes over the states of one row."""
    count, columns = len(tokens), list(zip(*tokens))
    if mode in ("cls", "last"):
        return tokens[0 if mode == "cls" else -1]
    if mode == "max":
        return [max(column) for column in columns]
    weights = [1 + k if mode == "weightedmean" else 1 for k in range(count)]
    divisor = count ** 0.5 if mode == "mean_sqrt" else sum(weights)
    return [math.fsum(w * value for w, value in zip(weights, column)) / divisor for column in columns]


@test
def pooled_states_are_the_pools_of_all_states():
    with tempfile.TemporaryDirectory() as folder:
        ids = [{"ids": [1 + (k * 5 + j) % 30 for j in range(length)]} for k, length in enumerate((1, 2, 3, 9, 17, 30))]
        for model in (BERT, GPT2, T5):
            rows = ids_file(folder, ids)
            whole = objects(run("states", model, "-i", rows, "--json", "--layers", "all").stdout)
            for mode in ("cls", "mean", "max", "mean_sqrt", "weightedmean", "last"):
                pooled = objects(run("states", model, "-i", rows, "--json", "--layers", "all", "--pool", mode).stdout)
                run("states", model, "-i", rows, "-o", f"{folder}/run", "--layers", "all", "--pool", mode, "--overwrite", "-q")
                shard = read_shard(f"{folder}/run/shard-00000.safetensors")
                for site in whole[0]["states"]:
                    stored = floats(shard[site])[1]
                    width = len(stored) // len(ids)
                    for row, (full, short) in enumerate(zip(whole, pooled)):
                        expected = pooled_by_hand(mode, full["states"][site])
                        (vector,) = short["states"][site] if isinstance(short["states"][site][0], list) else [short["states"][site]]
                        assert [f32(value) for value in vector] == stored[width * row:width * (row + 1)]
                        error = max(abs(a - b) - 1e-6 * abs(b) for a, b in zip(vector, expected, strict=True))
                        assert error <= 1e-7, (model, mode, site, row, error)


@test
def two_stacks():
    with tempfile.TemporaryDirectory() as folder:
        rows = ids_file(folder, [{"ids": [1, 2, 3], "decoder_ids": [0, 4]}])
        (row,) = objects(run("states", T5, "-i", rows, "--json").stdout)
        assert row["input_ids"] == {"enc": [1, 2, 3], "dec": [0, 4]} and row["tokens"].keys() == {"enc", "dec"}
        assert len(row["states"]["enc.final"]) == 3 and len(row["states"]["dec.final"]) == 2
        picture = run("states", T5, "-i", rows).stdout
        assert "encoder" in picture and "decoder" in picture
        assert "cannot be drawn" in run("states", T5, "-i", rows, "--sites", "dec.block.0.cross.k", expect=2).stderr
        (cross,) = objects(run("states", T5, "-i", rows, "--json", "--sites", "dec.block.0.cross.*").stdout)
        assert len(cross["states"]["dec.block.0.cross.k"]) == 3
        assert len(cross["states"]["dec.block.0.cross.probs"][0][0]) == 3
