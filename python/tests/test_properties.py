"""Random masks, lengths, layers and sites against the contract written in numpy: every row as if it were alone."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as some

import layerscope
from conftest import GOLDEN

NAMES = ["bert-base-v5", "llama-llama3-v5", "t5-base-v5"]
MODELS = {name: layerscope.open(GOLDEN / name, threads=2) for name in NAMES}
AUTO = {name: layerscope.AutoModel.from_pretrained(GOLDEN / name, threads=2) for name in NAMES}


@some.composite
def batches(draw):
    """Ids [rows, length] with a run of ones in every row of the mask, some rows empty."""
    rows, length = draw(some.integers(1, 6)), draw(some.integers(1, 12))
    ids = np.array(draw(some.lists(some.integers(3, 60), min_size=rows * length, max_size=rows * length)))
    mask = np.zeros((rows, length), np.int64)
    for row in mask:
        begin = draw(some.integers(0, length))
        row[begin : draw(some.integers(begin, length))] = 1
    return ids.reshape(rows, length), mask


@given(batches())
@pytest.mark.parametrize("name", NAMES[:2])
def test_every_row_as_if_alone(name, batch):
    ids, mask = batch
    out = AUTO[name](ids, mask, output_hidden_states=True, output_attentions=True)
    for row in range(len(ids)):
        cells = np.flatnonzero(mask[row])
        if cells.size == 0:
            assert not any(state[row].any() for state in (*out.hidden_states, *out.attentions))
            continue
        alone = AUTO[name](ids[row, cells][None], output_hidden_states=True, output_attentions=True)
        for state, own in zip(out.hidden_states, alone.hidden_states, strict=True):
            expected = np.zeros_like(state[row])
            expected[cells] = own[0]
            assert np.array_equal(state[row], expected)
        for attention, own in zip(out.attentions, alone.attentions, strict=True):
            expected = np.zeros_like(attention[row])
            expected[:, cells[:, None], cells[None, :]] = own[0]
            assert np.array_equal(attention[row], expected)


@given(batches(), some.data())
def test_every_pair_of_rows_as_if_alone(batch, data):
    ids, mask = batch
    length = data.draw(some.integers(1, 6))
    written = np.array(data.draw(some.lists(some.integers(3, 60), min_size=len(ids) * length, max_size=len(ids) * length)))
    written, decoder_mask = written.reshape(len(ids), length), np.zeros((len(ids), length), np.int64)
    for row in decoder_mask:
        begin = data.draw(some.integers(0, length - 1))
        row[begin : data.draw(some.integers(begin + 1, length))] = 1
    model, fields = AUTO["t5-base-v5"], ("encoder_hidden_states", "decoder_hidden_states")
    out = model(ids, mask, decoder_input_ids=written, decoder_attention_mask=decoder_mask, output_hidden_states=True)
    for row in range(len(ids)):
        read, said = np.flatnonzero(mask[row]), np.flatnonzero(decoder_mask[row])
        if read.size == 0:
            assert not any(state[row].any() for field in fields for state in out[field])
            continue
        alone = model(ids[row, read][None], decoder_input_ids=written[row, said][None], output_hidden_states=True)
        for field, cells in zip(fields, (read, said)):
            for state, own in zip(out[field], alone[field], strict=True):
                expected = np.zeros_like(state[row])
                expected[cells] = own[0]
                assert np.array_equal(state[row], expected)


ROWS = some.lists(some.lists(some.integers(3, 60), min_size=1, max_size=9), min_size=1, max_size=6)


@given(rows=ROWS, data=some.data())
@pytest.mark.parametrize("name", NAMES[:2])
def test_sites_do_not_depend_on_each_other(name, rows, data):
    model = MODELS[name]
    chosen = data.draw(some.lists(some.sampled_from(model.sites), min_size=1, max_size=4, unique=True))
    together = model.states(rows, sites=chosen)
    assert set(together) == set(chosen)
    for site in chosen:
        for row, ids in enumerate(rows):
            alone = model.states([ids], sites=site)
            assert np.array_equal(together[site][row], alone[site][0])


def pooled(states, how):
    count = np.arange(1, len(states) + 1, dtype=np.float64)[:, None]
    wide = states.astype(np.float64)
    return {
        "cls": lambda: wide[0],
        "last": lambda: wide[-1],
        "max": lambda: wide.max(axis=0),
        "mean": lambda: wide.mean(axis=0),
        "mean_sqrt": lambda: wide.sum(axis=0) / np.sqrt(len(wide)),
        "weightedmean": lambda: (wide * count).sum(axis=0) / count.sum(),
    }[how]()


@given(rows=ROWS, how=some.sampled_from(["cls", "last", "max", "mean", "mean_sqrt", "weightedmean"]))
@pytest.mark.parametrize("name", NAMES[:2])
def test_pooling(name, rows, how):
    whole = MODELS[name].states(rows, layers="0,-1")
    vectors = MODELS[name].states(rows, layers="0,-1", pool=how)
    for site in whole:
        for states, vector in zip(whole[site], vectors[site], strict=True):
            assert np.allclose(vector, pooled(states, how), rtol=1e-5, atol=1e-6)


@given(rows=ROWS, layers=some.lists(some.integers(-3, 2), min_size=1, max_size=4))
@pytest.mark.parametrize("name", NAMES[:2])
def test_layers_are_counted_from_either_end(name, rows, layers):
    whole = MODELS[name].states(rows)
    names = list(whole)
    chosen = MODELS[name].states(rows, layers=layers)
    assert len(names) == 3 and list(chosen) == [names[i] for i in sorted({layer % 3 for layer in layers})]
    for site in chosen:
        assert np.array_equal(chosen[site].values, whole[site].values)


@given(rows=ROWS, places=some.lists(some.integers(-9, 8), min_size=1, max_size=4, unique=True))
def test_positions(rows, places):
    model = MODELS["bert-base-v5"]
    whole, picked = model.states(rows, layers=1), model.states(rows, layers=1, positions=places)
    (site,) = whole
    for row, ids in enumerate(rows):
        kept = sorted({place % len(ids) for place in places if -len(ids) <= place < len(ids)})
        assert picked.positions[row].tolist() == kept
        assert np.array_equal(picked[site][row], whole[site][row][kept])


@given(rows=ROWS)
def test_a_mix_is_a_weighted_sum(rows):
    model = MODELS["llama-llama3-v5"]
    mixed = model.states(rows, mix={0: 0.25, 1: 0.75})["mix"]
    layers = model.states(rows, layers="0,1")
    first, second = (layers[name].values for name in layers)
    assert np.allclose(mixed.values, 0.25 * first + 0.75 * second, rtol=1e-5, atol=1e-6)


@given(rows=ROWS)
def test_ragged_and_padded_agree(rows):
    states = MODELS["bert-base-v5"].states(rows, layers=-1)["final"]
    assert [len(row) for row in states] == [len(row) for row in rows]
    for side in ("left", "right"):
        matrix = states.padded(side)
        for own, row in zip(states, matrix):
            cells = row[len(row) - len(own) :] if side == "left" else row[: len(own)]
            assert np.array_equal(cells, own) and np.count_nonzero(row) == np.count_nonzero(own)
