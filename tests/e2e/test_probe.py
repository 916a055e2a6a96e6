"""`probe`: labels of rows, words, spans and tokens, states out of runs and of models, and what cannot be probed."""
import json
import pathlib
import random
import tempfile

from harness import BERT, DEMO, GPT2, ROOT, Skipped, columns, ids_file, objects, on_terminal, run, test

CAUSAL = ROOT / "tests/data/alice/causal"
PROBING = ROOT / "examples/probing"
KEYS = {"task", "metric", "layers", "best"}
LAYER_KEYS = {"site", "hf_index", "score", "low", "high", "selectivity", "mdl_bits"}


def write_lines(path, rows):
    pathlib.Path(path).write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows))
    return str(path)


def token_rows(count=60, seed=3):
    """Rows of ids, each token labelled by its id alone: what an embedding knows for certain."""
    generator = random.Random(seed)
    rows = [[generator.randrange(10, 40) for _ in range(4 + index % 5)] for index in range(count)]
    return [{"ids": ids, "labels": [("low", "middle", "high")[id % 3] for id in ids], "id": f"r{index}"}
            for index, ids in enumerate(rows)]


def probe(*words, **options):
    (found,) = objects(run("probe", *words, "--json", **options).stdout)
    assert KEYS <= found.keys() and all(LAYER_KEYS <= layer.keys() for layer in found["layers"]), found
    assert all(layer["low"] <= layer["score"] <= layer["high"] for layer in found["layers"]), found
    assert found["best"] == max(found["layers"], key=lambda layer: layer["score"])["site"]
    return found


@test
def a_label_a_token():
    with tempfile.TemporaryDirectory() as folder:
        rows = token_rows()
        labels = write_lines(f"{folder}/rows.jsonl", rows)
        found = probe(BERT, "--labels", labels)
        assert found["task"] == "classify" and found["metric"] == "accuracy" and found["rows"] == found["groups"] == 60
        assert found["samples"] == sum(len(row["ids"]) for row in rows)
        counts = {label: sum(row["labels"].count(label) for row in rows) for label in ("high", "low", "middle")}
        assert {entry["label"]: entry["samples"] for entry in found["classes"]} == counts
        assert [layer["hf_index"] for layer in found["layers"]] == list(range(len(found["layers"])))
        assert found["layers"][0]["site"] == "embed" and found["layers"][0]["score"] > 0.95 > found["baseline"]["high"]
        assert all(0 < layer["mdl_bits"] < layer["mdl_uniform_bits"] for layer in found["layers"][:1])
        best = next(layer for layer in found["layers"] if layer["site"] == found["best"])
        confusion = found["confusion"]["counts"]
        assert found["confusion"]["site"] == found["best"] and sum(map(sum, confusion)) == found["samples"]
        assert abs(sum(confusion[k][k] for k in range(3)) / found["samples"] - best["score"]) < 1e-9
        assert [sum(row) for row in confusion] == [entry["samples"] for entry in found["classes"]]
        assert all(abs(layer["score"] - layer["control"] - layer["selectivity"]) < 1e-9 for layer in found["layers"])


@test
def the_same_bits_from_runs_parts_models_and_threads():
    with tempfile.TemporaryDirectory() as folder:
        rows = write_lines(f"{folder}/rows.jsonl", token_rows())
        ids = write_lines(f"{folder}/ids.jsonl", [{"ids": row["ids"], "id": row["id"]} for row in token_rows()])
        run("states", BERT, "-i", ids, "-o", f"{folder}/run", "-q")
        for part in range(3):
            run("states", BERT, "-i", ids, "-o", f"{folder}/parts", "--shard", f"{part}/3", "--shard-size", "4kB", "-q")
        whole = run("probe", BERT, "--labels", rows, "--json", "--scalar-mix").stdout
        assert abs(sum(objects(whole)[0]["mix"]["weights"]) - 1) < 1e-9
        for words in ((BERT, "--threads", "1"), (BERT, "--threads", "5"), (f"{folder}/run",), (f"{folder}/parts", "--threads", "3")):
            again = run("probe", *words, "--labels", rows, "--json", "--scalar-mix").stdout
            assert again == whole, words
        other = run("probe", f"{folder}/run", "--labels", rows, "--json", "--seed", "7").stdout
        assert objects(other)[0]["layers"][0]["low"] != objects(whole)[0]["layers"][0]["low"]
        few = probe(f"{folder}/run", "--labels", rows, "--layers", "0,-1", "--no-control", "--no-mdl", "--folds", "3")
        assert [layer["site"] for layer in few["layers"]] == ["embed", "final"] and few["folds"] == 3 and few["mix"] is None
        assert all(layer["control"] is layer["selectivity"] is layer["mdl_bits"] is None for layer in few["layers"])
        first = next(layer for layer in objects(whole)[0]["layers"] if layer["site"] == "final")
        assert probe(f"{folder}/run", "--labels", rows, "--sites", "fin*")["layers"] == [first]


