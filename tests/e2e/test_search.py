"""`search` and `export --to fvecs`."""
import json
import math
import os
import pathlib
import random
import shutil
import struct
import subprocess
import tempfile

from harness import BERT, DEMO, PLAIN, PROGRAM, f32, ids_file, objects, run, test


def write_npy(path, rows, form="<f4"):
    """Rows of numbers as NumPy would store them."""
    letter = {"<f4": "f", "|i1": "b", "|u1": "B"}[form]
    width = len(rows[0]) if rows else 8
    head = f"{{'descr': '{form}', 'fortran_order': False, 'shape': ({len(rows)}, {width}), }}"
    head += " " * (63 - (10 + len(head)) % 64) + "\n"
    values = b"".join(struct.pack(f"<{width}{letter}", *row) for row in rows)
    pathlib.Path(path).write_bytes(b"\x93NUMPY\x01\x00" + struct.pack("<H", len(head)) + head.encode() + values)


def vectors(count, width, seed):
    numbers = random.Random(seed)
    return [[f32(numbers.gauss(0, 1)) for _ in range(width)] for _ in range(count)]


def score(metric, a, b):
    dot = math.fsum(x * y for x, y in zip(a, b))
    if metric == "dot":
        return dot
    if metric == "euclidean":
        return -math.sqrt(math.fsum((x - y) ** 2 for x, y in zip(a, b)))
    return dot / math.sqrt(math.fsum(x * x for x in a) * math.fsum(y * y for y in b))


def ranked(metric, query, rows, count):
    return sorted(((-score(metric, query, row), number) for number, row in enumerate(rows)))[:count]


@test
def nearest_rows_are_those_of_all_pairs():
    with tempfile.TemporaryDirectory() as folder:
        rows, queries = vectors(700, 24, 1), vectors(9, 24, 2)
        rows[600] = rows[3]
        write_npy(f"{folder}/rows.npy", rows)
        write_npy(f"{folder}/queries.npy", queries)
        for metric in ("cosine", "dot", "euclidean"):
            words = ["search", f"{folder}/rows.npy", "-i", f"{folder}/queries.npy", "--metric", metric, "--top-k", "12", "--json"]
            printed = run(*words).stdout
            for threads in ("1", "3"):
                assert run(*words, "--threads", threads).stdout == printed
            for number, answer in enumerate(objects(printed)):
                expected = ranked(metric, queries[number], rows, 12)
                assert answer["query"] == number and [hit["row"] for hit in answer["hits"]] == [row for _, row in expected]
                assert all(abs(hit["score"] + negative) < 1e-12 for hit, (negative, _) in zip(answer["hits"], expected))
                assert all(hit["id"] is None and hit["text"] is None for hit in answer["hits"])
        (answer, *_) = objects(run("search", f"{folder}/rows.npy", "-i", f"{folder}/queries.npy", "--top-k", "5000", "--json").stdout)
        assert len(answer["hits"]) == 700


@test
def runs_are_searched_as_they_were_embedded():
    with tempfile.TemporaryDirectory() as folder:
        texts = [{"ids": [1 + i % 90, 2, 3 + i % 7] * (1 + i % 5), "id": f"r{i}"} for i in range(60)]
        rows, queries = ids_file(folder, texts), ids_file(folder, texts[7:9], "queries.jsonl")
        run("embed", BERT, "-i", rows, "-o", f"{folder}/whole", "-q")
        for part in ("0/2", "1/2"):
            run("embed", BERT, "-i", rows, "-o", f"{folder}/parts", "--shard", part, "-q")
        whole = objects(run("search", f"{folder}/whole", "-i", queries, "--json", "--top-k", "4").stdout)
        assert whole == objects(run("search", f"{folder}/parts", "-i", queries, "--json", "--top-k", "4").stdout)
        assert whole[0]["hits"][0]["row"] == 7 and whole[0]["hits"][0]["id"] == "r7"
        assert abs(whole[0]["hits"][0]["score"] - 1) < 1e-6
        run("states", BERT, "-i", rows, "-o", f"{folder}/states", "--layers", "0,-1", "--pool", "mean", "--save-dtype", "f16", "-q")
        write_npy(f"{folder}/q.npy", vectors(1, 24, 3))
        assert "--site" in run("search", f"{folder}/states", "-i", f"{folder}/q.npy", expect=2).stderr
        (answer,) = objects(run("search", f"{folder}/states", "--site", "final", "-i", f"{folder}/q.npy", "--json").stdout)
        assert len(answer["hits"]) == 10
        assert "give queries as a .npy" in run("search", f"{folder}/states", "--site", "final", "-i", queries, expect=2).stderr
        # The model must be the one that the run was made with, wherever it lies.
        shutil.copytree(BERT, f"{folder}/model")
        assert whole == objects(run("search", f"{folder}/whole", "-i", queries, "--json", "--top-k", "4", "--model",
                                    f"{folder}/model").stdout)
        weights = pathlib.Path(f"{folder}/model/model.safetensors")
        content = bytearray(weights.read_bytes())
        content[-2] ^= 1
        weights.write_bytes(content)
        error = run("search", f"{folder}/whole", "-i", queries, "--model", f"{folder}/model", expect=2).stderr
        assert "model.safetensors" in error and "xxh128" in error, error


