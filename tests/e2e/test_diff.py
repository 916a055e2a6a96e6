"""`diff`: runs, models and dumps against each other; what is printed, what is refused, how it exits."""
import json
import pathlib
import re
import struct
import tempfile

from harness import BERT, DEMO, GPT2, T5, columns, ids_file, objects, read_shard, run, test

TEXTS = ["The bank of the river was steep.", "Layer by layer", "no"]
SITE_KEYS = {"site", "hf_index", "rel_l2", "max_abs", "cosine", "noise"}


def diff(*words, expect=0, **more):
    (report,) = objects(run("diff", *words, "--json", expect=expect, **more).stdout)
    assert {"verdict", "tol", "ids_equal", "first", "cause", "causes", "sites"} <= set(report)
    assert all(SITE_KEYS <= set(site) for site in report["sites"])
    assert report["verdict"] == ("same" if expect == 0 else report["verdict"]) != ("same" if expect else "")
    return report


def write_dump(path, tensors):
    """{name: (dtype, shape, bytes)} as a safetensors file."""
    header, data = {}, b""
    for name, (dtype, shape, packed) in tensors.items():
        header[name] = {"dtype": dtype, "shape": shape, "data_offsets": [len(data), len(data) + len(packed)]}
        data += packed
    text = json.dumps(header).encode()
    pathlib.Path(path).write_bytes(struct.pack("<Q", len(text)) + text + data)
    return str(path)


def dump_of(run_folder, path, change=None, left=False):
    """A run of token states, as another engine would hand it out: one batch with padding."""
    shard = read_shard(pathlib.Path(run_folder) / "shard-00000.safetensors")
    offsets = struct.unpack(f"<{shard['offsets'][1][0]}q", shard["offsets"][2])
    ids = struct.unpack(f"<{shard['input_ids'][1][0]}i", shard["input_ids"][2])
    lengths = [b - a for a, b in zip(offsets, offsets[1:])]
    rows, longest = len(lengths), max(lengths)
    states = [site["name"] for site in json.loads((pathlib.Path(run_folder) / "manifest.json").read_text())["sites"]]

    def padded(values, pad):
        out = []
        for begin, length in zip(offsets, lengths):
            gap = [pad] * (longest - length)
            own = list(values[begin:begin + length])
            out += gap + own if left else own + gap
        return out

    packed_ids = struct.pack(f"<{rows * longest}q", *padded(ids, 0))
    mask = struct.pack(f"<{rows * longest}q", *padded([1] * len(ids), 0))
    tensors = {"input_ids": ("I64", [rows, longest], packed_ids), "attention_mask": ("I64", [rows, longest], mask)}
    for k, site in enumerate(states):
        width = shard[site][1][1]
        data = shard[site][2]
        vectors = [data[at:at + 4 * width] for at in range(0, len(data), 4 * width)]
        if change is not None and change[0] == k:
            floats = [struct.unpack(f"<{width}f", vector) for vector in vectors]
            vectors = [struct.pack(f"<{width}f", *(value * change[1] for value in vector)) for vector in floats]
        packed = b"".join(padded(vectors, b"\0" * 4 * width))
        tensors[f"hidden_states.{k}"] = ("F32", [rows, longest, width], packed)
    return write_dump(path, tensors)