@test
def labels_of_rows():
    with tempfile.TemporaryDirectory() as folder:
        generator = random.Random(9)
        rows = [{"ids": [generator.randrange(10, 40) + 40 * (index % 2) for _ in range(3 + index % 4)]} for index in range(80)]
        ids = ids_file(folder, rows)
        names = pathlib.Path(f"{folder}/names.txt")
        names.write_text("".join(("even", "odd")[index % 2] + "\n" for index in range(80)))
        table = pathlib.Path(f"{folder}/table.tsv")
        table.write_text("row\tside\tgroup\n" + "".join(f"{index}\t{('even', 'odd')[index % 2]}\tg{index // 4}\n" for index in range(79, -1, -1)))
        found = probe(BERT, "-i", ids, "--labels", names)
        assert found["samples"] == found["rows"] == found["groups"] == 80 and found["layers"][0]["score"] > 0.8 > found["baseline"]["high"]
        grouped = probe(BERT, "-i", ids, "--labels", table, "--label-key", "side")
        assert grouped["groups"] == 20 and grouped["classes"] == found["classes"]
        run("states", BERT, "-i", ids, "-o", f"{folder}/tokens", "-q")
        for pool in ("mean", "last", "max"):
            run("states", BERT, "-i", ids, "-o", f"{folder}/{pool}", "--pool", pool, "-q")
            live = run("probe", BERT, "-i", ids, "--labels", names, "--pool", pool, "--json").stdout
            assert live == run("probe", f"{folder}/{pool}", "--labels", names, "--json").stdout
            assert live == run("probe", f"{folder}/tokens", "--labels", names, "--pool", pool, "--json").stdout
        assert objects(run("probe", BERT, "-i", ids, "--labels", names, "--json").stdout)[0] == found
        run("states", BERT, "-i", ids, "-o", f"{folder}/picked", "--positions", "last", "-q")
        last = run("probe", f"{folder}/last", "--labels", names, "--json").stdout
        assert last == run("probe", f"{folder}/picked", "--labels", names, "--json").stdout
        run("states", BERT, "-i", ids, "-o", f"{folder}/half", "--save-dtype", "f16", "-q")
        half = probe(f"{folder}/half", "--labels", names)["layers"][0]["score"]
        assert abs(half - found["layers"][0]["score"]) < 0.05


@test
def numbers_are_targets_or_classes():
    with tempfile.TemporaryDirectory() as folder:
        generator = random.Random(2)
        rows = [{"ids": [generator.randrange(10, 90) for _ in range(5)]} for _ in range(120)]
        ids = ids_file(folder, rows)
        share = write_lines(f"{folder}/share.jsonl", [{"label": sum(id < 50 for id in row["ids"]) / 5} for row in rows])
        found = probe(BERT, "-i", ids, "--labels", share)
        assert found["task"] == "regress" and found["metric"] == "r2" and found["classes"] is found["confusion"] is None
        assert found["layers"][0]["mdl_bits"] is None and found["layers"][0]["score"] > max(0, found["baseline"]["score"])
        forced = probe(BERT, "-i", ids, "--labels", share, "--task", "classify", "--metric", "f1")
        assert forced["metric"] == "f1" and [entry["label"] for entry in forced["classes"]] == sorted({str(sum(id < 50 for id in row["ids"]) / 5).removesuffix(".0") for row in rows}, key=float)
        whole = write_lines(f"{folder}/whole.jsonl", [{"label": int(row["ids"][0] < 50)} for row in rows])
        assert [entry["label"] for entry in probe(BERT, "-i", ids, "--labels", whole)["classes"]] == ["0", "1"]
        assert probe(BERT, "-i", ids, "--labels", whole, "--task", "regress")["task"] == "regress"
        assert "r2" in run("probe", BERT, "-i", ids, "--labels", whole, "--metric", "r2", expect=2).stderr
        assert "--task classify" in run("probe", BERT, "-i", ids, "--labels", share, "--metric", "f1", expect=2).stderr


