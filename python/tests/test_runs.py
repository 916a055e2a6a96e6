"""open_run: parts as one, shuffled blocks, tables, datasets of torch."""

import json
import pickle

import numpy as np
import pytest
from conftest import GOLDEN, layerscope_program

import layerscope
from layerscope.run_batches import permutation

BERT, T5 = GOLDEN / "bert-base-v5", GOLDEN / "t5-base-v5"
ROWS = [{"ids": [3 + (7 * row + k) % 60 for k in range(1 + row % 6)], **({"id": f"r{row}"} if row % 3 == 0 else {})} for row in range(50)]


def stored(folder, rows, *flags, model=BERT):
    """A run of these rows, in several shards."""
    path = folder.parent / f"{folder.name}.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    layerscope_program("states", model, "-i", path, "-o", folder, "-q", "--shard-size", "20000", *flags)
    return folder


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """One run whole and in three parts."""
    work = tmp_path_factory.mktemp("runs")
    for part in range(3):
        stored(work / "parts", ROWS, "--shard", f"{part}/3")
    return stored(work / "whole", ROWS), work / "parts"


def test_parts_are_one_run_in_order(folders):
    whole, parts = (layerscope.open_run(folder) for folder in folders)
    assert len(whole.shards) > 1 and whole.in_order and not parts.in_order
    assert len(parts) == len(whole) == 50 and parts.numbers.tolist() == list(range(50))
    assert parts.ids == whole.ids == [f"r{row}" if row % 3 == 0 else None for row in range(50)]
    for place in (0, 1, 2, 17, 49, -1):
        assert np.array_equal(parts["final"][place], whole["final"][place])
    assert np.array_equal(parts["embed"].to_numpy(), whole["embed"].to_numpy())
    assert np.array_equal(parts["final"].ragged().offsets, whole["final"].ragged().offsets)
    for number, row in enumerate(parts):
        assert row.number == number and row.input_ids.tolist() == ROWS[number]["ids"]
    assert parts.row(id="r21").number == 21 and parts.row(31)["final"].shape == (2, parts["final"].width)
    for wanted in ({"number": 50}, {"number": -1}, {"id": "r1"}):
        with pytest.raises(layerscope.UsageError, match="no row"):
            parts.row(**wanted)
    assert np.array_equal(pickle.loads(pickle.dumps(parts))["final"][7], whole["final"][7])


def test_missing_parts_are_refused_unless_allowed(tmp_path):
    stored(tmp_path / "run", ROWS, "--shard", "1/3")
    with pytest.raises(layerscope.UsageError, match="2 of 3 parts"):
        layerscope.open_run(tmp_path / "run")
    run = layerscope.open_run(tmp_path / "run", allow_incomplete=True)
    assert not run.complete and run.numbers.tolist() == list(range(1, 50, 3)) and run.row(4).number == 4
    assert len(pickle.loads(pickle.dumps(run))) == 17


def vectors_of(run, batches, site="final"):
    """Checks every vector against the run; (row, position) of all, in the order in which they came."""
    places = []
    for batch in batches:
        for row, position, token, vector in zip(batch["row"], batch["position"], batch["input_ids"], batch[site]):
            own = run.row(int(row))
            assert own.input_ids[position] == token and np.array_equal(own[site][position], vector)
            places.append((int(row), int(position)))
    return places


@pytest.mark.parametrize("which", [0, 1])
def test_batches_hold_everything_once(folders, which):
    run = layerscope.open_run(folders[which])
    everything = sorted((row, position) for row in range(50) for position in range(len(ROWS[row]["ids"])))
    batches = list(run.batches(16, ["embed", "final"], seed=3, block=10, buffer=4))
    assert {len(batch["row"]) for batch in batches[:-1]} == {16} and set(batches[0]) == {"row", "position", "input_ids", "embed", "final"}
    places = vectors_of(run, batches)
    assert sorted(places) == everything and places != everything
    again = vectors_of(run, run.batches(16, "final", seed=3, block=10, buffer=4))
    assert again == places
    others = [vectors_of(run, run.batches(16, "final", block=10, buffer=4, **key)) for key in ({"seed": 4}, {"seed": 3, "epoch": 1})]
    assert places not in others and others[0] != others[1] and all(sorted(other) == everything for other in others)
    kept = list(run.batches(16, "final", drop_last=True))
    assert len(kept) == len(everything) // 16 and all(len(batch["row"]) == 16 for batch in kept)


