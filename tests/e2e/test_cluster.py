"""`cluster`: groups, labels, the picture, and what has no answer."""
import json
import os
import pathlib
import random
import struct
import tempfile

from harness import BERT, columns, ids_file, objects, on_terminal, run, test


def write_npy(path, rows, kind="f4"):
    code = {"f4": "f", "i1": "b"}[kind]
    width = len(rows[0]) if rows else 3
    header = f"{{'descr': '{'<' if kind != 'i1' else '|'}{kind}', 'fortran_order': False, 'shape': ({len(rows)}, {width}), }}"
    header = header.ljust(117) + "\n"
    values = struct.pack(f"<{len(rows) * width}{code}", *(value for row in rows for value in row))
    pathlib.Path(path).write_bytes(b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header.encode() + values)
    return str(path)


def three_heaps(rows=90):
    generator = random.Random(5)
    return [[8.0 * (row % 3 == axis) + generator.random() for axis in range(4)] for row in range(rows)]


def labels_of(path):
    content = pathlib.Path(path).read_bytes()
    size = 10 + struct.unpack("<H", content[8:10])[0]
    header = eval(content[10:size])  # NumPy's own format: a Python literal
    assert header["descr"] == "<i4" and not header["fortran_order"], header
    return list(struct.unpack(f"<{header['shape'][0]}i", content[size:]))


@test
def groups_of_an_array():
    with tempfile.TemporaryDirectory() as folder:
        rows = three_heaps()
        path = write_npy(f"{folder}/rows.npy", rows)
        done = run("cluster", path, "-k", "3", "--json", "--nearest", "2", "-o", f"{folder}/labels.npy")
        (found,) = objects(done.stdout)
        assert {"k", "seed", "inertia", "silhouette", "sizes", "nearest"} <= found.keys()
        assert found["k"] == 3 and found["seed"] == 0 and found["sizes"] == [30] * 3 and not found["normalized"]
        assert found["converged"] and 0.8 < found["silhouette"] < 1 and found["silhouette_rows"] == 90
        labels = labels_of(f"{folder}/labels.npy")
        assert all(labels[row] == labels[row % 3] for row in range(90)) and len(set(labels[:3])) == 3
        centres = [[sum(rows[row][axis] for row in range(90) if labels[row] == k) / 30 for axis in range(4)] for k in range(3)]
        distances = [sum((a - b) ** 2 for a, b in zip(rows[row], centres[labels[row]])) for row in range(90)]
        assert abs(found["inertia"] - sum(distances)) < 1e-4
        for k in range(3):
            members = sorted((row for row in range(90) if labels[row] == k), key=lambda row: distances[row])
            assert found["nearest"][k] == members[:2]
        run("cluster", path, "-k", "3", "-o", f"{folder}/labels.jsonl", "--threads", "3")
        lines = objects(pathlib.Path(f"{folder}/labels.jsonl").read_text())
        assert [line["row"] for line in lines] == list(range(90)) and [line["label"] for line in lines] == labels
        assert all(abs(line["distance"] ** 2 - distances[line["row"]]) < 1e-4 for line in lines)
        assert "--overwrite" in run("cluster", path, "-k", "3", "-o", f"{folder}/labels.npy", expect=2).stderr
        run("cluster", path, "-k", "4", "-o", f"{folder}/labels.npy", "--overwrite", "--seed", "18446744073709551615")
        assert max(labels_of(f"{folder}/labels.npy")) == 3


@test
def clusters_of_runs_and_their_parts_are_the_same():
    with tempfile.TemporaryDirectory() as folder:
        rows = ids_file(folder, [{"ids": [1 + i % 90] * (1 + i % 7), "id": f"r{i}"} for i in range(60)])
        run("embed", BERT, "-i", rows, "-o", f"{folder}/run", "-q")
        for part in range(3):
            run("embed", BERT, "-i", rows, "-o", f"{folder}/parts", "--shard", f"{part}/3", "-q")
        whole = run("cluster", f"{folder}/run", "-k", "5", "--json", "-o", f"{folder}/whole.jsonl").stdout
        assert whole == run("cluster", f"{folder}/parts", "-k", "5", "--json", "-o", f"{folder}/parts.jsonl").stdout
        assert objects(whole)[0]["normalized"], "the folder compares by cosine"
        lines = pathlib.Path(f"{folder}/whole.jsonl").read_text()
        assert lines == pathlib.Path(f"{folder}/parts.jsonl").read_text() and objects(lines)[7]["id"] == "r7"
        plain = objects(run("cluster", f"{folder}/run", "-k", "5", "--json", "--no-normalize").stdout)[0]
        assert not plain["normalized"] and plain["inertia"] != objects(whole)[0]["inertia"]
        run("embed", BERT, "-i", rows, "-o", f"{folder}/rows.npy", "-q")
        array = run("cluster", f"{folder}/rows.npy", "-k", "5", "--json", "--normalize").stdout
        assert array == whole, "the same vectors, the same clusters"
        os.rename(f"{folder}/parts/part-1", f"{folder}/gone")
        assert "missing" in run("cluster", f"{folder}/parts", "-k", "5", expect=2).stderr
        left = objects(run("cluster", f"{folder}/parts", "-k", "5", "--json", "--allow-incomplete").stdout)[0]
        assert left["rows"] == 40 and not any(row % 3 == 1 for rows in left["nearest"] for row in rows)


