"""diff, lens, probe and similarity: the objects of the command line, and what draws them."""

import json
import os
import pathlib
import pickle
import signal
import subprocess
import sys

import numpy as np
import pytest

import layerscope
from conftest import GOLDEN, ROOT, json_lines, layerscope_program

DECODER, TINY = str(GOLDEN / "gpt2-lm-v5"), str(GOLDEN / "bert-base-v5")
STORY = str(ROOT / "tests" / "data" / "alice" / "causal")  # a small model with a tokenizer
PLACES = ["river", "state", "money", "water", "house", "garden"]
TEXTS = [f"The {place} number {i} was {'seen' if i % 2 else 'never seen'}" for i in range(8) for place in PLACES]
LABELS = ["yes" if i % 2 or place == "money" else "no" for i in range(8) for place in PLACES]
GROUPS = [i for i in range(8) for _ in PLACES]


def printed(*words, status=0):
    (found,) = json_lines(layerscope_program(*words, "--json", status=status))
    return found


@pytest.fixture(scope="module")
def folder():
    return STORY


@pytest.fixture(scope="module")
def model(folder):
    return layerscope.open(folder)


@pytest.fixture(scope="module")
def texts(tmp_path_factory):
    """Texts with labels and groups as a file, and as the rows of a run."""
    file = tmp_path_factory.mktemp("labels") / "texts.jsonl"
    lines = [{"text": text, "label": label, "group": group} for text, label, group in zip(TEXTS, LABELS, GROUPS)]
    file.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return file


@pytest.fixture(scope="module")
def run(folder, texts):
    layerscope_program("states", folder, "-i", texts, "-o", texts.parent / "run", "--layers", "all", "-q")
    return layerscope.open_run(texts.parent / "run")


def write_rows(path, rows):
    path.write_text("".join(json.dumps({"ids": row}) + "\n" for row in rows))
    return path


# The numbers of the command.


def test_diff_is_that_of_the_command(folder, model, run, texts, tmp_path):
    two = ["I love cats", "You like dogs"]
    expected = printed("diff", folder, folder, *two, "--dtype-b", "bf16")
    assert expected["sites"][3]["rel_l2"] > 0
    assert layerscope.diff(model, folder, two, dtype_b="bf16").to_dict() == expected
    assert layerscope.diff(folder, folder, two, dtype_b="bf16", threads=1).to_dict() == expected
    steered = layerscope.diff(model, model, two, edits_b=[("block.1.out", "add", "all", 0.5)])
    assert steered.verdict == "differs" and steered.first.site == "block.1.out"
    flag = ("--edit-b", "block.1.out:add=0.5")
    assert steered.to_dict() == printed("diff", folder, folder, *two, *flag, status=6)
    assert layerscope.diff(run, model).to_dict() == printed("diff", run.folder, folder)
    assert layerscope.diff(run.folder, run).verdict == "same"


def test_diff_reads_dumps_that_we_write(tmp_path):
    ids = np.array([[5, 6, 7, 8], [9, 10, 0, 0]])
    mask = (ids > 0).astype(np.int64)
    model = layerscope.AutoModelForCausalLM.from_pretrained(DECODER)
    inputs = {"input_ids": ids, "attention_mask": mask}
    out = model(**inputs, output_hidden_states=True)
    for name in ("dump.npz", "dump.safetensors"):
        layerscope.dump_reference(tmp_path / name, inputs, out)
        report = layerscope.diff(model, tmp_path / name)
        assert report.verdict == "same" and report.tokens == 6 and report.sites[-1].site == "logits"
        assert max(site.rel_l2 for site in report.sites) == 0
    states = [np.array(state) for state in out.hidden_states]
    states[1] = states[1] * np.float32(1.5)
    layerscope.dump_reference(tmp_path / "off.npz", inputs, {"hidden_states": states})
    report = layerscope.diff(model, tmp_path / "off.npz")
    assert report.verdict == "differs" and report.first.hf_index == 1
    with pytest.raises(layerscope.UsageError, match="npz"):
        layerscope.dump_reference(tmp_path / "dump.json", inputs, out)
    with pytest.raises(layerscope.UsageError, match="output_hidden_states"):
        layerscope.dump_reference(tmp_path / "dump.npz", inputs, model(**inputs))