@test
def words_of_texts():
    with tempfile.TemporaryDirectory() as folder:
        sentences = (("the", "D"), ("rabbit", "N"), ("said", "V"), ("“", "P"), ("naïve", "A"), ("日本", "N"), ("!", "P")), (
            ("alice", "N"), ("did", "V"), ("n't", "A"), ("see", "V"), ("the", "D"), ("queen", "N"), (".", "P"))
        rows = []
        for index in range(30):
            words = list(sentences[index % 2])
            random.Random(index).shuffle(words)
            rows.append({"text": "  ".join(word for word, _ in words), "words": [word for word, _ in words],
                         "labels": [label for _, label in words]})
        labels = write_lines(f"{folder}/words.jsonl", rows)
        texts = write_lines(f"{folder}/texts.jsonl", [{"text": row["text"]} for row in rows])
        run("states", CAUSAL, "-i", texts, "-o", f"{folder}/run", "-q")
        seen = set()
        for align in ("first", "last", "mean"):
            live = run("probe", CAUSAL, "--labels", labels, "--align", align, "--json").stdout
            assert objects(live)[0]["samples"] + objects(live)[0]["without_token"] == 30 * 7
            stored = run("probe", f"{folder}/run", "--labels", labels, "--texts", texts, "--align", align, "--json").stdout
            assert live == stored, align
            seen.add(live)
        assert len(seen) == 3, "words of several tokens: which of them is taken makes a difference"
        starts = [[sum(len(word) + 2 for word in row["words"][:k]) for k in range(7)] for row in rows]
        spans = write_lines(f"{folder}/spans.jsonl", [
            {"spans": [[start, start + len(word), label] for start, word, label in zip(begins, row["words"], row["labels"])]}
            for begins, row in zip(starts, rows)])
        as_words = run("probe", CAUSAL, "-i", texts, "--labels", labels, "--json").stdout
        assert run("probe", CAUSAL, "-i", texts, "--labels", spans, "--json").stdout == as_words
        assert "--texts" in run("probe", f"{folder}/run", "--labels", labels, expect=2).stderr
        rows[3]["words"][2] += "x"
        wrong = write_lines(f"{folder}/wrong.jsonl", rows)
        error = run("probe", CAUSAL, "--labels", wrong, expect=1).stderr
        assert f"{wrong}:4: word 2 is " in error, error
        assert "not the input" in run("probe", f"{folder}/run", "--labels", labels, "--texts", labels, expect=2).stderr


@test
def rows_that_are_left_out():
    with tempfile.TemporaryDirectory() as folder:
        rows = token_rows(40)
        rows[5]["labels"] = [None] * len(rows[5]["labels"])
        rows[6]["labels"][0] = None
        labels = write_lines(f"{folder}/rows.jsonl", [row for row in rows if row["id"] != "r7"] + [{"id": "gone", "labels": ["low"]}])
        ids = write_lines(f"{folder}/ids.jsonl", [{"ids": row["ids"], "id": row["id"]} for row in rows])
        done = run("probe", BERT, "-i", ids, "--labels", labels, "--json")
        (found,) = objects(done.stdout)
        assert found["rows"] == 38 and found["unmatched"] == 1 and "1 labelled rows are not in the input" in done.stderr
        assert found["samples"] == sum(len(row["ids"]) for row in rows) - len(rows[5]["ids"]) - len(rows[7]["ids"]) - 1
        rows[2]["ids"][0] = 10 ** 6
        bad = write_lines(f"{folder}/bad.jsonl", [{"ids": row["ids"], "id": row["id"]} for row in rows])
        assert f"{bad}:3:" in run("probe", BERT, "-i", bad, "--labels", labels, expect=1).stderr
        (fewer,) = objects(run("probe", BERT, "-i", bad, "--labels", labels, "--json", "--on-bad", "skip", expect=3).stdout)
        assert fewer["rows"] == 37
        rows[2]["labels"].append("low")
        wrong = write_lines(f"{folder}/wrong.jsonl", rows)
        error = run("probe", BERT, "-i", ids, "--labels", wrong, "--on-bad", "skip", expect=1).stderr
        assert f"{wrong}:3: has " in error, "labels that are wrong are no bad rows"


@test
def the_picture_of_a_probe():
    with tempfile.TemporaryDirectory() as folder:
        rows = token_rows()
        for row in rows:
            row["labels"] = ["\x1b[31mred" if label == "low" else label for label in row["labels"]]
        labels = write_lines(f"{folder}/rows.jsonl", rows)
        for width in (40, 60, 80, 200):
            done = run("probe", BERT, "--labels", labels, "--layers", "0,1,-1", "--scalar-mix", env={"COLUMNS": str(width)})
            lines = done.stdout.splitlines()
            assert all(columns(line) <= width for line in lines) and "\x1b" not in done.stdout, (width, done.stdout)
            assert sum("●" in line for line in lines) == 1 + 3 and "best: " in done.stdout
        assert all(word in done.stdout for word in ("accuracy", "selectivity", "bits/label", "weight", "○", "┊", "3 classes"))
        plain = run("probe", BERT, "--labels", labels, "--no-control", "--no-mdl").stdout
        assert "selectivity" not in plain and "○" not in plain and "bits" not in plain
        assert "\x1b[1m" in on_terminal(["probe", BERT, "--labels", labels], {"COLUMNS": "80"})