@test
def clusters_of_pooled_states():
    with tempfile.TemporaryDirectory() as folder:
        rows = ids_file(folder, [{"ids": [1 + i, 2, 3 + i]} for i in range(20)])
        run("states", BERT, "-i", rows, "-o", f"{folder}/pooled", "--layers", "0,-1", "--pool", "mean", "-q")
        assert "embed, final" in run("cluster", f"{folder}/pooled", "-k", "2", expect=2).stderr
        (found,) = objects(run("cluster", f"{folder}/pooled", "-k", "2", "--site", "final", "--json").stdout)
        assert found["rows"] == 20 and found["width"] == 24 and not found["normalized"]
        run("states", BERT, "-i", rows, "-o", f"{folder}/tokens", "--layers", "0", "-q")
        assert "--pool" in run("cluster", f"{folder}/tokens", "-k", "2", expect=2).stderr


@test
def the_picture_of_clusters():
    with tempfile.TemporaryDirectory() as folder:
        path = write_npy(f"{folder}/rows.npy", three_heaps())
        texts = pathlib.Path(f"{folder}/texts.txt")
        texts.write_text("".join(f"text \x1b[31m number {row} 日本語 {'long ' * 40}\n" for row in range(90)))
        for width in (40, 80, 200):
            done = run("cluster", path, "-k", "3", "--texts", texts, env={"COLUMNS": str(width)})
            lines = done.stdout.splitlines()
            assert len(lines) == 3 + 9 and "3 clusters" in lines[0] and "silhouette" in lines[1]
            assert all(columns(line) <= width for line in lines[3:]) and "\x1b" not in done.stdout, width
        assert "rows " in run("cluster", path, "-k", "3").stdout
        assert len(run("cluster", path, "-k", "3", "--nearest", "0").stdout.splitlines()) == 6
        assert "\x1b[2m" in on_terminal(["cluster", path, "-k", "3", "--texts", str(texts)], {"COLUMNS": "80"})
        (found,) = objects(run("cluster", path, "-k", "3", "--texts", texts, "--json", "--nearest", "1").stdout)
        assert all(text[0].startswith(f"text \x1b[31m number {row[0]} ") for text, row in zip(found["texts"], found["nearest"]))
        texts.write_text("one\ntwo\n")
        (found,) = objects(run("cluster", path, "-k", "3", "--texts", texts, "--json", "--nearest", "30").stdout)
        known = {row: text for rows, line in zip(found["nearest"], found["texts"]) for row, text in zip(rows, line)}
        assert known == {row: {0: "one", 1: "two"}.get(row) for row in range(90)}
        rows = ids_file(folder, [{"ids": [1, 2]}, {"ids": [3]}])
        run("embed", BERT, "-i", rows, "-o", f"{folder}/run", "-q")
        assert "not the input" in run("cluster", f"{folder}/run", "-k", "1", "--texts", texts, expect=2).stderr
        assert "rows 0" in run("cluster", f"{folder}/run", "-k", "2", "--texts", rows).stdout


@test
def what_has_no_clusters():
    with tempfile.TemporaryDirectory() as folder:
        good = write_npy(f"{folder}/good.npy", three_heaps(9))
        (one,) = objects(run("cluster", good, "-k", "1", "--json").stdout)
        assert one["sizes"] == [9] and one["silhouette"] is None
        (each,) = objects(run("cluster", good, "-k", "9", "--json").stdout)
        assert each["sizes"] == [1] * 9 and each["inertia"] == 0 and each["silhouette"] is None
        early = run("cluster", write_npy(f"{folder}/many.npy", three_heaps(300)), "-k", "40", "--max-iterations", "1")
        assert "--max-iterations" in early.stderr
        twice = write_npy(f"{folder}/twice.npy", [[1.0, 2.0]] * 4 + [[3.0, 4.0]])
        broken = write_npy(f"{folder}/broken.npy", [[1.0, 2.0], [float("nan"), 0.0], [1.0, 3.0]])
        empty = write_npy(f"{folder}/empty.npy", [])
        small = write_npy(f"{folder}/int8.npy", [[1, 2], [3, 4]], "i1")
        for words, status, part in [
                ((good,), 2, "-k is missing"), ((good, "-k", "0"), 2, "--clusters 0"), ((good, "-k", "10"), 2, "1 to 9"),
                ((twice, "-k", "3"), 2, "only 2 of 5 rows are distinct"), ((broken, "-k", "2"), 1, "row 1: its vector holds NaN"),
                ((empty, "-k", "1"), 2, "has no rows"), ((small, "-k", "2"), 1, "--precision"),
                ((good, "-k", "2", "-o", "labels.txt"), 2, ".npy or FILE.jsonl"), ((good, "-k", "2", "--overwrite"), 2, "-o"),
                ((good, "-k", "2", "--normalize", "--no-normalize"), 2, "--no-normalize"),
                ((good, "-k", "2", "--site", "final"), 2, "--site"), ((good, "-k", "2", "--max-iterations", "0"), 2, "--max-iterations 0"),
                ((f"{folder}/nothing", "-k", "2"), 1, "nothing"), ((good, "more", "-k", "2"), 2, "one argument too many"),
                ((good, "-k", "2", "-o", f"{folder}/no/labels.npy"), 1, "no")]:
            error = run("cluster", *words, expect=status).stderr
            assert part in error, (words, error)
        rows = ids_file(folder, [{"ids": [1, 2, 3]}, {"ids": [4]}])
        run("embed", BERT, "-i", rows, "-o", f"{folder}/run", "-q")
        shard = pathlib.Path(f"{folder}/run/shard-00000.safetensors")
        shard.write_bytes(shard.read_bytes()[:-4])
        error = json.loads(run("cluster", f"{folder}/run", "-k", "1", "--json", expect=6).stderr)
        assert error["code"] == "damage" and "shard-00000" in error["message"], error
