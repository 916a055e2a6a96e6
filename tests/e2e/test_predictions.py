"""`logits` and `lens`: against transformers, against each other, stored, trained, drawn."""
import html.parser
import json
import math
import pathlib
import shutil
import struct
import tempfile

from harness import BERT, GOLDEN, ROOT, columns, f32, floats, ids_file, objects, read_shard, run, test

CAUSAL = str(ROOT / "tests/data/alice/causal")
MASKED = str(ROOT / "tests/data/alice/masked")
CASES = json.loads((ROOT / "tests/data/lens/cases.json").read_text())
CORPUS = (ROOT / "demo/corpus.txt").read_text(encoding="utf-8").splitlines()
HELD_OUT = CORPUS[len(CORPUS) * 9 // 10:]  # that the models have not read


def near(a, b, tolerance=1e-5):
    """Within the tolerance, relative to numbers above it."""
    return abs(a - b) <= tolerance * max(abs(b), 1e-2)


def all_near(left, right):
    return len(left) == len(right) and all(map(near, left, right))


def ints(entry, letter):
    return list(struct.unpack(f"<{len(entry[2]) // struct.calcsize(letter)}{letter}", entry[2]))


@test
def lens_is_what_transformers_computes():
    for case in CASES:
        printed = run("lens", GOLDEN / case["model"], "-i", "-", "--input-format", "jsonl", "--json", "--top-k", "3",
                      stdin=json.dumps(case["row"])).stdout
        (row,) = objects(printed)
        assert [layer["hf_index"] for layer in row["layers"]] == list(range(len(case["layers"])))
        for layer, wanted in zip(row["layers"], case["layers"]):
            where = (case["model"], layer["site"])
            assert [[best["id"] for best in top] for top in layer["top"]] == wanted["top"], where
            assert all(all_near([best["p"] for best in top], p) for top, p in zip(layer["top"], wanted["p"])), where
            assert layer["rank"] == wanted["rank"], where
            for key in ("entropy", "kl", "answer_p"):
                assert all_near(layer[key], wanted[key]), (where, key, layer[key], wanted[key])
        assert row["layers"][-1]["kl"] == [0] * len(row["answers"]) == row["layers"][-1]["rank"]
        assert row["answers"] == [top[0]["id"] for top in row["layers"][-1]["top"]]


@test
def logits_are_what_transformers_computes():
    for case in CASES:
        words = ("logits", GOLDEN / case["model"], "-i", "-", "--input-format", "jsonl", "--json", "--top-k", "3")
        (row,) = objects(run(*words, stdin=json.dumps(case["row"])).stdout)
        last = case["layers"][-1]
        assert [[best["id"] for best in top] for top in row["top"]] == last["top"], case["model"]
        assert all(all_near([best["p"] for best in top], p) for top, p in zip(row["top"], last["p"])), case["model"]
        assert all_near(row["entropy"], last["entropy"]), case["model"]
        if case["next"] is None:
            assert set(row["next"]) == {None} and row["perplexity"] is None
            continue
        assert row["next"][-1] is None and [next["rank"] for next in row["next"][:-1]] == case["next"]["rank"]
        logs = case["next"]["logprob"]
        assert all_near([next["logprob"] for next in row["next"][:-1]], logs), case["model"]
        assert near(row["perplexity"], math.exp(-sum(logs) / len(logs)))


@test
def predictions_do_not_depend_on_company_or_threads():
    texts = [CORPUS[0], "Alice", CORPUS[1], "", CORPUS[2]]
    for command in ("logits", "lens"):
        together = run(command, CAUSAL, *texts, "--json", "--threads", "3").stdout.splitlines()
        assert together == run(command, CAUSAL, *texts, "--json", "--threads", "1").stdout.splitlines()
        for text, line in zip(texts, together):
            alone = json.loads(run(command, CAUSAL, text, "--json").stdout)
            assert {**json.loads(line), "row": 0} == alone, (command, text)


@test
def positions_and_layers_are_picked_out_of_the_whole():
    text = "Alice was not a bit hurt"
    (whole,) = objects(run("lens", CAUSAL, text, "--json").stdout)
    (part,) = objects(run("lens", CAUSAL, text, "--json", "--positions", "1,-1", "--layers", "0,2").stdout)
    last = len(whole["input_ids"]) - 1
    assert part["positions"] == [1, last] and [layer["hf_index"] for layer in part["layers"]] == [0, 2]
    for layer in part["layers"]:
        for key in ("top", "entropy", "kl", "rank", "answer_p"):
            assert layer[key] == [whole["layers"][layer["hf_index"]][key][at] for at in (1, last)]
    (scores,) = objects(run("logits", CAUSAL, text, "--json").stdout)
    (one,) = objects(run("logits", CAUSAL, text, "--json", "--positions", "2").stdout)
    assert one["positions"] == [2] and one["next"] == [scores["next"][2]] and one["top"] == [scores["top"][2]]
    assert scores["next"][2]["id"] == scores["input_ids"][3]
    run("lens", GOLDEN / "t5-base-v5", "-i", "-", "--input-format", "jsonl", "--layers", "enc:0", stdin='{"ids":[5]}', expect=2)


@test
def stored_scores_are_the_printed_ones():
    with tempfile.TemporaryDirectory() as folder:
        texts = [CORPUS[0], "Alice was", "The Cat"]
        rows = ids_file(folder, [{"text": text, "id": k} for k, text in enumerate(texts)])
        printed = objects(run("logits", CAUSAL, "-i", rows, "--json", "--top-k", "400").stdout)
        run("logits", CAUSAL, "-i", rows, "-o", f"{folder}/full", "-q")
        run("logits", CAUSAL, "-i", rows, "-o", f"{folder}/best", "--top-k", "3", "-q")
        run("logits", CAUSAL, "-i", rows, "-o", f"{folder}/part", "--top-k", "3", "--positions", "last", "-q", "--threads", "1")
        for name in ("full", "best", "part"):
            run("verify", f"{folder}/{name}")
        full, best, part = (read_shard(f"{folder}/{name}/shard-00000.safetensors") for name in ("full", "best", "part"))
        shape, scores = floats(full["logits"])
        tokens = sum(len(row["input_ids"]) for row in printed)
        assert shape == [tokens, len(printed[0]["top"][0])]
        positions = [position for row in printed for position in row["top"]]
        for at, top in enumerate(positions):
            assert [f32(best["logit"]) for best in top] == [scores[at * shape[1] + best["id"]] for best in top]
        assert best["logits.top_ids"][:2] == ("I32", [tokens, 3])
        assert ints(best["logits.top_ids"], "i") == [best["id"] for top in positions for best in top[:3]]
        assert floats(best["logits.top_values"])[1] == [f32(best["logit"]) for top in positions for best in top[:3]]
        log_sum = floats(best["logits.log_sum"])[1]
        assert all(near(math.exp(top[0]["logit"] - log_sum[at]), top[0]["p"]) for at, top in enumerate(positions))
        assert len(floats(best["logits.entropy"])[1]) == tokens
        ends = ints(best["offsets"], "q")[1:]
        ids = ints(best["logits.top_ids"], "i")
        assert ints(part["logits.top_ids"], "i") == [id for end in ends for id in ids[3 * end - 3:3 * end]]
        assert "logits.top" in run("logits", CAUSAL, "-i", rows, "-o", f"{folder}/best", "--top-k", "4", expect=2).stderr


@test
def scores_in_the_terminal():
    out = run("logits", CAUSAL, "Alice was not a bit hurt", CORPUS[0]).stdout
    assert "perplexity of all 2 rows" in out and "more positions" in out and max(map(columns, out.splitlines())) <= 80
    assert "more positions" not in run("logits", CAUSAL, CORPUS[0], "--all").stdout
    masked = run("logits", MASKED, "Alice was not a [MASK] hurt").stdout
    lines = [line for line in masked.splitlines() if "[MASK]" in line and not line.startswith("“")]
    assert len(lines) == 1 and "perplexity" not in masked and "5 more positions" in masked, masked
    assert len(run("logits", MASKED, "Alice was not hurt").stdout.splitlines()) >= 6


@test
def lens_in_the_terminal():
    text = "Alice was not a bit hurt, and she jumped up on to her feet"
    for width in ("40", "80", "200"):
        lines = run("lens", CAUSAL, text, env={"COLUMNS": width}).stdout.splitlines()
        assert max(map(columns, lines)) <= int(width) and any(line.startswith("final    0.00") for line in lines)
    colored = run("lens", CAUSAL, text, "--color", env={"COLORTERM": "truecolor"}).stdout
    assert "\x1b[48;2;" in colored and "▁" not in colored
    assert "left out" in run("lens", CAUSAL, CORPUS[0]).stdout and "left out" not in run("lens", CAUSAL, CORPUS[0], "--all").stdout
    assert "final" not in run("lens", CAUSAL, text, "--layers", "0,1").stdout


class Page(html.parser.HTMLParser):
    def __init__(self):
        super().__init__()
        self.tags, self.text = [], ""

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))

    def handle_data(self, data):
        self.text += data


