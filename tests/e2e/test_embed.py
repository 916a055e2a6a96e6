"""`embed`: JSON lines, .npy, runs, precisions, the matrix."""
import json
import os
import pathlib
import struct
import tempfile

from harness import BERT, DEMO, GOLDEN, ROOT, columns, f32, floats, ids_file, objects, read_shard, run, test


def npy_rows(path):
    """The rows of a two-dimensional float32 .npy."""
    content = pathlib.Path(path).read_bytes()
    size = 10 + struct.unpack("<H", content[8:10])[0]
    header = eval(content[10:size])  # NumPy's own format: a Python literal
    assert header["descr"] == "<f4" and not header["fortran_order"] and size % 64 == 0, header
    count, width = header["shape"]
    values = struct.unpack(f"<{count * width}f", content[size:])
    return [list(values[row * width:(row + 1) * width]) for row in range(count)]


@test
def vectors_are_the_same_wherever_they_go():
    with tempfile.TemporaryDirectory() as folder:
        rows = ids_file(folder, [{"ids": [1 + i % 90] * (1 + i % 13), "id": i} for i in range(300)])
        printed = objects(run("embed", BERT, "-i", rows, "--json").stdout)
        assert [row["id"] for row in printed] == list(range(300)) and set(printed[0]) == {"row", "id", "embedding"}
        vectors = [[f32(value) for value in row["embedding"]] for row in printed]
        run("embed", BERT, "-i", rows, "-o", f"{folder}/a.npy", "--threads", "1", "-q")
        run("embed", BERT, "-i", rows, "-o", f"{folder}/b.npy", "--threads", "3", "-q")
        assert pathlib.Path(f"{folder}/a.npy").read_bytes() == pathlib.Path(f"{folder}/b.npy").read_bytes()
        assert npy_rows(f"{folder}/a.npy") == vectors
        run("embed", BERT, "-i", rows, "-o", f"{folder}/run", "-q")
        shard = read_shard(f"{folder}/run/shard-00000.safetensors")
        assert floats(shard["embedding"])[1] == [value for vector in vectors for value in vector]
        alone = ids_file(folder, [{"ids": [1 + 77 % 90] * (1 + 77 % 13)}], "one.jsonl")
        assert objects(run("embed", BERT, "-i", alone, "--json").stdout)[0]["embedding"] == printed[77]["embedding"]


@test
def a_run_of_vectors_is_resumed_only_as_it_was():
    with tempfile.TemporaryDirectory() as folder:
        rows = ids_file(folder, [{"ids": [1, 2, 3]}])
        words = ["embed", BERT, "-i", rows, "-o", f"{folder}/run"]
        run(*words)
        assert "complete and sound" in run(*words).stderr
        assert "config.embedding" in run(*words, "--pool", "max", expect=2).stderr
        run(*words, "--pool", "max", "--overwrite")
        run("verify", f"{folder}/run")
        manifest = json.loads(pathlib.Path(f"{folder}/run/manifest.json").read_text())
        assert manifest["config"]["embedding"]["pooling"] == ["max"]


@test
def arguments_of_embed_that_make_no_sense():
    with tempfile.TemporaryDirectory() as folder:
        rows = ids_file(folder, [{"ids": [1, 2, 3]}])
        for extra, part in [(["--precision", "int8"], "--precision"), (["--dry-run"], "-o RUN"),
                            (["--normalize", "--no-normalize"], "--no-normalize"), (["--layer", "9"], "9"),
                            (["--truncate-dim", "99"], "99"), (["--prompt-name", "nothing"], "nothing"),
                            (["--sites", "final"], "not a flag of embed"), (["--pool", "none"], "--pool none"),
                            (["-o", f"{folder}/x.npy", "--precision", "int8"], "one vector")]:
            error = run("embed", BERT, "-i", rows, *extra, expect=2).stderr
            assert part in error, error
        assert os.listdir(folder) == ["rows.jsonl"], "something was left behind"
        pathlib.Path(f"{folder}/x.npy").write_text("mine")
        assert "--overwrite" in run("embed", BERT, "-i", rows, "-o", f"{folder}/x.npy", expect=2).stderr
        assert pathlib.Path(f"{folder}/x.npy").read_text() == "mine"


