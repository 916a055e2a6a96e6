"""`export --to hf-dataset`: the files that datasets.load_from_disk opens, against the run's own tensors."""
import json
import pathlib
import struct
import tempfile

from arrow_reader import read_stream
from harness import BERT, DEMO, GOLDEN, ROWS, T5, Skipped, ids_file, objects, read_shard, run, test

LLAMA = str(GOLDEN / "llama-lm-v5")
CODES = {"F32": "f", "F16": "e", "I64": "q", "I32": "i", "U8": "B"}
# The values type of a JSON feature, as the Arrow schema has it.
VALUES = {"float32": "f", "float16": "e", "int64": "q", "int32": "i", "uint8": "B", "string": "text"}


def tensors(run_folder):
    """What the run holds, joined: {name: (shape, values)}; bfloat16 as the float32 it stands for."""
    target = f"{run_folder}.safetensors"
    run("export", run_folder, "--to", "safetensors", "-o", target, "--overwrite", "-q")
    out = {}
    for name, (dtype, shape, data) in read_shard(target).items():
        if dtype == "BF16":
            data = b"".join(b"\0\0" + data[at:at + 2] for at in range(0, len(data), 2))
            dtype = "F32"
        out[name] = shape, list(struct.unpack(f"<{len(data) // struct.calcsize(CODES[dtype])}{CODES[dtype]}", data))
    return out


def ragged(values, offsets):
    return [values[a:b] for a, b in zip(offsets, offsets[1:])]


def rows_of(shape, values):
    return [values[at * shape[1]:(at + 1) * shape[1]] for at in range(shape[0])]


def dataset(run_folder, *flags, target=None):
    """Columns of all files, the batches' sizes by file, the fields' types."""
    target = pathlib.Path(target or f"{run_folder}-dataset")
    run("export", run_folder, "--to", "hf-dataset", "-o", target, "-q", *flags)
    names = sorted(path.name for path in target.iterdir())
    state, info = (json.loads((target / name).read_text()) for name in ("state.json", "dataset_info.json"))
    files = [entry["filename"] for entry in state["_data_files"]]
    assert names == sorted([*files, "dataset_info.json", "state.json"])
    assert files == [f"data-{at:05}-of-{len(files):05}.arrow" for at in range(len(files))]
    assert set(state) == {"_data_files", "_fingerprint", "_format_columns", "_format_kwargs", "_format_type",
                          "_output_all_columns", "_split"} and len(state["_fingerprint"]) == 16
    columns, batches, types = {}, [], None
    for name in files:
        fields, metadata, found = read_stream(target / name)
        assert metadata == {"huggingface": {"info": {"features": info["features"]}}}
        assert types in (None, {field.name: field.type() for field in fields})
        types = {field.name: field.type() for field in fields}
        batches.append([len(batch["row"]) for batch in found])
        for batch in found:
            for column, values in batch.items():
                columns.setdefault(column, []).extend(values)

    def spelled(feature):
        if feature["_type"] == "Value":
            return VALUES[feature["dtype"]]
        assert feature["_type"] == "Sequence"
        inner = spelled(feature["feature"])
        return f"fixed[{inner}, {feature['length']}]" if "length" in feature else f"list[{inner}]"
    assert {name: spelled(feature) for name, feature in info["features"].items()} == types
    return columns, batches, types


@test
def states_of_tokens():
    with tempfile.TemporaryDirectory() as folder:
        rows = ids_file(folder, ROWS + [{"ids": [3 + k % 50 for k in range(2 + at % 7)], "type_ids": [at % 2] * (2 + at % 7)}
                                        for at in range(40)])
        for number, flags in enumerate([[], ["--save-dtype", "f16"], ["--save-dtype", "bf16"], ["--shard-size", "20000"]]):
            target = f"{folder}/run{number}"
            run("states", BERT, "-i", rows, "-o", target, "-q", *flags)
            held, (columns, batches, types) = tensors(target), dataset(target)
            code = "e" if "f16" in flags else "f"
            width = held["final"][0][1]
            sites = [name for name, (shape, _) in held.items() if len(shape) == 2]
            assert sites and set(types) == {"row", "id", "input_ids", "special", "type_ids", *sites}
            assert types["final"] == f"list[fixed[{code}, {width}]]" and types["input_ids"] == "list[i]"
            offsets = held["offsets"][1]
            assert columns["row"] == held["row"][1] == list(range(43)) and batches == [[43]]
            assert columns["id"] == [None, "second", "7"] + [None] * 40
            for name in ("input_ids", "special", "type_ids"):
                assert columns[name] == ragged(held[name][1], offsets), name
            for name in sites:
                assert columns[name] == ragged(rows_of(*held[name]), offsets), name
        parted = f"{folder}/parted"
        for part in range(3):
            run("states", BERT, "-i", rows, "-o", parted, "-q", "--shard", f"{part}/3")
        whole = dataset(f"{folder}/run0", target=f"{folder}/again")
        joined = dataset(parted)
        assert joined[0] == whole[0] and joined[2] == whole[2]
        (done,) = objects(run("export", parted, "--to", "hf-dataset", "-o", f"{folder}/json", "--json").stdout)
        assert done["output"] == f"{folder}/json"