@test
def lens_page_is_whole_and_harmless():
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder, "lens.html")
        run("lens", CAUSAL, '<script>alert("x")</script> & "Alice"', "Alice was", "--html", path)
        page = Page()
        page.feed(path.read_text(encoding="utf-8"))
        names = {tag for tag, _ in page.tags}
        assert not names & {"script", "link", "img", "iframe", "object"}, names
        assert not any(key.startswith("on") or key in ("href", "src") for _, attributes in page.tags for key in attributes)
        assert '<script>alert("x")</script> & "Alice"' in page.text and "answer" in page.text
        cells = sum(1 for tag, attributes in page.tags if tag == "td" and "style" in attributes)
        rows = objects(run("lens", CAUSAL, '<script>alert("x")</script> & "Alice"', "Alice was", "--json").stdout)
        assert cells == sum(len(row["layers"]) * len(row["input_ids"]) for row in rows)
        assert list(pathlib.Path(folder).iterdir()) == [path]
        run("lens", CAUSAL, "Alice", "--html", path, expect=2)
        run("lens", CAUSAL, "Alice", "--html", path, "--overwrite")
        run("lens", CAUSAL, "Alice", "--html", f"{folder}/nowhere/x.html", expect=1)


def mean_kl(texts, *words):
    """By layer, over all positions of all texts."""
    rows = objects(run("lens", CAUSAL, *texts, "--json", *words).stdout)
    count = sum(len(row["answers"]) for row in rows)
    return [sum(sum(row["layers"][k]["kl"]) for row in rows) / count for k in range(len(rows[0]["layers"]))]