def test_lens_is_that_of_the_command(tmp_path):
    rows = [[5, 6, 7], [8, 9, 10, 11]]
    file = write_rows(tmp_path / "rows.jsonl", rows)
    model = layerscope.open(DECODER)
    for words, options in (
        ((), {}),
        (("--layers", "0,-1", "--positions", "-1", "--top-k", 2), {"layers": [0, -1], "positions": -1, "top_k": 2}),
        (("--edit", "block.0.out:scale=2"), {"edits": [("block.0.out", "scale", "all", 2)]}),
    ):
        expected = json_lines(layerscope_program("lens", DECODER, "-i", file, "--json", *words))
        assert [report.to_dict() for report in layerscope.lens(model, rows, **options)] == expected
        assert [report.to_dict() for report in layerscope.lens(DECODER, file, **options)] == expected
    one = layerscope.lens(DECODER, rows)[1]
    assert one.row == 1 and one.layers[-1].kl == (0, 0, 0, 0) and len(one.layers[0].top[0]) == 5
    with pytest.raises(layerscope.ModelError):
        layerscope.lens(TINY, "a")


def test_a_text_gives_one_report_and_rows_a_list():
    expected = json_lines(layerscope_program("lens", STORY, "Alice was", "the cat", "--json"))
    assert layerscope.lens(STORY, "Alice was").to_dict() == expected[0]
    assert [report.to_dict() for report in layerscope.lens(STORY, ["Alice was", "the cat"])] == expected


def test_probe_is_that_of_the_command(folder, model, run, texts):
    words = ("--labels", texts, "--folds", 3)
    few, options = ("--layers", "1,4", "--no-mdl"), {"layers": [1, 4], "mdl": False}
    expected = printed("probe", folder, *words, "--layers", 2)
    assert expected["layers"][0]["mdl_bits"] > 0 and expected["groups"] == 8
    assert layerscope.probe(model, LABELS, texts=TEXTS, groups=GROUPS, folds=3, layers=2).to_dict() == expected
    expected = printed("probe", folder, *words, *few)
    from_texts = layerscope.probe(model, LABELS, texts=TEXTS, groups=GROUPS, folds=3, **options)
    assert from_texts.to_dict() == expected
    lines = [json.loads(line) for line in texts.read_text().splitlines()]
    for labels in (str(texts), lines):
        assert layerscope.probe(folder, labels, folds=3, threads=1, **options).to_dict() == expected
    of_run = printed("probe", run.folder, *words, *few)
    assert layerscope.probe(run, LABELS, groups=GROUPS, folds=3, **options).to_dict() == of_run
    assert layerscope.probe(run.folder, texts, folds=3, **options).to_dict() == of_run
    vectors = model.states(TEXTS, layers=[1, 4], pool="mean")
    ours = layerscope.probe(vectors, LABELS, groups=GROUPS, folds=3, mdl=False)
    for layer, other in zip(ours.layers, of_run["layers"], strict=True):
        assert {**layer.to_dict(), "hf_index": other["hf_index"]} == other