@test
def texts_at_the_edges_of_embed():
    with tempfile.TemporaryDirectory() as folder:
        nothing = pathlib.Path(f"{folder}/nothing.txt")
        nothing.write_text("\n\n")
        run("embed", BERT, "-i", nothing, "-o", f"{folder}/none.npy", "-q")
        content = pathlib.Path(f"{folder}/none.npy").read_bytes()
        assert b"'shape': (0, 24)" in content and len(content) == 128
        assert run("embed", BERT, "-i", nothing, "--json").stdout == ""
        bad = ids_file(folder, [{"ids": [1, 2]}, {"ids": []}, {"ids": [3]}, {"ids": [10 ** 6]}])
        assert "rows.jsonl:2" in run("embed", BERT, "-i", bad, "-o", f"{folder}/bad.npy", expect=1).stderr
        done = run("embed", BERT, "-i", bad, "-o", f"{folder}/bad.npy", "--on-bad", "skip", "--json", expect=3)
        (told,) = objects(done.stdout)
        assert told["rows"] == 2 and told["skipped"] == 2 and told["width"] == 24
        kept = objects(run("embed", BERT, "-i", bad, "--on-bad", "skip", "--json", expect=3).stdout)
        assert [row["row"] for row in kept] == [0, 2]
        assert npy_rows(f"{folder}/bad.npy") == [[f32(value) for value in row["embedding"]] for row in kept]
        assert "bad.npy.partial" not in os.listdir(folder)
        for extra, status, part in [(["--truncate-dim", "0"], 2, "--truncate-dim 0"), (["--pool", "median"], 2, "median"),
                                    (["--mix", "0=x"], 2, "x"), (["--layer", ""], 2, "--layer"), (["-o", ""], 2, "--output"),
                                    (["--shard", "2/2", "-o", f"{folder}/run"], 2, "2"), (["--shard", "0/2"], 2, "-o RUN"),
                                    (["--prompt", "a", "--prompt-name", "b"], 2, "--prompt-name"),
                                    (["-o", f"{folder}/no/where.npy"], 1, "where.npy")]:
            error = run("embed", BERT, "-i", ids_file(folder, [{"ids": [1]}], "one.jsonl"), *extra, expect=status).stderr
            assert part in error, (extra, error)


@test
def demo_model_cuts_long_texts_as_sentence_transformers_does():
    for case in objects((ROOT / "tests/data/sentence/long.jsonl").read_text()):
        with tempfile.TemporaryDirectory() as folder:
            rows = ids_file(folder, [{"text": case["text"]}])
            (row,) = objects(run("embed", DEMO, "-i", rows, "--json").stdout)
            dot = sum(a * b for a, b in zip(row["embedding"], case["vector"], strict=True))
            norm = (sum(a * a for a in row["embedding"]) * sum(b * b for b in case["vector"])) ** 0.5
            assert dot / norm > 1 - 1e-6, (case["tokens"], dot / norm)
            long = run("embed", DEMO, "-i", rows, "--on-long", "error", "--json", expect=1 if case["tokens"] > 256 else 0)
            assert case["tokens"] <= 256 or str(case["tokens"]) in long.stderr


@test
def quantized_vectors():
    with tempfile.TemporaryDirectory() as folder:
        rows = ids_file(folder, [{"ids": [1 + i, 2, 3 + i]} for i in range(20)])
        vectors = [row["embedding"] for row in objects(run("embed", BERT, "-i", rows, "--json").stdout)]
        for precision, width in [("int8", 24), ("uint8", 24), ("binary", 3), ("ubinary", 3)]:
            run("embed", BERT, "-i", rows, "-o", f"{folder}/{precision}.npy", "--precision", precision, "-q")
            content = pathlib.Path(f"{folder}/{precision}.npy").read_bytes()
            assert f"'|{'u' if precision.startswith('u') else 'i'}1'".encode() in content[:128]
            assert len(content) == 128 + 20 * width, precision
        bits = [[sum(1 << (7 - k) for k in range(8) if vector[8 * byte + k] > 0) for byte in range(3)] for vector in vectors]
        ubinary = pathlib.Path(f"{folder}/ubinary.npy").read_bytes()[128:]
        assert list(ubinary) == [byte for row in bits for byte in row]
        binary = struct.unpack("60b", pathlib.Path(f"{folder}/binary.npy").read_bytes()[128:])
        assert list(binary) == [byte - 128 for byte in ubinary]
        uint8 = pathlib.Path(f"{folder}/uint8.npy").read_bytes()[128:]
        for column in range(24):
            values = [vector[column] for vector in vectors]
            stored = [uint8[24 * row + column] for row in range(20)]
            assert stored[values.index(min(values))] == 0 and stored[values.index(max(values))] >= 254, column
        int8 = struct.unpack("480b", pathlib.Path(f"{folder}/int8.npy").read_bytes()[128:])
        assert list(int8) == [value - 128 for value in uint8]


@test
def matrix_of_similarities():
    with tempfile.TemporaryDirectory() as folder:
        rows = ids_file(folder, [{"ids": [1 + i, 2, 3 + i]} for i in range(40)])
        for width in (40, 80, 200):
            done = run("embed", BERT, "-i", rows, env={"COLUMNS": str(width)})
            assert "texts are shown" in done.stderr and "1.00" in done.stdout
            for line in done.stdout.splitlines()[1:]:
                assert columns(line) <= width, (width, line)


@test
def demo_model_vectors_are_those_of_sentence_transformers():
    reference = read_shard(GOLDEN / "all-MiniLM-L6-v2/reference.safetensors")
    for row in objects(run("embed", DEMO, "-i", GOLDEN / "all-MiniLM-L6-v2/texts.jsonl", "--json").stdout):
        expected = reference.get(f"r{row['row']}.embedding")
        if expected is None:
            continue
        pairs = list(zip(row["embedding"], floats(expected)[1], strict=True))
        assert max(abs(a - b) for a, b in pairs) < 1e-5, row["row"]
        assert sum(a * b for a, b in pairs) > 1 - 1e-6, row["row"]