@test
def quantized_vectors_give_candidates():
    with tempfile.TemporaryDirectory() as folder:
        rows, queries = vectors(400, 40, 4), vectors(6, 40, 5)
        packed = [[sum((row[8 * byte + k] > 0) << (7 - k) for k in range(8)) for byte in range(5)] for row in rows]
        integers = [[max(-128, min(127, int(40 * value))) for value in row] for row in rows]
        for name, content, form in [("rows", rows, "<f4"), ("queries", queries, "<f4"), ("ubinary", packed, "|u1"),
                                    ("binary", [[byte - 128 for byte in row] for row in packed], "|i1"),
                                    ("int8", integers, "|i1"), ("uint8", [[v + 128 for v in row] for row in integers], "|u1")]:
            write_npy(f"{folder}/{name}.npy", content, form)
        bits = [[float(value > 0) for value in row] for row in rows]
        search = lambda name, *words: run("search", f"{folder}/{name}.npy", "-i", f"{folder}/queries.npy", "--json", *words)
        for name in ("binary", "ubinary"):
            plain = objects(search(name, "--rescore", "none").stdout)
            again = objects(search(name, "--oversample", "3").stdout)
            for query, first, second in zip(queries, plain, again):
                apart = lambda row: sum((a > 0) != (b > 0) for a, b in zip(query, rows[row]))
                assert [(hit["row"], -hit["score"]) for hit in first["hits"]] == sorted(((r, apart(r)) for r in range(400)),
                                                                                        key=lambda p: (p[1], p[0]))[:10]
                candidates = sorted(range(400), key=lambda r: (apart(r), r))[:30]
                expected = sorted(candidates, key=lambda r: (-score("dot", query, bits[r]), r))[:10]
                assert [hit["row"] for hit in second["hits"]] == expected
        for name, shift in (("int8", 0), ("uint8", 128)):
            for query, answer in zip(queries, objects(search(name).stdout)):
                expected = ranked("dot", query, [[v + shift for v in row] for row in integers], 10)
                assert [hit["row"] for hit in answer["hits"]] == [row for _, row in expected]
        done = search("ubinary", "--oversample", "40", "--rescore", f"{folder}/rows.npy")
        exact = objects(search("rows").stdout)
        assert "recall@10 1.0000" in done.stderr
        for ours, true in zip(objects(done.stdout), exact):
            assert ours["recall"] == 1 and ours["hits"] == true["hits"]
        few = search("ubinary", "--oversample", "1", "--rescore", f"{folder}/rows.npy")
        recalls = [len({h["row"] for h in a["hits"]} & {h["row"] for h in b["hits"]}) / 10
                   for a, b in zip(objects(few.stdout), exact)]
        assert [answer["recall"] for answer in objects(few.stdout)] == recalls and min(recalls) < 1
        assert "--metric" in run("search", f"{folder}/int8.npy", "-i", f"{folder}/queries.npy", "--metric", "cosine", expect=2).stderr


@test
def searches_that_make_no_sense():
    with tempfile.TemporaryDirectory() as folder:
        rows = vectors(20, 8, 6)
        write_npy(f"{folder}/rows.npy", rows)
        write_npy(f"{folder}/wide.npy", vectors(2, 9, 7))
        write_npy(f"{folder}/bits.npy", [[1]] * 19, "|u1")
        write_npy(f"{folder}/none.npy", [])
        rows[11][3] = float("nan")
        write_npy(f"{folder}/nan.npy", rows)
        pathlib.Path(f"{folder}/cut.npy").write_bytes(pathlib.Path(f"{folder}/rows.npy").read_bytes()[:-1])
        pathlib.Path(f"{folder}/text.npy").write_text("no array")
        run("states", BERT, "-i", ids_file(folder, [{"ids": [1, 2, 3]}]), "-o", f"{folder}/tokens", "-q")
        query = ["-i", f"{folder}/rows.npy"]
        for corpus, words, status, part in [
                ("rows.npy", ["-i", f"{folder}/wide.npy"], 2, "8 elements"), ("rows.npy", ["a text"], 2, "--model"),
                ("nan.npy", query, 1, "row 11"), ("rows.npy", ["-i", f"{folder}/nan.npy"], 1, "row 11"),
                ("cut.npy", query, 1, "does not fit"), ("text.npy", query, 1, "no .npy"), ("absent.npy", query, 1, "absent"),
                ("absent", query, 1, "absent"), ("tokens", query, 2, "one vector a row"),
                ("rows.npy", [*query, "--top-k", "0"], 2, "--top-k"), ("rows.npy", [*query, "--site", "final"], 2, "sites"),
                ("rows.npy", [*query, "--rescore", f"{folder}/rows.npy"], 2, "--rescore"),
                ("bits.npy", [*query, "--rescore", f"{folder}/rows.npy"], 2, "20 rows"),
                ("rows.npy", [*query, "--prompt", "q"], 2, "--prompt"), ("rows.npy", [], 2, "nothing to read")]:
            error = run("search", f"{folder}/{corpus}", *words, expect=status).stderr
            assert part in error, error
        assert objects(run("search", f"{folder}/none.npy", *query, "--json").stdout)[0]["hits"] == []


