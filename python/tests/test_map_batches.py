"""Columns in, columns out: what Ray Data and Spark call."""

import pickle

import numpy as np
import pytest
from conftest import GOLDEN, TEXTS

import layerscope
from layerscope import BatchStates, BatchVectors

BERT = GOLDEN / "bert-base-v5"
SHORT = TEXTS[:3]


def test_dicts_of_columns(folder):
    model = layerscope.open(folder)
    batch = {"text": np.array(SHORT, object), "n": np.arange(3)}
    pooled = BatchStates(folder, layers="0,-1", pool="mean")(batch)
    assert set(pooled) == {"text", "n", "embed", "final"} and pooled["n"] is batch["n"]
    assert np.array_equal(pooled["final"], model.states(SHORT, layers="0,-1", pool="mean")["final"])
    whole = BatchStates(folder, layers="-1")(batch)
    expected = model.states(SHORT, layers="-1")
    assert [ids.tolist() for ids in whole["input_ids"]] == [ids.tolist() for ids in expected.ids]
    assert whole["final"].dtype == object and all(np.array_equal(a, b) for a, b in zip(whole["final"], expected["final"]))
    pairs = BatchStates(folder, text="a", pair="b", pool="cls")({"a": SHORT, "b": SHORT[::-1]})
    assert np.array_equal(pairs["final"], model.states(list(zip(SHORT, SHORT[::-1])), pool="cls")["final"])
    ids = BatchStates(BERT, ids="tokens", pool="mean")({"tokens": [np.array([3, 4, 5]), np.array([6])]})
    assert np.array_equal(ids["final"], layerscope.open(BERT).states([[3, 4, 5], [6]], pool="mean")["final"])


def test_vectors(folder):
    vectors = BatchVectors(folder, text="body")({"body": SHORT})
    assert np.array_equal(vectors["embedding"], layerscope.SentenceTransformer(folder).encode(SHORT))
    assert BatchVectors(folder, truncate_dim=8)({"text": []})["embedding"].shape == (0, 8)
    assert BatchStates(folder, pool="mean")({"text": []})["final"].shape == (0, 384)
    assert len(BatchStates(folder)({"text": []})["final"]) == 0


def test_the_model_is_opened_once_and_never_sent(folder, monkeypatch):
    from layerscope import map_batches

    opened = []
    true_open = map_batches.open_model
    monkeypatch.setattr(map_batches, "open_model", lambda *a, **k: opened.append(a) or true_open(*a, **k))
    monkeypatch.setattr(map_batches, "_opened", {})
    states = BatchStates(folder, layers="-1", pool="mean")
    assert len(pickle.dumps(states)) < 1000 and not opened
    copies = [pickle.loads(pickle.dumps(states)) for _ in range(3)]
    first = [copy({"text": SHORT})["final"] for copy in copies]
    assert len(opened) == 1 and np.array_equal(first[0], first[2])


def test_what_does_not_fit_is_refused(folder):
    states = BatchStates(folder, pool="mean")
    for batch, message in (({"body": SHORT}, "no column 'text'"), ({"text": [3]}, "expected texts"), (7, "not int"),
                           ({"text": SHORT, "final": SHORT}, "'final' already")):
        with pytest.raises(layerscope.UsageError, match=message):
            states(batch)


def test_batches_of_arrow(folder):
    arrow = pytest.importorskip("pyarrow")
    model = layerscope.open(folder)
    table = arrow.table({"text": SHORT, "n": [1, 2, 3]})
    pooled = BatchStates(folder, layers="-1", pool="mean")(table)
    assert pooled.schema.names == ["text", "n", "final"] and pooled.schema.field("final").type == arrow.list_(arrow.float32(), 384)
    expected = model.states(SHORT, layers="-1", pool="mean")["final"]
    assert np.array_equal(np.array(pooled["final"].to_pylist(), np.float32), expected)
    (record,) = table.to_batches()
    whole = BatchStates(folder, layers="-1")(record)
    assert isinstance(whole, arrow.RecordBatch)
    assert whole.column(2).to_pylist() == [row.tolist() for row in model.states(SHORT, layers="-1")["final"]]
    plain = list(BatchStates(folder, layers="-1", pool="mean").in_arrow(iter([record, record.slice(0, 0), record.slice(1)])))
    assert [len(batch) for batch in plain] == [3, 0, 2] and plain[0].schema.field("final").type == arrow.list_(arrow.float32())
    assert plain[2].column(2).to_pylist() == expected[1:].tolist()
    tokens = list(BatchStates(folder, layers="-1").in_arrow([record]))[0]
    assert tokens.schema.field("final").type == arrow.list_(arrow.list_(arrow.float32()))
    probabilities = BatchStates(folder, sites="block.0.attn.probs")
    for batch, add in ((record, BatchStates(folder, layers="-1")), (record, probabilities)):
        full, empty = add.in_arrow([batch, batch.slice(0, 0)])
        assert full.schema == empty.schema and full.schema.field("input_ids").type == arrow.list_(arrow.int32())
        assert full.column(full.schema.names.index("input_ids")).to_pylist() == [ids.tolist() for ids in model.states(SHORT).ids]
    heads = probabilities(record).column(2).to_pylist()[0]
    assert np.array_equal(np.array(heads, np.float32), model.states(SHORT, sites="block.0.attn.probs")["block.0.attn.probs"][0])
    vectors = BatchVectors(folder)(table)
    assert np.array_equal(np.array(vectors["embedding"].to_pylist(), np.float32), layerscope.SentenceTransformer(folder).encode(SHORT))
    for batch in (table.slice(0, 0), record.slice(0, 0)):
        assert len(BatchStates(folder)(batch)) == 0
