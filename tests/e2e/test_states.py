"""`states` as JSON lines: equal to what is stored, whoever shares the batch."""
import json
import tempfile

from harness import BERT, ROWS, T5, f32, floats, ids_file, objects, read_shard, run, test


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