@test
def runs_that_are_not_whole_are_searched_only_if_asked():
    with tempfile.TemporaryDirectory() as folder:
        rows = ids_file(folder, [{"ids": [1 + i, 2, 3]} for i in range(10)])
        run("embed", BERT, "-i", rows, "-o", f"{folder}/run", "--shard", "0/2", "-q")
        words = ["search", f"{folder}/run", "-i", rows, "--json", "--top-k", "3"]
        assert "parts are missing" in run(*words, expect=2).stderr
        assert {hit["row"] % 2 for answer in objects(run(*words, "--allow-incomplete").stdout) for hit in answer["hits"]} == {0}
        shard = pathlib.Path(f"{folder}/run/part-0/shard-00000.safetensors")
        shard.write_bytes(shard.read_bytes()[:-4])
        run(*words, "--allow-incomplete", expect=6)


@test
def a_corpus_larger_than_the_memory_that_is_allowed():
    with tempfile.TemporaryDirectory() as folder:
        write_npy(f"{folder}/q.npy", vectors(1, 256, 8))
        head = "{'descr': '<f4', 'fortran_order': False, 'shape': (1000000, 256), }"
        head += " " * (63 - (10 + len(head)) % 64) + "\n"
        with open(f"{folder}/rows.npy", "wb") as file:  # a gigabyte, of which the file system holds one page
            file.write(b"\x93NUMPY\x01\x00" + struct.pack("<H", len(head)) + head.encode())
            file.truncate(10 + len(head) + 1000000 * 1024)
            file.seek(10 + len(head) + 777777 * 1024)
            file.write(struct.pack("<f", 1.0))
        done = subprocess.run(["bash", "-c", 'ulimit -d 262144; exec "$@"', "bash", PROGRAM, "search", f"{folder}/rows.npy", "-i",
                               f"{folder}/q.npy", "--json", "--metric", "dot", "--top-k", "1000000", "--threads", "2"],
                              capture_output=True, text=True, env=PLAIN)
        assert done.returncode == 0, done.stderr
        assert 777777 in {json.loads(done.stdout)["hits"][at]["row"] for at in (0, -1)}


@test
def demo_model_texts_find_texts():
    with tempfile.TemporaryDirectory() as folder:
        texts = ["The cat sat on the mat", "Parliament ratified the treaty", "Stock prices fell sharply today"]
        path = pathlib.Path(folder, "texts.txt")
        path.write_text("\n".join(texts) + "\n")
        run("embed", DEMO, "-i", path, "-o", f"{folder}/run", "-q")
        words = ["search", f"{folder}/run", "a new law was passed", "a kitten", "--top-k", "2", "--texts", path]
        law, kitten = objects(run(*words, "--json").stdout)
        assert law["query"] == "a new law was passed" and law["hits"][0]["text"] == texts[1]
        assert kitten["hits"][0]["row"] == 0 and kitten["hits"][0]["text"] == texts[0] and len(kitten["hits"]) == 2
        table = run(*words).stdout
        assert "cosine" in table and texts[1] in table and "“a kitten”" in table
        assert objects(run(*words[:2], "x", "--json").stdout)[0]["hits"][0]["text"] is None
        path.write_text("another file\n")
        assert "texts.txt" in run(*words, expect=2).stderr
        assert "nowhere" in run("search", f"{folder}/run", "x", "--prompt-name", "nowhere", expect=2).stderr


@test
def vectors_as_fvecs():
    with tempfile.TemporaryDirectory() as folder:
        rows = ids_file(folder, [{"ids": [1 + i, 2, 3]} for i in range(7)])
        printed = [row["embedding"] for row in objects(run("embed", BERT, "-i", rows, "--json").stdout)]
        run("embed", BERT, "-i", rows, "-o", f"{folder}/run", "--shard-size", "300", "-q")
        run("export", f"{folder}/run", "--to", "fvecs", "-o", f"{folder}/x.fvecs")
        width = len(printed[0])
        content = pathlib.Path(f"{folder}/x.fvecs").read_bytes()
        assert content == b"".join(struct.pack(f"<i{width}f", width, *row) for row in printed)
        run("states", BERT, "-i", rows, "-o", f"{folder}/pooled", "--pool", "max", "--save-dtype", "f16", "-q")
        run("export", f"{folder}/pooled", "--to", "fvecs", "--site", "final", "-o", f"{folder}/y.fvecs")
        assert os.path.getsize(f"{folder}/y.fvecs") == 7 * 4 * (1 + width)
        assert "several sites" in run("export", f"{folder}/pooled", "--to", "fvecs", "-o", f"{folder}/z.fvecs", expect=2).stderr