@test
def what_cannot_be_probed():
    with tempfile.TemporaryDirectory() as folder:
        rows = write_lines(f"{folder}/rows.jsonl", token_rows())
        ids = ids_file(folder, [{"ids": [1 + k, 2, 3]} for k in range(20)], "ids.jsonl")
        names = pathlib.Path(f"{folder}/names.txt")
        names.write_text("a\nb\n" * 10)
        one = pathlib.Path(f"{folder}/one.txt")
        one.write_text("a\n" * 20)
        few = pathlib.Path(f"{folder}/few.txt")
        few.write_text("a\nb\n")
        run("states", BERT, "-i", ids, "-o", f"{folder}/run", "--layers", "0,-1", "-q")
        run("states", BERT, "-i", ids, "-o", f"{folder}/pooled", "--layers", "0", "--pool", "mean", "-q")
        run("states", BERT, "-i", rows, "-o", f"{folder}/picked", "--layers", "0", "--positions", "0", "-q")
        run("states", BERT, "-i", ids, "-o", f"{folder}/probs", "--sites", "block.0.attn.probs", "-q")
        for words, status, part in [
                ((BERT,), 2, "--labels is missing"), ((), 2, "RUN|MODEL is missing"),
                ((BERT, "--labels", f"{folder}/no.txt"), 1, "no.txt"), ((BERT, "--labels", names, "--folds", "1"), 2, "--folds 1"),
                ((BERT, "--labels", rows, "--pool", "mean"), 2, "labels tokens"), ((BERT, "-i", ids, "--labels", one), 2, "one.txt"),
                ((BERT, "-i", ids, "--labels", few), 2, "few.txt"), ((BERT, "-i", ids, "--labels", names, "--pool", "none"), 2, "--pool none"),
                ((BERT, "-i", ids, "--labels", names, "--texts", ids), 2, "--texts: only for a run"),
                ((BERT, "-i", ids, "--labels", names, "--layers", "99"), 2, "99"),
                ((BERT, "-i", ids, "--labels", names, "--sites", "block.0.attn.probs"), 2, "cannot be pooled"),
                ((f"{folder}/run", "-i", ids, "--labels", names), 2, "is a run folder"),
                ((f"{folder}/run", "--labels", names, "--layers", "1"), 2, "embed, final"),
                ((f"{folder}/run", "--labels", names, "--sites", "nothing"), 2, "embed, final"),
                ((f"{folder}/pooled", "--labels", rows), 2, "one vector a row"),
                ((f"{folder}/pooled", "--labels", names, "--pool", "max"), 2, "was pooled"),
                ((f"{folder}/picked", "--labels", rows), 2, "which was not stored"),
                ((f"{folder}/probs", "--labels", names), 2, "no vectors at all"),
                ((f"{folder}/nothing", "--labels", names), 4, "nothing"),
                ((BERT, "--labels", rows, "--overwrite"), 2, "--html"), ((BERT, "--labels", rows, "--metric", "cosine"), 2, "accuracy, f1, r2"),
                ((GPT2, "-i", rows, "--labels", rows, "--label-key", "nothing"), 2, "no line has the key")]:
            error = run("probe", *words, expect=status).stderr
            assert part in error, (words, error)
        shard = pathlib.Path(f"{folder}/run/shard-00000.safetensors")
        shard.write_bytes(shard.read_bytes()[:-4])
        error = json.loads(run("probe", f"{folder}/run", "--labels", names, "--json", expect=6).stderr)
        assert error["code"] == "damage" and "shard-00000" in error["message"], error


@test
def parts_of_speech_of_the_demo_model():
    if not (DEMO / "config.json").exists():
        raise Skipped(f"no {DEMO}")
    found = probe(DEMO, "--labels", PROBING / "pos.jsonl", "--layers", "0,2,-1", "--no-mdl")
    scores = [layer["score"] for layer in found["layers"]]
    assert len(found["classes"]) == 17 and min(scores) > found["baseline"]["high"] + 0.2
    assert 0 < scores.index(max(scores)) < len(scores) - 1 and max(scores) > scores[-1] + 0.02, scores
    assert all(layer["selectivity"] > 0 for layer in found["layers"])