@test
def a_trained_lens_is_nearer_on_rows_it_has_not_seen():
    with tempfile.TemporaryDirectory() as folder:
        train = pathlib.Path(folder, "train.txt")
        train.write_text("\n".join(CORPUS[:len(CORPUS) * 9 // 10]), encoding="utf-8")
        (told,) = objects(run("lens", CAUSAL, "--train", "-i", train, "-o", f"{folder}/a.lens", "--json", "--threads", "3").stdout)
        assert told["rows"] == len(CORPUS) * 9 // 10 and all(layer["after"] < layer["before"] for layer in told["layers"])
        plain, tuned = mean_kl(HELD_OUT), mean_kl(HELD_OUT, "--lens", f"{folder}/a.lens")
        assert plain[-1] == tuned[-1] == 0
        assert all(after < 0.8 * before for before, after in zip(plain[:-1], tuned[:-1])), (plain, tuned)
        run("states", CAUSAL, "-i", train, "-o", f"{folder}/run", "--sites", "embed,block.*.out", "-q")
        run("lens", CAUSAL, "--train", f"{folder}/run", "-o", f"{folder}/b.lens", "--threads", "1", "-q")
        assert pathlib.Path(f"{folder}/a.lens").read_bytes() == pathlib.Path(f"{folder}/b.lens").read_bytes()
        tensors = read_shard(f"{folder}/a.lens")
        assert len(tensors) == 2 * 4 + 1 and tensors["block.0.out.weight"][:2] == ("F32", [32, 32])
        assert "--overwrite" in run("lens", CAUSAL, "--train", "-i", train, "-o", f"{folder}/a.lens", expect=2).stderr
        run("lens", CAUSAL, "--train", "-i", train, "-o", f"{folder}/a.lens", "--overwrite", "-q")


@test
def a_lens_is_refused_for_another_model():
    with tempfile.TemporaryDirectory() as folder:
        run("lens", CAUSAL, "--train", "-i", ROOT / "demo/corpus.txt", "-o", f"{folder}/a.lens", "-q")
        assert "another model" in run("lens", GOLDEN / "llama-lm-v5", "-i", "-", "--input-format", "jsonl", "--lens", f"{folder}/a.lens",
                                      stdin='{"ids":[3]}', expect=2).stderr
        copy = pathlib.Path(folder, "copy")
        shutil.copytree(CAUSAL, copy)
        run("lens", copy, "Alice", "--lens", f"{folder}/a.lens")
        weights = bytearray((copy / "model.safetensors").read_bytes())
        weights[-2] ^= 1
        (copy / "model.safetensors").write_bytes(weights)
        assert "another model" in run("lens", copy, "Alice", "--lens", f"{folder}/a.lens", expect=2).stderr
        damaged = pathlib.Path(f"{folder}/a.lens").read_bytes()[:-3]
        pathlib.Path(folder, "cut.lens").write_bytes(damaged)
        run("lens", CAUSAL, "Alice", "--lens", f"{folder}/cut.lens", expect=4)
        run("lens", CAUSAL, "Alice", "--lens", f"{CAUSAL}/model.safetensors", expect=4)
        run("states", CAUSAL, "Alice", "-o", f"{folder}/layers", "-q")
        assert "block.3.out" in run("lens", CAUSAL, "--train", f"{folder}/layers", "-o", f"{folder}/b.lens", expect=2).stderr
        run("states", copy, "Alice", "-o", f"{folder}/others", "--sites", "embed,block.*.out", "-q")
        assert "another model" in run("lens", CAUSAL, "--train", f"{folder}/others", "-o", f"{folder}/b.lens", expect=2).stderr
        assert not pathlib.Path(folder, "b.lens").exists()


def labels_of(folder, rows, *more):
    return objects(run("logits", GOLDEN / folder, "-i", "-", "--input-format", "jsonl", "--json", *more,
                       stdin="".join(json.dumps(row) + "\n" for row in rows)).stdout)


def is_softmax(labels):
    """Whether the probabilities of these labels are the softmax of their scores."""
    powers = [math.exp(label["logit"]) for label in labels]
    return all_near([label["p"] for label in labels], [power / sum(powers) for power in powers])


@test
def a_row_has_a_score_for_every_label():
    rows = [{"ids": [3, 4, 5], "id": "first"}, {"ids": [7, 8, 9, 10]}]
    for folder in ("bert-labels-v4", "distilbert-labels-v5", "gpt2-labels-v4", "opt-labels-v4"):
        config = json.loads((GOLDEN / folder / "config.json").read_text())
        names = config.get("id2label", {"0": "LABEL_0", "1": "LABEL_1"})
        made = labels_of(folder, rows)
        assert [list(row) for row in made] == [["row", "id", "labels"]] * 2
        assert [(row["row"], row["id"]) for row in made] == [(0, "first"), (1, None)]
        for row in made:
            assert [label["label"] for label in row["labels"]] == [names[str(k)] for k in range(len(names))]
            assert all(set(label) == {"label", "logit", "p"} for label in row["labels"])
            assert abs(sum(label["p"] for label in row["labels"]) - 1) < 1e-5 and is_softmax(row["labels"]), folder
        assert made[0]["labels"] != made[1]["labels"]
        assert labels_of(folder, rows, "--threads", "1") == made
        assert {**made[1], "row": 0} == labels_of(folder, rows[1:])[0]


@test
def labels_of_tokens_numbers_and_several_at_once():
    (row,) = labels_of("bert-tokens-v5", [{"ids": [3, 4, 5]}])
    assert list(row) == ["row", "id", "input_ids", "labels"] and row["input_ids"] == [3, 4, 5]
    assert len(row["labels"]) == 3 and all(is_softmax(labels) for labels in row["labels"])
    (row,) = labels_of("albert-labels-v5", [{"ids": [3, 4, 5]}])
    assert [label["p"] for label in row["labels"]] == [None]
    (row,) = labels_of("nomic_bert-labels-v5", [{"ids": [3, 4, 5]}])
    sigmoids = [1 / (1 + math.exp(-label["logit"])) for label in row["labels"]]
    assert all_near([label["p"] for label in row["labels"]], sigmoids) and not is_softmax(row["labels"])


@test
def labels_are_drawn_and_not_stored():
    with tempfile.TemporaryDirectory() as folder:
        rows = ids_file(folder, [{"ids": [3, 4, 5]}])
        picture = run("logits", GOLDEN / "bert-labels-v4", "-i", rows).stdout
        (row,) = labels_of("bert-labels-v4", [{"ids": [3, 4, 5]}])
        best = sorted(row["labels"], key=lambda label: -label["logit"])
        found = [picture.find(f"{100 * label['p']:.1f} %") for label in best]
        assert -1 not in found and found == sorted(found), picture
        error = run("logits", GOLDEN / "bert-labels-v4", "-i", rows, "-o", f"{folder}/run", expect=2).stderr
        assert "--json" in error and not pathlib.Path(folder, "run").exists(), error


@test
def a_model_without_a_head_says_so():
    with tempfile.TemporaryDirectory() as folder:
        rows = ids_file(folder, [{"ids": [1, 2]}])
        for words in (("logits",), ("lens",), ("logits", "-o", f"{folder}/run"), ("logits", "-o", f"{folder}/run", "--top-k", "2")):
            error = run(words[0], BERT, "-i", rows, *words[1:], expect=4).stderr
            assert "head" in error, error
        assert not pathlib.Path(folder, "run").exists()


@test
def wrong_usage_of_predictions():
    for words in (("logits", CAUSAL), ("logits", CAUSAL, "a", "--top-k", "0"), ("logits", CAUSAL, "a", "--save-dtype", "f16"),
                  ("logits", CAUSAL, "a", "-o", "x", "--top-k", "2", "--save-dtype", "f16"), ("logits", CAUSAL, "a", "--overwrite"),
                  ("lens", CAUSAL, "a", "-o", "x"), ("lens", CAUSAL, "--train", "-o", "x"), ("lens", CAUSAL, "--train", "run"),
                  ("lens", CAUSAL, "--train", "run", "-o", "x", "--lens", "y"), ("lens", CAUSAL, "a", "--html", "x", "--json"),
                  ("lens", CAUSAL, "a", "--layers", "9"), ("lens", CAUSAL, "--train", "a", "b", "-o", "x")):
        run(*words, expect=2)