@test
def a_model_its_runs_and_other_instruction_sets_are_the_same():
    with tempfile.TemporaryDirectory() as temporary:
        folder = pathlib.Path(temporary)
        run("states", DEMO, *TEXTS, "-o", folder / "run", "-q")
        run("states", DEMO, *TEXTS, "-o", folder / "half", "-q", "--save-dtype", "f16", "--isa", "sse4")
        report = diff(DEMO, folder / "run")
        assert [site["hf_index"] for site in report["sites"]] == list(range(7))
        assert report["tol"] is None and report["ids_equal"] and report["first"] is None and report["cause"] is None
        assert all(site["rel_l2"] == 0 and site["cosine"] == 1 for site in report["sites"])
        assert diff(folder / "run", DEMO, "--tol", "0")["tol"] == 0
        assert diff(folder / "run", folder / "run", *[])["rows"] == 3
        report = diff(folder / "run", folder / "half")
        assert not report["noise_estimated"] and all(0 < site["rel_l2"] < 1e-3 for site in report["sites"])
        assert all(0 < site["noise"] < 1e-3 and 0 <= site["local"] < 1e-3 for site in report["sites"])
        assert diff(folder / "run", folder / "half", "--tol", "1e-6", expect=6)["first"]["site"] == "embed"
    for flag, value in (("--isa-b", "sse4"), ("--dtype-b", "bf16"), ("--dtype-a", "f64")):
        report = diff(DEMO, DEMO, TEXTS[0], flag, value)
        assert any(site["rel_l2"] > 0 for site in report["sites"]), flag
        assert max(site["times"] for site in report["sites"]) < 2, flag
    diff(DEMO, DEMO, TEXTS[0], "--isa-b", "sse4", "--tol", "0", expect=6)
    assert diff(DEMO, DEMO, TEXTS[0], "--isa", "sse4", "--tol", "0")["a"]["precision"] == "f32, sse4"


@test
def the_first_site_that_differs_is_named():
    with tempfile.TemporaryDirectory() as temporary:
        folder = pathlib.Path(temporary)
        rows = ids_file(folder, [{"ids": [2, 5, 7, 11, 3]}, {"ids": [2, 9, 3]}, {"ids": [2, 4, 6, 8, 10, 12, 3]}])
        run("states", BERT, "-i", rows, "-o", folder / "run", "-q")
        for left in (False, True):
            same = dump_of(folder / "run", folder / "same.safetensors", left=left)
            assert diff(BERT, same)["ids_equal"] and diff(same, BERT, "-i", rows)["rows"] == 3
            other = dump_of(folder / "run", folder / "other.safetensors", change=(1, 1.0001), left=left)
            report = diff(BERT, other, expect=6)
            assert report["first"]["site"] == "block.0.out" and report["first"]["hf_index"] == 1
            assert report["first"]["rel_l2"] > 4 * report["first"]["noise"] > 0
            assert [site["differs"] for site in report["sites"]][:2] == [False, True]
            assert diff(BERT, other, "--layers", "0")["sites"][-1]["hf_index"] == 0
        alone = diff(folder / "same.safetensors", folder / "other.safetensors", expect=6)
        assert alone["noise_estimated"] and alone["first"]["site"] == "block.0.out"
        edited = diff(BERT, BERT, "-i", rows, "--edit-b", "block.0.out:scale=1.001", expect=6)
        assert edited["first"]["site"] == "block.0.out"
        assert [site["local_times"] > 4 for site in edited["sites"]] == [False, True, False]


@test
def other_tokens_are_the_first_cause():
    with tempfile.TemporaryDirectory() as temporary:
        folder = pathlib.Path(temporary)
        run("states", DEMO, *TEXTS, "-o", folder / "run", "-q", "--no-special-tokens")
        dump = dump_of(folder / "run", folder / "dump.safetensors")
        report = diff(DEMO, dump, *TEXTS, expect=6)
        assert not report["ids_equal"] and report["cause"]["kind"] == "tokens" and report["first"]["row"] == 0
        assert "B lacks" in report["cause"]["evidence"] and "[CLS]" in report["cause"]["evidence"]
        assert all(not site["differs"] for site in report["sites"]), "on the dump's own ids they agree"
        assert diff(DEMO, dump, *TEXTS, "--no-special-tokens")["ids_equal"]
        shown = run("diff", DEMO, dump, TEXTS[0], expect=6, env={"COLUMNS": "80"}).stdout
        assert "differs: the sides read other tokens" in shown and "2 rows of B have no counterpart in A" in shown


