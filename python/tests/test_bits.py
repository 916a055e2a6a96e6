"""The bits of the command line, from every way in."""

import json

import numpy as np
import pytest

import layerscope
from conftest import TEXTS, json_lines, layerscope_program


@pytest.fixture(scope="module")
def run(folder, tmp_path_factory):
    """A run folder of all layers, of several shards, with ids."""
    work = tmp_path_factory.mktemp("run")
    lines = [json.dumps({"text": text, "id": f"row {i}"}) for i, text in enumerate(TEXTS)]
    (work / "texts.jsonl").write_text("\n".join([*lines[:2], "", *lines[2:]]) + "\n")
    layerscope_program(
        "states", folder, "-i", work / "texts.jsonl", "-o", work / "run", "--layers", "all", "--shard-size", "200kB", "-q"
    )
    return layerscope.open_run(work / "run")


@pytest.mark.parametrize("threads", [1, 2, 8])
def test_forward_has_the_bits_of_a_run(folder, tokenizer, run, threads):
    model = layerscope.AutoModel.from_pretrained(folder, threads=threads)
    inputs = tokenizer(TEXTS, padding=True, return_tensors="np")
    out = model(**inputs, output_hidden_states=True)
    for place, mask in enumerate(inputs["attention_mask"]):
        for state, site in zip(out.hidden_states, run.sites, strict=True):
            assert np.array_equal(state[place][mask == 1], run[site][place])


def test_states_have_the_bits_of_a_run(folder, run):
    states = layerscope.open(folder).states(TEXTS)
    assert list(states) == run.sites
    for site in run.sites:
        assert np.array_equal(states[site].values, run[site].to_numpy())
        assert np.array_equal(states[site].offsets, run[site].ragged().offsets)


def test_vectors_have_the_bits_of_embed(folder, tmp_path):
    layerscope_program("embed", folder, *TEXTS, "-o", tmp_path / "vectors.npy", "-q")
    model = layerscope.SentenceTransformer(folder)
    assert np.array_equal(model.encode(TEXTS), np.load(tmp_path / "vectors.npy"))
    layerscope_program("embed", folder, *TEXTS, "-o", tmp_path / "cut.npy", "--truncate-dim", "64", "--prompt", "query: ", "-q")
    assert np.array_equal(model.encode(TEXTS, prompt="query: ", truncate_dim=64), np.load(tmp_path / "cut.npy"))


def test_tokens_are_those_of_tokenize(folder, tokenizer):
    rows = json_lines(layerscope_program("tokenize", folder, *TEXTS, "--json"))
    encoded = tokenizer(TEXTS, return_offsets_mapping=True, return_special_tokens_mask=True)
    for i, row in enumerate(rows):
        assert encoded["input_ids"][i] == row["ids"]
        assert encoded["special_tokens_mask"][i] == row["special"]
        assert encoded.tokens(i) == row["tokens"]
        assert [list(span) for span in encoded["offset_mapping"][i]] == [span or [0, 0] for span in row["offsets"]]


def test_rows_of_a_run(run):
    assert len(run) == len(TEXTS) and run.complete and len(run.shards) > 1
    assert run.numbers.tolist() == [0, 1, 3, 4, 5]
    assert run.ids == [f"row {i}" for i in range(len(TEXTS))]
    row = run.row(3)
    assert row.id == "row 2" and row.number == 3
    assert np.array_equal(row["final"], run.row(id="row 2")["final"])
    assert row["final"].shape == (len(row.input_ids), 384)
    assert [each.number for each in run] == run.numbers.tolist()
    assert sum(len(block) for block in run["final"].blocks()) == len(run["final"].to_numpy())
    for wrong in (lambda: run.row(2), lambda: run.row(id="row 9"), lambda: run["block.9.out"], lambda: run.row()):
        with pytest.raises(layerscope.UsageError):
            wrong()


def test_arrays_of_a_run_lie_in_its_files(run):
    base = run["final"][0]
    while getattr(base, "base", None) is not None and not isinstance(base, np.memmap):
        base = base.base
    assert isinstance(base, np.memmap)
    with pytest.raises(ValueError):
        run["final"][0][0, 0] = 1


@pytest.mark.parametrize("flags, tolerance", [(["--save-dtype", "bf16"], 2**-8), (["--save-dtype", "f16"], 2**-11)])
def test_narrow_runs(folder, tmp_path, flags, tolerance):
    layerscope_program("states", folder, TEXTS[0], "-o", tmp_path / "run", "--layers", "-1", "-q", *flags)
    wide = layerscope.open(folder).states(TEXTS[:1], layers=-1)["final"][0]
    stored = layerscope.open_run(tmp_path / "run")["final"][0]
    assert np.allclose(stored.astype(np.float32), wide, rtol=tolerance, atol=1e-6)


def test_runs_of_vectors_picks_and_probabilities(folder, tmp_path):
    model = layerscope.open(folder)
    layerscope_program("states", folder, *TEXTS, "-o", tmp_path / "pooled", "--pool", "mean", "--layers", "3,6", "-q")
    pooled = layerscope.open_run(tmp_path / "pooled")
    expected = model.states(TEXTS, layers="3,6", pool="mean")
    for site in pooled.sites:
        assert pooled[site].pooled and np.array_equal(pooled[site].to_numpy(), expected[site])
    layerscope_program("states", folder, *TEXTS, "-o", tmp_path / "picks", "--positions", "0,-1", "--layers", "6", "-q")
    picks = layerscope.open_run(tmp_path / "picks")
    expected = model.states(TEXTS, layers=6, positions=[0, -1])
    assert all(np.array_equal(picks["final"][i], expected["final"][i]) for i in range(len(TEXTS)))
    layerscope_program("states", folder, *TEXTS, "-o", tmp_path / "probs", "--sites", "block.2.attn.probs", "-q")
    probabilities = layerscope.open_run(tmp_path / "probs")["block.2.attn.probs"]
    expected = model.states(TEXTS, sites="block.2.attn.probs")["block.2.attn.probs"]
    assert all(np.array_equal(probabilities[i], expected[i]) for i in range(len(TEXTS)))


def test_what_is_no_run(tmp_path):
    with pytest.raises(layerscope.Error, match=str(tmp_path)):
        layerscope.open_run(tmp_path)