def test_shares_are_everything_together(folders):
    run = layerscope.open_run(folders[0])
    shares = [vectors_of(run, run.batches(7, "final", block=6, buffer=3, share=(i, 3))) for i in range(3)]
    assert all(shares) and len(set(sum(shares, []))) == len(sum(shares, [])) == sum(len(row["ids"]) for row in ROWS)
    halves = [vectors_of(run, run.batches(7, "final", block=6, buffer=3, share=(1, 3)).shared(i, 2)) for i in range(2)]
    assert sorted(halves[0] + halves[1]) == sorted(shares[1]) and all(halves)
    with pytest.raises(layerscope.UsageError, match="share"):
        run.batches(7, share=(3, 3))


def test_a_block_is_read_in_one_piece(folders, monkeypatch):
    run = layerscope.open_run(folders[0])
    pieces = []
    floats = layerscope.run_shard.RunShard.floats

    def counted(shard, name, part=slice(None), *, raw=False):
        pieces.append(part.stop - part.start)
        return floats(shard, name, part, raw=raw)

    monkeypatch.setattr(layerscope.run_shard.RunShard, "floats", counted)
    for _ in run.batches(5, "final", block=12, buffer=2):
        pass
    assert sum(pieces) == sum(len(row["ids"]) for row in ROWS) and max(pieces) <= 12 and np.mean(pieces) > 6


def test_special_tokens_may_be_left_out(tmp_path, folder):
    texts = [{"text": "I love cats"}, {"text": ""}, {"text": "You like dogs"}]
    run = layerscope.open_run(stored(tmp_path / "run", texts, "--layers", "-1", model=folder))
    (batch,) = run.batches(100, special=False)
    assert sorted(zip(batch["row"].tolist(), batch["position"].tolist())) == [(0, 1), (0, 2), (0, 3), (2, 1), (2, 2), (2, 3)]


def test_pooled_and_picked_batches(tmp_path):
    run = layerscope.open_run(stored(tmp_path / "pooled", ROWS, "--pool", "max"))
    batches = list(run.batches(8, block=5, buffer=2))
    rows = np.concatenate([batch["row"] for batch in batches])
    assert sorted(rows.tolist()) == list(range(50)) and "position" not in batches[0]
    assert np.array_equal(np.concatenate([batch["final"] for batch in batches]), run["final"].to_numpy()[rows])
    run = layerscope.open_run(stored(tmp_path / "picked", ROWS, "--positions", "-1", "--save-dtype", "bf16"))
    for batch in run.batches(8, "final"):
        for row, position, token, vector in zip(batch["row"], batch["position"], batch["input_ids"], batch["final"]):
            assert position == len(ROWS[row]["ids"]) - 1 and token == ROWS[row]["ids"][-1]
            assert vector.dtype == np.float32 and np.array_equal(run.row(int(row))["final"][0], vector)
    two = layerscope.open_run(stored(tmp_path / "two", [{"ids": [3, 4], "decoder_ids": [0, 5, 6]}], model=T5))
    with pytest.raises(layerscope.UsageError, match="one kind"):
        two.batches(4)
    (batch,) = two.batches(4, "dec.final")
    assert sorted(batch["input_ids"].tolist()) == [0, 5, 6]