@test
def stacks_heads_and_insides():
    with tempfile.TemporaryDirectory() as temporary:
        folder = pathlib.Path(temporary)
        rows = ids_file(folder, [{"ids": [3, 4, 5, 6], "decoder_ids": [0, 7]}, {"ids": [9], "decoder_ids": [0, 8, 2]}])
        run("states", T5, "-i", rows, "-o", folder / "run", "-q", "--sites", "**")
        report = diff(T5, folder / "run")
        names = [site["site"] for site in report["sites"]]
        assert {"enc.embed", "dec.final", "dec.block.0.cross.k", "enc.block.0.attn.probs", "logits"} <= set(names)
        assert all(site["rel_l2"] == 0 for site in report["sites"])
        report = diff(T5, T5, "-i", rows, "--isa-b", "sse4")
        assert all(site["local"] is not None for site in report["sites"])
        rows = ids_file(folder, [{"ids": [3, 4, 5, 6]}])
        run("states", GPT2, "-i", rows, "-o", folder / "picks", "-q", "--positions", "0,-1")
        assert diff(GPT2, folder / "picks")["tokens"] == 4
        run("states", GPT2, "-i", rows, "-o", folder / "pooled", "-q", "--pool", "mean")
        assert diff(folder / "pooled", folder / "pooled")["verdict"] == "same"
        assert diff(GPT2, folder / "pooled", expect=6)["verdict"] == "incomparable"


@test
def what_a_person_reads():
    for width in (60, 80, 120):
        shown = run("diff", DEMO, DEMO, TEXTS[0], "--isa-b", "sse4", env={"COLUMNS": str(width)}).stdout
        assert "same: nothing beyond rounding" in " ".join(shown.split()) and "block.3.out" in shown
        assert all(columns(line) <= width for line in shown.splitlines()), width
        assert "█" in shown, width


@test
def what_is_refused():
    with tempfile.TemporaryDirectory() as temporary:
        folder = pathlib.Path(temporary)
        assert "two sides" in run("diff", DEMO, expect=2).stderr
        assert "no rows of their own" in run("diff", DEMO, DEMO, expect=2).stderr
        assert "--tol" in run("diff", DEMO, DEMO, "x", "--tol", "-1", expect=2).stderr
        assert "--tol" in run("diff", DEMO, DEMO, "x", "--tol", "nan", expect=2).stderr
        assert "f64" in run("states", DEMO, "x", "--dtype", "f64", expect=2).stderr
        assert "cuda" in run("diff", DEMO, DEMO, "x", "--device-b", "cuda", expect=2).stderr
        assert "avx9" in run("diff", DEMO, DEMO, "x", "--isa-a", "avx9", expect=2).stderr
        assert "only together with" in run("diff", DEMO, DEMO, "--max-length", "4", expect=2).stderr
        assert "missing.safetensors" in run("diff", DEMO, folder / "missing.safetensors", expect=1).stderr
        (folder / "broken.npz").write_bytes(b"PK\x03\x04 and no more than that, whatever it says")
        assert "is no zip archive" in run("diff", DEMO, folder / "broken.npz", expect=1).stderr
        (folder / "broken.safetensors").write_bytes(b"\xff" * 64)
        assert "broken.safetensors" in run("diff", DEMO, folder / "broken.safetensors", expect=1).stderr
        run("states", DEMO, "x", "-o", folder / "run", "-q")
        assert "--edit" in run("diff", folder / "run", DEMO, "--edit-b", "nonsense", expect=2).stderr
        assert "only the stream of a model" in run("diff", folder / "run", DEMO, "--edit-a", "embed:scale=2", expect=2).stderr
        assert "rows of their own" in run("diff", folder / "run", folder / "run", "x", expect=2).stderr
        rows = ids_file(folder, [{"ids": [1, 2, 3]}])
        report = diff(BERT, DEMO, "-i", rows, expect=6)
        assert report["verdict"] == "incomparable" and report["first"] is None and report["sites"] == []
        assert re.search(r"blocks|wide", report["sentence"])