def test_probe_takes_labels_of_words_tokens_and_nothing(folder, model, tmp_path):
    lines = [{"text": text, "words": text.split(), "labels": ["PLACE" if word in PLACES else "WORD" for word in text.split()]} for text in TEXTS[:12]]
    (tmp_path / "words.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    expected = printed("probe", folder, "--labels", tmp_path / "words.jsonl", "--layers", "0,2", "--align", "mean")
    found = layerscope.probe(model, lines, layers="0,2", align="mean")
    assert found.to_dict() == expected and found.samples > 12 and found.layers[0].selectivity is not None
    layerscope_program("states", folder, "-i", tmp_path / "words.jsonl", "-o", tmp_path / "run", "--layers", "0,2", "-q")
    of_run = layerscope.probe(tmp_path / "run", lines, texts=[line["text"] for line in lines], align="mean")
    assert [layer.score for layer in of_run.layers] == [layer.score for layer in found.layers]
    with pytest.raises(layerscope.UsageError, match="is not the input"):
        (tmp_path / "other.txt").write_text("a\n")
        layerscope.probe(tmp_path / "run", lines, texts=tmp_path / "other.txt")
    numbers = np.arange(12, dtype=np.float64)
    numbers[3] = np.nan
    regression = layerscope.probe(np.random.default_rng(0).normal(size=(2, 12, 3)), numbers, task="regress")
    assert regression.metric == "r2" and regression.samples == 11 and [one.hf_index for one in regression.layers] == [0, 1]


def test_similarity_is_that_of_the_command(folder, model, run, texts):
    expected = printed("similarity", folder, "-i", texts, "--pool", "mean")
    assert layerscope.similarity(folder, texts=texts, pool="mean").to_dict() == expected
    of_run = printed("similarity", run.folder)
    found = layerscope.similarity(run)
    assert found.to_dict() == of_run and found.cka.shape == (len(run.sites), len(run.sites)) and np.all(np.diag(found.cka) > 0.999)
    with pytest.raises(ValueError):
        found.cka[0, 0] = 0
    vectors = np.stack([run[site].to_numpy() for site in run.sites])
    assert np.allclose(layerscope.similarity(vectors).cka, found.cka, rtol=1e-12)  # its blocks are others
    pair = layerscope.similarity(vectors, {site: run[site].to_numpy() for site in run.sites[:2]})
    assert pair.cka[0, len(run.sites)] == pytest.approx(1) and pair.to_dict()["b"] == "vectors"
    both = layerscope.similarity(model, folder, TEXTS[:6], vectors=20, seed=3)
    assert both.vectors == 20 and both.layers[0].cosine_other == pytest.approx(1)


# What is wrong.


@pytest.mark.parametrize(
    "call, kind, what",
    [
        (lambda m, r: layerscope.diff(m, "no/such"), layerscope.ModelError, "no/such"),
        (lambda m, r: layerscope.diff(m, m), layerscope.UsageError, "rows|text"),
        (lambda m, r: layerscope.diff(m, m, []), layerscope.InputError, "none"),
        (lambda m, r: layerscope.diff(m, r, edits_b=[("final", "add", "all", 1)]), layerscope.UsageError, "only the stream"),
        (lambda m, r: layerscope.diff(m, 3), layerscope.UsageError, "int"),
        (lambda m, r: layerscope.lens(DECODER, [[5]], layers="77"), layerscope.UsageError, "77"),
        (lambda m, r: layerscope.lens(DECODER, [[5], [99999]]), layerscope.InputError, "texts:2"),
        (lambda m, r: layerscope.lens(DECODER, [[5]], top_k=0), layerscope.UsageError, "top_k"),
        (lambda m, r: layerscope.probe(np.zeros((3, 2)), ["a", "b"], groups=[1]), layerscope.UsageError, "groups"),
        (lambda m, r: layerscope.probe(np.zeros((3, 2)), ["a", "a", "a"]), layerscope.UsageError, "labels"),
        (lambda m, r: layerscope.probe(np.zeros((3, 2)), [["a"], ["b"], ["a"]]), layerscope.UsageError, "one label each"),
        (lambda m, r: layerscope.probe({"a": np.zeros((3, 2)), "b": np.zeros((4, 2))}, ["a"]), layerscope.UsageError, "b has 4"),
        (lambda m, r: layerscope.probe(np.zeros((3, 2)), "a", layers="1"), layerscope.UsageError, "layers"),
        (lambda m, r: layerscope.probe(m, ["a", "b"], texts=["x", "y"], metric="auc"), layerscope.UsageError, "auc"),
        (lambda m, r: layerscope.probe(r, LABELS, pool="most"), layerscope.UsageError, "most"),
        (lambda m, r: layerscope.probe(r, LABELS, folds=1), layerscope.UsageError, "folds"),
        (lambda m, r: layerscope.similarity(m), layerscope.UsageError, "texts"),
        (lambda m, r: layerscope.similarity(r, texts=["a"]), layerscope.UsageError, "hold their rows"),
        (lambda m, r: layerscope.similarity(np.zeros((2, 3, 4, 5))), layerscope.UsageError, "samples, width"),
        (lambda m, r: layerscope.similarity(np.full((9, 2), np.nan)), layerscope.Error, "NaN"),
    ],
)  # fmt: skip
def test_what_makes_no_sense_is_an_exception(model, run, call, kind, what):
    with pytest.raises(kind, match=what) as caught:
        call(model, run)
    assert "\n" not in str(caught.value)


# The objects.


@pytest.fixture(scope="module")
def reports(model, run):
    return [
        layerscope.diff(model, model, ["a"]),
        layerscope.lens(DECODER, [[5, 6]])[0],
        layerscope.probe(run, LABELS, layers=1),
        layerscope.similarity(run),
    ]


def test_reports_draw_what_the_command_draws(model, reports, run, folder, monkeypatch, tmp_path):
    monkeypatch.setenv("COLUMNS", "100")
    drawn = [
        layerscope_program("diff", folder, folder, "a"),
        None,
        layerscope_program("probe", run.folder, "--labels", pathlib.Path(run.folder).parent / "texts.jsonl", "--layers", 1),
        layerscope_program("similarity", run.folder),
    ]
    assert repr(reports[0]) == drawn[0].rstrip("\n") and repr(reports[3]) == drawn[3].rstrip("\n")
    assert repr(reports[2]).splitlines()[0] == drawn[2].splitlines()[0] == run.folder
    assert repr(reports[1]).splitlines()[0] == "row 0" and "final" in repr(reports[1])
    layerscope_program("similarity", run.folder, "--html", tmp_path / "page.html", "-q")
    assert reports[3].to_html() == (tmp_path / "page.html").read_text()


def test_notebooks_show_the_page_in_a_frame_of_its_own(reports):
    import html.parser

    for report in reports:
        frames = []
        parser = html.parser.HTMLParser()
        parser.handle_starttag = lambda tag, attributes: frames.append((tag, dict(attributes)))
        parser.feed(report._repr_html_())
        ((tag, attributes),) = frames  # nothing of the page is an element of the notebook
        assert tag == "iframe" and attributes["sandbox"] == "allow-scripts" and attributes["srcdoc"] == report.to_html()


def test_reports_are_frozen_and_can_be_kept(reports):
    for report in reports:
        with pytest.raises(AttributeError):
            report.sites = ()
        with pytest.raises(AttributeError, match="there are"):
            report.nothing
        again = pickle.loads(pickle.dumps(report))
        assert again == report and hash(again) == hash(report) and again.to_dict() == report.to_dict()
        assert again.to_html() == report.to_html() and type(again) is type(report)
        assert set(report.to_dict()) <= set(dir(report))
        json.dumps(report.to_dict(), allow_nan=False)
    with pytest.raises(AttributeError):
        reports[0].sites[0].rel_l2 = 3
    assert repr(reports[0].sites[0]).startswith("Record(site='embed', hf_index=0, ")


def test_reports_outlive_their_model(folder):
    report = layerscope.lens(layerscope.open(DECODER), [[5, 6]])[0]
    assert "final" in repr(report) and "</html>" in report.to_html()


def test_control_c_ends_a_question(folder):
    program = f"""
import os, signal, threading, layerscope
signal.signal(signal.SIGINT, signal.default_int_handler)
model = layerscope.open({folder!r}, threads=1)
def texts():
    return [[208] * 200] * 40000
for ask in (lambda: layerscope.similarity(model, texts=texts()), lambda: layerscope.probe(model, ["a", "b"] * 20000, texts=texts()),
            lambda: layerscope.lens({DECODER!r}, [[5] * 30] * 100000)):
    threading.Timer(0.7, os.kill, (os.getpid(), signal.SIGINT)).start()
    try:
        ask()
    except KeyboardInterrupt:
        print("stopped")
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=300, env=os.environ)
    assert done.stdout == "stopped\n" * 3, done.stderr