@test
def files_of_a_dataset_close_by_size():
    with tempfile.TemporaryDirectory() as folder:
        rows = ids_file(folder, [{"ids": [5] * (1 + at % 5)} for at in range(2500)])
        run("states", BERT, "-i", rows, "-o", f"{folder}/run", "-q", "--layers", "-1")
        columns, batches, _ = dataset(f"{folder}/run")
        assert batches == [[1000, 1000, 500]] and columns["row"] == list(range(2500))
        small, batches, _ = dataset(f"{folder}/run", "--shard-size", "200000", target=f"{folder}/small")
        assert small == columns and len(batches) > 3 and sum(map(sum, batches)) == 2500
        # One row fills a file; the last file ends with the last row.
        one, batches, _ = dataset(f"{folder}/run", "--shard-size", "1", "--overwrite", target=f"{folder}/small")
        assert one == columns and batches == [[1]] * 2500
        run("states", BERT, "-i", ids_file(folder, [], "none.jsonl"), "-o", f"{folder}/empty", "-q")
        assert dataset(f"{folder}/empty")[:2] == ({}, [[]])


@test
def pooled_picked_and_attention():
    with tempfile.TemporaryDirectory() as folder:
        rows = ids_file(folder, ROWS)
        run("states", BERT, "-i", rows, "-o", f"{folder}/pooled", "-q", "--pool", "mean")
        held, (columns, _, types) = tensors(f"{folder}/pooled"), dataset(f"{folder}/pooled")
        assert types["final"].startswith("fixed[f") and columns["final"] == rows_of(*held["final"])
        run("states", BERT, "-i", rows, "-o", f"{folder}/picked", "-q", "--positions", "0,-1")
        held, (columns, _, types) = tensors(f"{folder}/picked"), dataset(f"{folder}/picked")
        assert columns["pos"] == ragged(held["pos"][1], held["pos_offsets"][1]) == [[0, 2], [0, 1], [0]]
        assert columns["final"] == ragged(rows_of(*held["final"]), held["pos_offsets"][1])
        run("states", T5, "-i", ids_file(folder, [{"ids": [3, 4, 5], "decoder_ids": [0, 7]}, {"ids": [6], "decoder_ids": [0]}]),
            "-o", f"{folder}/two", "-q", "--sites", "*.block.0.*.probs,dec.final")
        held, (columns, _, types) = tensors(f"{folder}/two"), dataset(f"{folder}/two")
        assert columns["enc.input_ids"] == [[3, 4, 5], [6]] and columns["dec.input_ids"] == [[0, 7], [0]]
        sizes = {"enc.block.0.attn.probs": [(3, 3), (1, 1)], "dec.block.0.attn.probs": [(2, 2), (1, 1)],
                 "dec.block.0.cross.probs": [(2, 3), (1, 1)]}
        for name, shapes in sizes.items():
            flat = ragged(held[name][1], held[f"{name}.offsets"][1])
            heads = len(flat[1])
            assert types[name] == f"fixed[list[list[f]], {heads}]" and heads > 1
            for row, (queries, keys) in enumerate(shapes):
                value = iter(flat[row])
                expected = [[[next(value) for _ in range(keys)] for _ in range(queries)] for _ in range(heads)]
                assert columns[name][row] == expected and next(value, None) is None, name


@test
def generated_rows():
    with tempfile.TemporaryDirectory() as folder:
        run("generate", LLAMA, "-i", ids_file(folder, ROWS), "-o", f"{folder}/run", "-q", "--max-new-tokens", 3, "--ignore-eos")
        held, (columns, _, _) = tensors(f"{folder}/run"), dataset(f"{folder}/run")
        assert columns["prompt_len"] == [3, 2, 1]
        assert columns["output_ids"] == ragged(held["output_ids"][1], held["output_offsets"][1])
        assert all(len(ids) == 3 for ids in columns["output_ids"])