def test_permutations_are_pinned():
    assert permutation(8, 0, 0).tolist() == [0, 1, 6, 3, 5, 4, 2, 7] and permutation(5, 3, 1).tolist() == [1, 4, 0, 3, 2]
    assert sorted(permutation(1000, 5, 7).tolist()) == list(range(1000))
    firsts = np.bincount([permutation(4, seed)[0] for seed in range(2000)])
    assert len(firsts) == 4 and firsts.min() > 400


def test_tables_of_pandas(folders):
    pytest.importorskip("pandas")
    for folder in folders:
        run = layerscope.open_run(folder)
        table = run.to_pandas(["final"])
        assert table.columns.tolist() == ["row", "id", "input_ids", "final"] and table["row"].tolist() == list(range(50))
        assert table["id"].tolist() == run.ids and np.array_equal(table["final"][17], run["final"][17])


def test_tables_of_arrow_are_the_exported_ones(folders, tmp_path):
    arrow = pytest.importorskip("pyarrow")
    kinds = [(), ("--pool", "mean"), ("--positions", "0,-1", "--save-dtype", "f16"), ("--save-dtype", "bf16"), ("--sites", "block.*.attn.probs")]
    runs = [*folders, *(stored(tmp_path / f"run{at}", ROWS, *kind) for at, kind in enumerate(kinds))]
    for at, folder in enumerate([*runs, stored(tmp_path / "two", [{"ids": [3], "type_ids": [1]}, {"ids": [4, 5]}])]):
        target = tmp_path / f"dataset{at}"
        layerscope_program("export", folder, "--to", "hf-dataset", "-o", target, "-q")
        with arrow.memory_map(str(target / "data-00000-of-00001.arrow")) as file:
            exported = arrow.ipc.open_stream(file).read_all()
        table = layerscope.open_run(folder).to_arrow()
        table.validate(full=True)
        assert table.schema.equals(exported.schema.remove_metadata()) and table.to_pydict() == exported.to_pydict()


def test_what_is_not_installed_is_named(folders, monkeypatch):
    import sys

    run = layerscope.open_run(folders[0])
    for module, call in (("pandas", run.to_pandas), ("pyarrow", run.to_arrow), ("torch", run.torch_dataset),
                         ("torch", lambda: run.torch_batches(4))):
        monkeypatch.setitem(sys.modules, module, None)
        with pytest.raises(ImportError, match=f"needs {module}"):
            call()


def test_datasets_of_torch(folders, tmp_path):
    torch = pytest.importorskip("torch")
    run = layerscope.open_run(stored(tmp_path / "bf16", ROWS, "--save-dtype", "bf16"))
    rows = run.torch_dataset("final")
    assert isinstance(rows, torch.utils.data.Dataset) and len(rows) == 50
    item = pickle.loads(pickle.dumps(rows))[7]
    assert item["row"] == 7 and item["input_ids"].tolist() == ROWS[7]["ids"] and item["final"].dtype == torch.bfloat16
    assert np.array_equal(item["final"].float().numpy(), run["final"][7])
    whole = layerscope.open_run(folders[1])
    everything = sorted((row, position) for row in range(50) for position in range(len(ROWS[row]["ids"])))
    orders = []
    for workers in (0, 2, 2):
        dataset = whole.torch_batches(16, "final", block=10, buffer=2, seed=1)
        assert isinstance(dataset, torch.utils.data.IterableDataset)
        context = "spawn" if workers and not orders[1:] else None
        batches = list(torch.utils.data.DataLoader(dataset, batch_size=None, num_workers=workers, multiprocessing_context=context))
        assert all(isinstance(batch["final"], torch.Tensor) for batch in batches)
        orders.append(vectors_of(whole, [{name: values.numpy() for name, values in batch.items()} for batch in batches]))
        assert sorted(orders[-1]) == everything
    assert orders[1] == orders[2]
    dataset = whole.torch_batches(16, "final", seed=1)
    first = [batch["row"].tolist() for batch in dataset]
    dataset.set_epoch(1)
    assert [batch["row"].tolist() for batch in dataset] != first
