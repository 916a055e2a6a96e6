"""`embed --vectors`: token vectors and sparse vectors of tiny folders, against those of the oracle."""
import json
import os
import pathlib
import shutil
import struct
import tempfile

from harness import GOLDEN, f32, floats, objects, read_shard, run, test

CASES = json.loads((pathlib.Path(GOLDEN).parent / "data/vectors/cases.json").read_text())


def write_tensors(path, tensors):
    header, data = {}, b""
    for name, rows in tensors.items():
        matrix = isinstance(rows[0], list)
        shape = [len(rows), len(rows[0])] if matrix else [len(rows)]
        values = [value for row in rows for value in row] if matrix else rows
        packed = struct.pack(f"<{len(values)}f", *values)
        header[name] = {"dtype": "F32", "shape": shape, "data_offsets": [len(data), len(data) + len(packed)]}
        data += packed
    text = json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + data)


def folder_of(name, into):
    """The folder of a case whose heads lie in files of their own."""
    (case,) = [case for case in CASES["cases"] if case["name"] == name]
    folder = pathlib.Path(into) / name
    shutil.copytree(pathlib.Path(GOLDEN) / case["model"], folder)
    for path, content in (CASES["files"] | case["files"]).items():
        (folder / path).parent.mkdir(exist_ok=True)
        (folder / path).write_text(json.dumps(content))
    for path, tensors in case["weights"].items():
        write_tensors(folder / path, tensors)
    return str(folder), case["runs"]


def words_of(options):
    return [word for name, value in options.items() for word in (f"--{name}", value)]


@test
def vectors_of_tokens_and_terms():
    with tempfile.TemporaryDirectory() as temporary:
        for name in ("native-expanded", "splade-max", "three-heads"):
            folder, runs = folder_of(name, temporary)
            for one in runs:
                printed = objects(run("embed", folder, *CASES["texts"], "--json", *words_of(one["options"])).stdout)
                assert len(printed) == len(one["rows"])
                for row, expected in zip(printed, one["rows"]):
                    assert set(row) == {"row", "id", "tokens", "embedding"}, row
                    ours, theirs = row["embedding"], expected.get("vectors")
                    if theirs is None:
                        assert ours["indices"] == expected["indices"] and len(row["tokens"]) == len(ours["indices"])
                        ours, theirs = [ours["values"]], [expected["values"]]
                    assert [len(vector) for vector in ours] == [len(vector) for vector in theirs]
                    apart = [abs(a - b) for x, y in zip(ours, theirs) for a, b in zip(x, y)]
                    assert max(apart, default=0) < 1e-5, (name, max(apart))


@test
def a_run_of_token_vectors():
    with tempfile.TemporaryDirectory() as temporary:
        folder, runs = folder_of("native-expanded", temporary)
        rows = pathlib.Path(temporary) / "rows.txt"
        rows.write_text("".join(f"{text or 'x'}\n" for text in CASES["texts"] * 60))
        for one in runs:
            words = ["embed", folder, "-i", rows, *words_of(one["options"])]
            printed = [row["embedding"] for row in objects(run(*words, "--json").stdout)]
            target = pathlib.Path(temporary) / one["options"]["task"]
            run(*words, "-o", target, "-q", "--shard-size", "9kB", "--threads", "3")
            run("verify", target)
            stored = []
            for path in sorted(target.glob("shard-*.safetensors")):
                shard = read_shard(path)
                shape, values = floats(shard["embedding"])
                offsets = struct.unpack(f"<{shard['pos_offsets'][1][0]}q", shard["pos_offsets"][2])
                for begin, end in zip(offsets, offsets[1:]):
                    stored.append([list(values[i * shape[1]:(i + 1) * shape[1]]) for i in range(begin, end)])
            assert len(stored) == len(printed) and stored == [[[f32(x) for x in v] for v in row] for row in printed]


@test
def late_interaction_and_terms_on_the_terminal():
    with tempfile.TemporaryDirectory() as temporary:
        folder, runs = folder_of("native-plain", temporary)
        texts = CASES["texts"]
        shown = run("embed", folder, *texts, "--task", "query", env=os.environ | {"COLUMNS": "100"}).stdout
        assert "meanmaxsim similarity, a vector of 8 elements a token" in shown
        vectors = [row["vectors"] for row in runs[1]["rows"]]
        lines = shown.splitlines()[-len(texts):]
        for line, query in zip(lines, vectors):
            scores = [sum(max(sum(a * b for a, b in zip(q, d)) for d in document) for q in query) / len(query)
                      for document in vectors]
            found = [float(cell) for cell in line.split()[-len(texts):]]
            assert max(abs(a - b) for a, b in zip(scores, found)) < 6e-4, (scores, found)
        folder, runs = folder_of("splade-max", temporary)
        shown = run("embed", folder, "a cat", "the dog").stdout
        row = runs[0]["rows"][0]
        assert "dot similarity, weights of 101 vocabulary entries" in shown
        assert f"{max(row['values']):.2f}" in shown.splitlines()[2], shown


@test
def kinds_that_a_folder_does_not_have():
    with tempfile.TemporaryDirectory() as temporary:
        folder, _ = folder_of("native-expanded", temporary)
        assert "--vectors dense" in run("embed", folder, "x", "--vectors", "dense", expect=2).stderr
        assert "--pool" in run("embed", folder, "x", "--pool", "mean", expect=2).stderr
        assert "many" in run("embed", folder, "x", "--vectors", "many", expect=2).stderr
        sparse, _ = folder_of("splade-max", temporary)
        for source, target in ((folder, "x.npy"), (sparse, "x.npy"), (sparse, "x")):
            assert "ragged" in run("embed", source, "x", "-o", f"{temporary}/{target}", expect=2).stderr
            assert not os.path.exists(f"{temporary}/{target}")
        heads, _ = folder_of("three-heads", temporary)
        os.rename(f"{heads}/sparse_linear.safetensors", f"{heads}/sparse_linear.pt")
        assert "sparse_linear.pt" in run("embed", heads, "x", "--vectors", "sparse", expect=4).stderr
