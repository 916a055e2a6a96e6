"""states() into a sink of Python, and edits wherever text goes in."""

import itertools
import weakref

import numpy as np
import pytest

import layerscope
from conftest import GOLDEN, TEXTS, padded

DECODER = GOLDEN / "gpt2-lm-v5"


@pytest.fixture(scope="module")
def model(folder):
    return layerscope.open(folder)


@pytest.fixture
def few(monkeypatch):
    """Parts of a few rows."""
    import layerscope.model

    monkeypatch.setattr(layerscope.model, "_ROWS_READ", 4)
    monkeypatch.setattr(layerscope.model, "_ELEMENTS_HELD", 20_000)


@pytest.mark.parametrize(
    "options",
    [{}, {"layers": "2,-1", "pool": "mean", "edits": [("block.0.out", "scale", "all", 2)]}, {"positions": "sample:2", "seed": 5}],
)
def test_a_sink_gets_the_same_bits_in_order(model, few, options):
    rows = [f"{text} {i}" for i, text in enumerate(TEXTS * 3)]
    whole = model.states(rows, **options)
    parts = []
    assert model.states(iter(rows), sink=parts.append, **options) is None
    assert len(parts) >= 4 and [part.first for part in parts] == list(np.cumsum([0] + [len(part.ids) for part in parts])[:-1])
    for site in whole:
        values = [part[site] if isinstance(part[site], np.ndarray) else part[site].values for part in parts]
        assert np.array_equal(np.concatenate(values), whole[site] if isinstance(whole[site], np.ndarray) else whole[site].values)
    assert [ids.tolist() for part in parts for ids in part.ids] == [ids.tolist() for ids in whole.ids]
    if whole.positions is not None:
        assert [p.tolist() for part in parts for p in part.positions] == [p.tolist() for p in whole.positions]


def test_rows_are_read_as_they_are_needed_and_states_let_go(model, few):
    read, held = itertools.count(), []

    def rows():
        for number in read:
            yield f"text {number}"

    def sink(states):
        assert sum(part() is not None for part in held) <= 1
        held.append(weakref.ref(states))
        if len(held) == 5:
            raise StopAsyncIteration("enough")

    with pytest.raises(StopAsyncIteration, match="enough"):  # as it was raised
        model.states(rows(), sink=sink)
    assert next(read) < 40


def test_exceptions_of_a_sink_come_out_unchanged(model):
    class Own(Exception):
        pass

    mine = Own("mine")
    calls = []

    def sink(states):
        calls.append(states)
        raise mine

    with pytest.raises(Own) as caught:
        model.states(["a"] * 3000, sink=sink)
    assert caught.value is mine and len(calls) == 1


def test_bad_rows_are_named_by_their_number(model, few):
    seen = []
    with pytest.raises(layerscope.InputError, match="row 9:"):
        model.states([[101, 102]] * 9 + [[10**6]], sink=seen.append, layers=-1)
    assert sum(len(states.ids) for states in seen) == 8


def test_nothing_and_one_row_larger_than_a_part(model, few):
    calls = []
    model.states([], sink=calls.append)
    assert calls == []
    model.states([[2088] * 100], sink=calls.append)
    assert len(calls) == 1 and calls[0]["final"].values.shape == (100, 384)


# Edits.


def test_edits_in_forward_passes_and_in_generation():
    ids, mask = padded([[5, 6, 7, 8], [9, 10]], "left")
    steer = np.linspace(-3, 3, 24, dtype=np.float32)
    edits = [("block.0.out", "add", "all", steer)]
    own = layerscope.open(DECODER)
    model = layerscope.AutoModelForCausalLM.from_pretrained(DECODER)
    rows = [{"ids": [5, 6, 7, 8]}, {"ids": [9, 10]}]
    expected = own.states(rows, sites="logits", edits=edits)["logits"]
    logits = model(ids, mask, edits=edits).logits
    assert np.array_equal(logits[0], expected[0]) and np.array_equal(logits[1, 2:], expected[1])
    assert not np.array_equal(logits, model(ids, mask).logits)
    plain = model.generate(ids, mask, max_new_tokens=6, do_sample=False, pad_token_id=0)
    steered = model.generate(ids, mask, max_new_tokens=6, do_sample=False, pad_token_id=0, edits=edits)
    assert not np.array_equal(plain, steered)
    first = logits[:, -1].argmax(axis=-1)
    assert np.array_equal(steered[:, ids.shape[1]], first)
    with pytest.raises(layerscope.UsageError):
        model.generate(ids, mask, edits=[("block.0.out", "turn", "all", steer)])
    with pytest.raises(layerscope.UsageError):
        model(ids, mask, edits=[("block.0.out", "add", "all", steer[:5])])


def test_edits_of_an_encoder_reach_what_is_generated():
    model = layerscope.AutoModelForSeq2SeqLM.from_pretrained(GOLDEN / "bart-untied-v5")
    edits = [("enc.block.0.out", "scale", "all", -2.0)]
    options = dict(max_new_tokens=3, do_sample=False, output_hidden_states=True, return_dict_in_generate=True)
    plain, edited = model.generate([[5, 6, 7]], **options), model.generate([[5, 6, 7]], edits=edits, **options)
    assert np.array_equal(plain.encoder_hidden_states[0], edited.encoder_hidden_states[0])
    assert not np.array_equal(plain.encoder_hidden_states[1], edited.encoder_hidden_states[1])
    assert not np.array_equal(plain.decoder_hidden_states[0][-1], edited.decoder_hidden_states[0][-1])


def test_a_classifier_takes_no_edits():
    model = layerscope.AutoModelForSequenceClassification.from_pretrained(GOLDEN / "bert-labels-v4")
    with pytest.raises(layerscope.UsageError, match="edits"):
        model([[5, 6]], edits=[("embed", "scale", "all", 2.0)])