@test
def vectors_and_scores():
    with tempfile.TemporaryDirectory() as folder:
        rows = ids_file(folder, ROWS)
        run("embed", BERT, "-i", rows, "-o", f"{folder}/vectors", "-q")
        held, (columns, _, types) = tensors(f"{folder}/vectors"), dataset(f"{folder}/vectors")
        assert types["embedding"].startswith("fixed[f") and columns["embedding"] == rows_of(*held["embedding"])
        run("logits", LLAMA, "-i", rows, "-o", f"{folder}/scores", "-q", "--top-k", 4)
        held, (columns, _, types) = tensors(f"{folder}/scores"), dataset(f"{folder}/scores")
        assert types["logits.top_ids"] == "list[fixed[i, 4]]" and types["logits.entropy"] == "list[fixed[f, 1]]"
        for name in ("logits.top_ids", "logits.top_values", "logits.entropy"):
            assert columns[name] == ragged(rows_of(*held[name]), held["offsets"][1]), name


@test
def demo_model_texts_come_from_the_input():
    with tempfile.TemporaryDirectory() as folder:
        lines = [{"text": "a cat"}, {"ids": [5, 6]}, {"text": "", "id": "none"}, {"text": "naïve", "pair": "你好"}, {"text": "x" * 40}]
        rows = ids_file(folder, lines * 300)
        words = ["-i", rows, "-q", "--layers", "-1", "--pool", "mean", "-o"]
        for part in range(2):
            run("states", DEMO, *words, f"{folder}/parts", "--shard", f"{part}/2")
        run("states", DEMO, *words, f"{folder}/run")
        for name in ("run", "parts"):
            columns, _, types = dataset(f"{folder}/{name}", "--texts", rows, "--shard-size", "700000")
            assert types["text"] == "text" and list(types)[:3] == ["row", "id", "text"]
            assert columns["text"] == ["a cat", None, "", "naïve | 你好", "x" * 40] * 300
            assert columns["id"] == [None, None, "none", None, None] * 300
        other = ids_file(folder, lines, "other.jsonl")
        words = ["export", f"{folder}/run", "-o", f"{folder}/x", "--texts"]
        assert "is not the input" in run(*words, other, "--to", "hf-dataset", expect=2).stderr
        assert "hf-dataset" in run(*words, rows, "--to", "npz", expect=2).stderr


@test
def datasets_appear_whole():
    with tempfile.TemporaryDirectory() as folder:
        run("states", BERT, "-i", ids_file(folder, ROWS), "-o", f"{folder}/run", "-q")
        words = ["export", f"{folder}/run", "--to", "hf-dataset", "-o"]
        target = pathlib.Path(folder, "dataset")
        run(*words, target, "-q")
        before = sorted((path.name, path.read_bytes()) for path in target.iterdir())
        assert "exists already" in run(*words, target, expect=2).stderr
        (target / "cache-0123456789abcdef.arrow").write_text("what datasets keeps of filtered rows")
        run(*words, f"{target}/", "--overwrite", "-q")
        assert sorted((path.name, path.read_bytes()) for path in target.iterdir()) == before
        (target / "notes.txt").write_text("mine")
        assert "notes.txt" in run(*words, target, "--overwrite", expect=2).stderr
        assert (target / "notes.txt").exists() and len(list(target.iterdir())) == len(before) + 1
        shard = pathlib.Path(folder, "run/shard-00000.safetensors")
        whole = shard.read_bytes()
        length = int.from_bytes(whole[:8], "little")
        begin = 8 + length + json.loads(whole[8:8 + length])["offsets"]["data_offsets"][0]
        shard.write_bytes(whole[:begin] + struct.pack("<q", 1) + whole[begin + 8:])
        run(*words, f"{folder}/damaged", expect=6)
        left = [path.name for path in pathlib.Path(folder).iterdir()]
        assert "damaged" not in left and "damaged.partial" not in left
        assert "--shard-size" in run("export", f"{folder}/run", "--to", "npy", "-o", f"{folder}/x", "--shard-size", "1MB",
                                     expect=2).stderr


@test
def pyarrow_reads_the_files():
    try:
        import pyarrow
    except ImportError as missing:
        raise Skipped("no pyarrow") from missing
    with tempfile.TemporaryDirectory() as folder:
        run("states", BERT, "-i", ids_file(folder, ROWS), "-o", f"{folder}/run", "-q")
        columns, _, _ = dataset(f"{folder}/run")
        with pyarrow.memory_map(f"{folder}/run-dataset/data-00000-of-00001.arrow") as file:
            table = pyarrow.ipc.open_stream(file).read_all()
            table.validate(full=True)
            assert table.to_pydict() == columns
