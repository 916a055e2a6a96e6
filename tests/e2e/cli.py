"""Runs the built program as a user does: exit statuses, streams, JSON, pictures, signals.

usage: cli.py PROGRAM [DEMO_MODEL]    the last line counts what passed and failed
"""
import json
import os
import pathlib
import pty
import re
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
import time
import traceback
import unicodedata

ROOT = pathlib.Path(__file__).resolve().parents[2]
GOLDEN = ROOT / "tests/golden"
PROGRAM = str(pathlib.Path(sys.argv[1]).resolve())
DEMO = pathlib.Path(sys.argv[2] if len(sys.argv) > 2 else ROOT / "models/all-MiniLM-L6-v2").resolve()
BERT = str(GOLDEN / "bert-base-v5")
GPT2 = str(GOLDEN / "gpt2-base-v4")
T5 = str(GOLDEN / "t5-base-v5")
PLAIN = {"PATH": os.environ["PATH"], "TERM": "xterm-256color", "LANG": "C.UTF-8"}
TESTS = []


class Skipped(Exception):
    """The machine lacks what the test needs."""


def test(function):
    TESTS.append(function)
    return function


def run(*words, stdin=None, expect=0, env=None, cwd=None):
    """Runs the program; checks its status and that errors are one line."""
    done = subprocess.run([PROGRAM, *map(str, words)], input=stdin, capture_output=True, text=True, timeout=120,
                          env={**PLAIN, **(env or {})}, cwd=cwd)
    assert done.returncode == expect, f"{words}: status {done.returncode}, expected {expect}\n{done.stderr}"
    if expect not in (0, 3, 6):
        assert done.stderr.count("\n") == 1, f"{words}: an error is one line, not {done.stderr!r}"
    return done


def objects(text):
    def refuse(constant):
        raise ValueError(f"{constant} is no JSON")
    return [json.loads(line, parse_constant=refuse) for line in text.splitlines()]


def ids_file(folder, rows, name="rows.jsonl"):
    path = pathlib.Path(folder) / name
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def read_shard(path):
    """A safetensors file without a library: {name: (dtype, shape, bytes)}."""
    data = pathlib.Path(path).read_bytes()
    length = struct.unpack("<Q", data[:8])[0]
    header = json.loads(data[8:8 + length])
    header.pop("__metadata__", None)
    body = data[8 + length:]
    return {name: (entry["dtype"], entry["shape"], body[slice(*entry["data_offsets"])]) for name, entry in header.items()}


def floats(entry):
    dtype, shape, data = entry
    assert dtype == "F32"
    return shape, list(struct.unpack(f"<{len(data) // 4}f", data))


def f32(number):
    return struct.unpack("<f", struct.pack("<f", number))[0]


def columns(line):
    return sum(0 if unicodedata.combining(c) else 2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in line)


ROWS = [{"ids": [1, 2, 3]}, {"ids": [4, 5], "id": "second"}, {"ids": [6], "id": 7}]


@test
def help_version_and_pages():
    assert re.fullmatch(r"layerscope \d+\.\d+\.\d+\n", run("--version").stdout)
    general = run("--help").stdout
    for command in ("inspect", "tokenize", "states", "embed", "verify", "export"):
        assert f"\n  {command} " in general
        assert "Examples:\n  layerscope " + command in run(command, "--help").stdout
    for later in ("search", "logits", "serve", "probe"):
        assert f"\n  {later}" not in general, f"{later} is listed but not built"
    assert run("man").stdout.startswith(".TH LAYERSCOPE 1")
    for shell in ("bash", "zsh", "fish"):
        assert "--layers" in run("completion", shell).stdout or "-l layers" in run("completion", shell).stdout


@test
def usage_errors():
    for words, part in [((), "no command"), (("stats",), "did you mean states?"), (("states",), "MODEL is missing"),
                        (("states", BERT), "nothing to read"), (("states", BERT, "a", "--layer", "0"), "did you mean --layers?"),
                        (("states", BERT, "a", "--device", "cuda"), "not built"), (("inspect", BERT, "--isa", "nonsense"), "nonsense"),
                        (("export", "run"), "--to"), (("verify",), "RUN is missing"), (("completion", "tcsh"), "not one of")]:
        error = run(*words, expect=2).stderr
        assert error.startswith("layerscope: ") and part in error, error


@test
def errors_as_json():
    for words, status, code in [(("inspect", "/nowhere", "--json"), 4, "model"), (("verify", "/nowhere", "--json"), 1, "runtime"),
                                (("states", BERT, "--json", "--sheed", "1"), 2, "usage"),
                                (("states", BERT, "--json", "text"), 1, "input")]:
        done = run(*words, expect=status)
        assert done.stdout == ""
        error = json.loads(done.stderr)
        assert error["code"] == code and error["message"], error


@test
def unknown_sites_are_usage_errors_that_list_the_known():
    with tempfile.TemporaryDirectory() as folder:
        rows = ids_file(folder, ROWS)
        assert "embed" in run("states", BERT, "-i", rows, "--sites", "block.0.nothing", expect=2).stderr
        run("states", BERT, "-i", rows, "--layers", "99", expect=2)
        run("states", BERT, "-i", rows, "--pool", "mean", "--positions", "first", expect=2)


@test
def inspect_objects():
    for model in (BERT, GPT2, T5):
        (info,) = objects(run("inspect", model, "--json").stdout)
        assert {"model_type", "parameters", "stacks", "sites", "tensors"} <= info.keys()
        for stack in info["stacks"]:
            assert len(stack["blocks"]) == stack["layers"] and stack["width"] > 0
        assert len(info["stacks"]) == (2 if model == T5 else 1)
        names = [site["name"] for site in info["sites"]]
        assert ("enc.final" if model == T5 else "final") in names and len(set(names)) == len(names)
        for tensor in info["tensors"]:
            assert {"slot", "source", "cut", "shape", "dtype"} <= tensor.keys()
        layers = {site["hf_index"] for site in info["sites"] if not site["name"].startswith("dec.")} - {None}
        assert layers == set(range(info["stacks"][0]["layers"] + 1))


@test
def inspect_text_folds_blocks():
    folded = run("inspect", BERT).stdout
    assert "block.{i}.attn.q.weight" in folded and "block.0.attn.q.weight" not in folded
    assert "block.0.attn.q.weight" in run("inspect", BERT, "--all").stdout


@test
def states_objects_equal_what_is_stored():
    with tempfile.TemporaryDirectory() as folder:
        rows = ids_file(folder, ROWS)
        printed = objects(run("states", BERT, "-i", rows, "--json").stdout)
        assert [row["id"] for row in printed] == [None, "second", 7] and [row["row"] for row in printed] == [0, 1, 2]
        assert [row["input_ids"] for row in printed] == [row["ids"] for row in ROWS]
        run("states", BERT, "-i", rows, "-o", f"{folder}/run", "-q")
        shard = read_shard(f"{folder}/run/shard-00000.safetensors")
        for site in printed[0]["states"]:
            shape, stored = floats(shard[site])
            flat = [f32(value) for row in printed for token in row["states"][site] for value in token]
            assert flat == stored and shape == [6, len(printed[0]["states"][site][0])], site


@test
def states_do_not_depend_on_threads_or_company():
    with tempfile.TemporaryDirectory() as folder:
        rows = [{"ids": [1 + (k * 7 + j) % 30 for j in range(1 + k % 11)]} for k in range(200)]
        all_rows = run("states", BERT, "-i", ids_file(folder, rows), "--json", "--layers", "-1").stdout.splitlines()
        assert len(all_rows) == 200
        one = run("states", BERT, "-i", ids_file(folder, rows), "--json", "--layers", "-1", "--threads", "1").stdout.splitlines()
        assert all_rows == one
        alone = run("states", BERT, "-i", ids_file(folder, rows[57:58], "one.jsonl"), "--json", "--layers", "-1").stdout
        assert json.loads(alone)["states"] == json.loads(all_rows[57])["states"]


@test
def states_objects_of_other_shapes():
    with tempfile.TemporaryDirectory() as folder:
        rows = ids_file(folder, ROWS)
        pooled = objects(run("states", BERT, "-i", rows, "--json", "--pool", "mean").stdout)
        assert all(len(values) == 1 for row in pooled for values in row["states"].values())
        picked = objects(run("states", BERT, "-i", rows, "--json", "--positions", "0,-1,-2").stdout)
        assert picked[0]["positions"] == [0, 1, 2] and picked[2]["positions"] == [0]
        assert len(picked[0]["states"]["final"]) == 3 and len(picked[2]["states"]["final"]) == 1
        (first, *_) = objects(run("states", BERT, "-i", rows, "--json", "--sites", "block.0.attn.probs").stdout)
        probs = first["states"]["block.0.attn.probs"]
        assert all(len(head) == 3 and all(len(query) == 3 and abs(sum(query) - 1) < 1e-5 for query in head) for head in probs)
        for dtype in ("f16", "bf16"):
            half = objects(run("states", BERT, "-i", rows, "--json", "--layers", "0", "--save-dtype", dtype).stdout)
            full = objects(run("states", BERT, "-i", rows, "--json", "--layers", "0").stdout)
            for a, b in zip(half[0]["states"]["embed"][0], full[0]["states"]["embed"][0]):
                assert abs(a - b) <= 0.01 * abs(b) + 1e-3


@test
def two_stacks():
    with tempfile.TemporaryDirectory() as folder:
        rows = ids_file(folder, [{"ids": [1, 2, 3], "decoder_ids": [0, 4]}])
        (row,) = objects(run("states", T5, "-i", rows, "--json").stdout)
        assert row["input_ids"] == {"enc": [1, 2, 3], "dec": [0, 4]} and row["tokens"].keys() == {"enc", "dec"}
        assert len(row["states"]["enc.final"]) == 3 and len(row["states"]["dec.final"]) == 2
        picture = run("states", T5, "-i", rows).stdout
        assert "encoder" in picture and "decoder" in picture
        assert "cannot be drawn" in run("states", T5, "-i", rows, "--sites", "dec.block.0.cross.k", expect=2).stderr
        (cross,) = objects(run("states", T5, "-i", rows, "--json", "--sites", "dec.block.0.cross.*").stdout)
        assert len(cross["states"]["dec.block.0.cross.k"]) == 3
        assert len(cross["states"]["dec.block.0.cross.probs"][0][0]) == 3


def npy_rows(path):
    """The rows of a two-dimensional float32 .npy."""
    content = pathlib.Path(path).read_bytes()
    size = 10 + struct.unpack("<H", content[8:10])[0]
    header = eval(content[10:size])  # NumPy's own format: a Python literal
    assert header["descr"] == "<f4" and not header["fortran_order"] and size % 64 == 0, header
    count, width = header["shape"]
    values = struct.unpack(f"<{count * width}f", content[size:])
    return [list(values[row * width:(row + 1) * width]) for row in range(count)]


@test
def vectors_are_the_same_wherever_they_go():
    with tempfile.TemporaryDirectory() as folder:
        rows = ids_file(folder, [{"ids": [1 + i % 90] * (1 + i % 13), "id": i} for i in range(300)])
        printed = objects(run("embed", BERT, "-i", rows, "--json").stdout)
        assert [row["id"] for row in printed] == list(range(300)) and set(printed[0]) == {"row", "id", "embedding"}
        vectors = [[f32(value) for value in row["embedding"]] for row in printed]
        run("embed", BERT, "-i", rows, "-o", f"{folder}/a.npy", "--threads", "1", "-q")
        run("embed", BERT, "-i", rows, "-o", f"{folder}/b.npy", "--threads", "3", "-q")
        assert pathlib.Path(f"{folder}/a.npy").read_bytes() == pathlib.Path(f"{folder}/b.npy").read_bytes()
        assert npy_rows(f"{folder}/a.npy") == vectors
        run("embed", BERT, "-i", rows, "-o", f"{folder}/run", "-q")
        shard = read_shard(f"{folder}/run/shard-00000.safetensors")
        assert floats(shard["embedding"])[1] == [value for vector in vectors for value in vector]
        alone = ids_file(folder, [{"ids": [1 + 77 % 90] * (1 + 77 % 13)}], "one.jsonl")
        assert objects(run("embed", BERT, "-i", alone, "--json").stdout)[0]["embedding"] == printed[77]["embedding"]


@test
def a_run_of_vectors_is_resumed_only_as_it_was():
    with tempfile.TemporaryDirectory() as folder:
        rows = ids_file(folder, [{"ids": [1, 2, 3]}])
        words = ["embed", BERT, "-i", rows, "-o", f"{folder}/run"]
        run(*words)
        assert "complete and sound" in run(*words).stderr
        assert "config.embedding" in run(*words, "--pool", "max", expect=2).stderr
        run(*words, "--pool", "max", "--overwrite")
        run("verify", f"{folder}/run")
        manifest = json.loads(pathlib.Path(f"{folder}/run/manifest.json").read_text())
        assert manifest["config"]["embedding"]["pooling"] == ["max"]


@test
def arguments_of_embed_that_make_no_sense():
    with tempfile.TemporaryDirectory() as folder:
        rows = ids_file(folder, [{"ids": [1, 2, 3]}])
        for extra, part in [(["--precision", "int8"], "--precision"), (["--dry-run"], "-o RUN"),
                            (["--normalize", "--no-normalize"], "--no-normalize"), (["--layer", "9"], "9"),
                            (["--truncate-dim", "99"], "99"), (["--prompt-name", "nothing"], "nothing"),
                            (["--sites", "final"], "not a flag of embed"), (["--pool", "none"], "--pool none"),
                            (["-o", f"{folder}/x.npy", "--precision", "int8"], "one vector")]:
            error = run("embed", BERT, "-i", rows, *extra, expect=2).stderr
            assert part in error, error
        assert os.listdir(folder) == ["rows.jsonl"], "something was left behind"
        pathlib.Path(f"{folder}/x.npy").write_text("mine")
        assert "--overwrite" in run("embed", BERT, "-i", rows, "-o", f"{folder}/x.npy", expect=2).stderr
        assert pathlib.Path(f"{folder}/x.npy").read_text() == "mine"


@test
def quantized_vectors():
    with tempfile.TemporaryDirectory() as folder:
        rows = ids_file(folder, [{"ids": [1 + i, 2, 3 + i]} for i in range(20)])
        vectors = [row["embedding"] for row in objects(run("embed", BERT, "-i", rows, "--json").stdout)]
        for precision, width in [("int8", 24), ("uint8", 24), ("binary", 3), ("ubinary", 3)]:
            run("embed", BERT, "-i", rows, "-o", f"{folder}/{precision}.npy", "--precision", precision, "-q")
            content = pathlib.Path(f"{folder}/{precision}.npy").read_bytes()
            assert f"'|{'u' if precision.startswith('u') else 'i'}1'".encode() in content[:128]
            assert len(content) == 128 + 20 * width, precision
        bits = [[sum(1 << (7 - k) for k in range(8) if vector[8 * byte + k] > 0) for byte in range(3)] for vector in vectors]
        ubinary = pathlib.Path(f"{folder}/ubinary.npy").read_bytes()[128:]
        assert list(ubinary) == [byte for row in bits for byte in row]
        binary = struct.unpack("60b", pathlib.Path(f"{folder}/binary.npy").read_bytes()[128:])
        assert list(binary) == [byte - 128 for byte in ubinary]
        uint8 = pathlib.Path(f"{folder}/uint8.npy").read_bytes()[128:]
        for column in range(24):
            values = [vector[column] for vector in vectors]
            stored = [uint8[24 * row + column] for row in range(20)]
            assert stored[values.index(min(values))] == 0 and stored[values.index(max(values))] >= 254, column
        int8 = struct.unpack("480b", pathlib.Path(f"{folder}/int8.npy").read_bytes()[128:])
        assert list(int8) == [value - 128 for value in uint8]


@test
def matrix_of_similarities():
    with tempfile.TemporaryDirectory() as folder:
        rows = ids_file(folder, [{"ids": [1 + i, 2, 3 + i]} for i in range(40)])
        for width in (40, 80, 200):
            done = run("embed", BERT, "-i", rows, env={"COLUMNS": str(width)})
            assert "texts are shown" in done.stderr and "1.00" in done.stdout
            for line in done.stdout.splitlines()[1:]:
                assert columns(line) <= width, (width, line)


@test
def demo_model_vectors_are_those_of_sentence_transformers():
    reference = read_shard(GOLDEN / "all-MiniLM-L6-v2/reference.safetensors")
    for row in objects(run("embed", DEMO, "-i", GOLDEN / "all-MiniLM-L6-v2/texts.jsonl", "--json").stdout):
        expected = reference.get(f"r{row['row']}.embedding")
        if expected is None:
            continue
        pairs = list(zip(row["embedding"], floats(expected)[1], strict=True))
        assert max(abs(a - b) for a, b in pairs) < 1e-5, row["row"]
        assert sum(a * b for a, b in pairs) > 1 - 1e-6, row["row"]


@test
def bad_rows():
    with tempfile.TemporaryDirectory() as folder:
        rows = pathlib.Path(folder) / "rows.jsonl"
        rows.write_text('{"ids":[1]}\n{"ids":[1,99999]}\nnot json\n\n{"ids":[]}\n{"ids":[2]}\n')
        stopped = run("states", BERT, "-i", rows, "--json", "--layers", "0", expect=1)
        assert f"{rows}:2: " in json.loads(stopped.stderr)["message"]
        assert [row["row"] for row in objects(stopped.stdout)] == [0]
        skipped = run("states", BERT, "-i", rows, "--json", "--layers", "0", "--on-bad", "skip", expect=3)
        assert [row["row"] for row in objects(skipped.stdout)] == [0, 5]
        assert len(objects(skipped.stderr)) == 3
        run("states", BERT, "-i", rows, "-o", f"{folder}/run", "--on-bad", "skip", expect=3)
        assert run("verify", f"{folder}/run").returncode == 0
        run("tokenize", BERT, "-i", rows, "--on-bad", "skip", expect=3)
        run("states", BERT, "-i", f"{folder}/absent.txt", expect=1)
        assert "ids" in run("states", BERT, "a text", expect=1).stderr


@test
def stdin_is_read():
    done = run("states", BERT, "-i", "-", "--input-format", "jsonl", "--json", "--layers", "0", stdin='{"ids":[1,2]}\n')
    assert objects(done.stdout)[0]["input_ids"] == [1, 2]


@test
def model_refusals():
    with tempfile.TemporaryDirectory() as folder:
        run("inspect", folder, expect=4)
        copy = pathlib.Path(folder) / "copy"
        shutil.copytree(BERT, copy)
        with open(copy / "model.safetensors", "r+b") as file:
            file.truncate(100)
        assert "model.safetensors" in run("states", copy, "-i", ids_file(folder, ROWS), expect=4).stderr


@test
def models_by_name():
    with tempfile.TemporaryDirectory() as folder:
        commit, repository = "0123456789abcdef" * 2 + "01234567", pathlib.Path(folder) / "hub/models--org--tiny"
        snapshot = repository / "snapshots" / commit
        for path in (repository / "blobs", repository / "refs", snapshot):
            path.mkdir(parents=True)
        (repository / "refs/main").write_text(commit)
        for file in ("config.json", "model.safetensors"):
            shutil.copy(pathlib.Path(BERT) / file, repository / "blobs" / f"etag-{file}")
            (snapshot / file).symlink_to(f"../../blobs/etag-{file}")
        home = {"HF_HOME": folder}
        rows = ids_file(folder, [{"ids": [3, 1, 4]}])
        by_name = run("states", "org/tiny", "-i", rows, "--json", env=home).stdout
        assert by_name == run("states", BERT, "-i", rows, "--json").stdout
        named = objects(run("inspect", f"org/tiny@{commit}", "--json", env=home).stdout)[0]
        assert named["model_type"] == "bert", named
        assert "not in the local cache" in run("inspect", "org/other", expect=4, env=home).stderr
        (repository / "blobs/etag-model.safetensors").rename(repository / "blobs/etag.0a1b2c3d.incomplete")
        assert "partial" in run("inspect", "org/tiny", expect=4, env=home).stderr


@test
def streams_that_fail():
    rows = tempfile.NamedTemporaryFile(suffix=".jsonl", mode="w")
    rows.write('{"ids":[1,2,3]}\n' * 2000)
    rows.flush()
    words = [PROGRAM, "states", BERT, "-i", rows.name, "--json"]
    with open("/dev/full", "w") as full:
        assert subprocess.run(words, stdout=full, stderr=subprocess.DEVNULL, env=PLAIN).returncode == 5
    closed = subprocess.run(["bash", "-c", '"$@" >&-', "bash", *words], stderr=subprocess.PIPE, text=True, env=PLAIN)
    assert closed.returncode == 1 and "standard output" in closed.stderr
    head = subprocess.run(["bash", "-c", '"$@" | head -n 1 >/dev/null; exit ${PIPESTATUS[0]}', "bash", *words],
                          stderr=subprocess.PIPE, text=True, env=PLAIN)
    assert head.returncode == 0 and head.stderr == "", head.stderr


@test
def run_folders():
    with tempfile.TemporaryDirectory() as folder:
        rows, target = ids_file(folder, ROWS), f"{folder}/run"
        dry = run("states", BERT, "-i", rows, "-o", target, "--dry-run")
        assert "3 rows" in dry.stdout and not os.path.exists(target)
        (plan,) = objects(run("states", BERT, "-i", rows, "-o", target, "--dry-run", "--json").stdout)
        assert plan["rows"] == 3 and plan["bytes"] > 0
        first = run("states", BERT, "-i", rows, "-o", target)
        assert first.stdout == "" and "3 rows" in first.stderr and "\r" not in first.stderr
        shard = pathlib.Path(target, "shard-00000.safetensors").read_bytes()
        run("states", BERT, "-i", rows, "-o", target)
        refused = run("states", BERT, "-i", rows, "-o", target, "--layers", "0", expect=2).stderr
        assert "resume" in refused
        quiet = run("states", BERT, "-i", rows, "-o", target, "--overwrite", "-q", "--threads", "1")
        assert quiet.stdout == quiet.stderr == ""
        assert pathlib.Path(target, "shard-00000.safetensors").read_bytes() == shard
        (summary,) = objects(run("states", BERT, "-i", rows, "-o", target, "--overwrite", "--json").stdout)
        assert summary["rows"] == 3 and summary["tokens"] == 6 and summary["shards"] == 1
        (report,) = objects(run("verify", target, "--json").stdout)
        assert report == {"complete": True, "rows": 3, "shards": 1, "damaged": []}
        damaged = bytearray(shard)
        damaged[-1] ^= 1
        pathlib.Path(target, "shard-00000.safetensors").write_bytes(damaged)
        (report,) = objects(run("verify", target, "--json", expect=6).stdout)
        assert [entry["shard"] for entry in report["damaged"]] == [0] and report["damaged"][0]["why"]
        assert "shard 0" in run("verify", target, expect=6).stdout
        run("verify", folder, expect=1)


@test
def exports():
    with tempfile.TemporaryDirectory() as folder:
        run("states", BERT, "-i", ids_file(folder, ROWS), "-o", f"{folder}/run", "-q")
        run("export", f"{folder}/run", "--to", "safetensors", "-o", f"{folder}/all.safetensors")
        assert read_shard(f"{folder}/all.safetensors")["final"] == read_shard(f"{folder}/run/shard-00000.safetensors")["final"]
        run("export", f"{folder}/run", "--to", "npy", "-o", f"{folder}/npy")
        assert any(name.name.endswith(".npy") for name in pathlib.Path(f"{folder}/npy").iterdir())
        (done,) = objects(run("export", f"{folder}/run", "--to", "npz", "-o", f"{folder}/x.npz", "--json").stdout)
        assert done["output"] == f"{folder}/x.npz" and pathlib.Path(done["output"]).read_bytes()[:2] == b"PK"
        run("export", f"{folder}/nothing", "--to", "npz", "-o", f"{folder}/y.npz", expect=1)


@test
def parts():
    with tempfile.TemporaryDirectory() as folder:
        rows = ids_file(folder, ROWS)
        run("states", BERT, "-i", rows, "-o", f"{folder}/run", "--shard", "0/2", "-q")
        run("states", BERT, "-i", rows, "-o", f"{folder}/run", "--shard", "auto/2", "-q", env={"SLURM_ARRAY_TASK_ID": "1"})
        run("states", BERT, "-i", rows, "-o", f"{folder}/run", "--shard", "auto/2", expect=2)
        (report,) = objects(run("verify", f"{folder}/run", "--json").stdout)
        assert report["rows"] == 3 and report["complete"] and not report["damaged"]


def started(words):
    """A running program that heeds SIGINT: what a shell starts in the background inherits that it is ignored."""
    return subprocess.Popen([PROGRAM, *words], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                            env=PLAIN, preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL))


def wait_for(condition, what):
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline, what
        time.sleep(0.005)


@test
def signals_stop_and_the_run_goes_on():
    for number in (signal.SIGINT, signal.SIGTERM):
        with tempfile.TemporaryDirectory() as folder:
            rows = ids_file(folder, [{"ids": [1, 2, 3, 4, 5, 6, 7, 8]}] * 150000)
            words = ["states", BERT, "-i", str(rows), "-o", f"{folder}/run", "--shard-size", "2MB"]
            child = started(words)
            journal = pathlib.Path(folder, "run/journal.jsonl")
            wait_for(lambda: journal.exists() and journal.stat().st_size, "no shard was finished")
            child.send_signal(number)
            _, errors = child.communicate(timeout=60)
            assert child.returncode == 128 + number, (child.returncode, errors)
            assert errors.startswith("layerscope: "), errors
            (report,) = objects(run("verify", f"{folder}/run", "--json").stdout)
            assert not report["complete"] and not report["damaged"] and 0 < report["rows"] < 150000
            run(*words, "-q")
            words[words.index("-o") + 1] = f"{folder}/whole"
            run(*words, "-q")
            shards = sorted(pathlib.Path(folder, "whole").glob("shard-*"))
            assert len(shards) > 10
            for shard in shards:
                assert pathlib.Path(folder, "run", shard.name).read_bytes() == shard.read_bytes(), shard.name


@test
def a_signal_ends_a_wait_for_stdin():
    with tempfile.TemporaryDirectory() as folder:
        for words in (["-o", f"{folder}/run"], []):
            child = started(["states", BERT, "-i", "-", "--input-format", "jsonl", *words])
            child.stdin.write('{"ids":[1,2]}\n')
            child.stdin.flush()
            if words:
                wait_for(lambda: os.path.exists(f"{folder}/run/.lock"), "the run did not begin")
            else:
                assert child.stdout.readline()
            child.send_signal(signal.SIGTERM)
            assert child.wait(timeout=30) == 143
            child.communicate()


@test
def pictures():
    with tempfile.TemporaryDirectory() as folder:
        rows = ids_file(folder, [{"ids": [1, 2, 3]}, {"ids": list(range(1, 7)) * 2}])
        for width in (40, 80, 120):
            for extra in ([], ["--measure", "step"], ["--measure", "drift"], ["--pool", "mean"], ["--sites", "block.*.mlp.*"]):
                done = run("states", GPT2, "-i", rows, *extra, env={"COLUMNS": str(width)})
                assert "\033" not in done.stdout
                for line in done.stdout.splitlines():
                    assert columns(line) <= width, (width, extra, line)
        assert "\033[48;5;" in run("states", GPT2, "-i", rows, "--color").stdout
        assert "\033[48;2;" in run("states", GPT2, "-i", rows, "--color", env={"COLORTERM": "truecolor"}).stdout


def on_terminal(words, env):
    """What the program writes when all its streams are one terminal."""
    try:
        pid, terminal = pty.fork()
    except OSError as error:  # a root without /dev/pts
        raise Skipped(f"no terminal to be had: {error}") from error
    if pid == 0:
        os.execvpe(PROGRAM, [PROGRAM, *words], {**PLAIN, **env})
    out = b""
    try:
        while chunk := os.read(terminal, 65536):
            out += chunk
    except OSError:
        pass
    os.close(terminal)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    return out.decode()


@test
def colour_is_for_terminals_that_want_it():
    with tempfile.TemporaryDirectory() as folder:
        words = ["states", GPT2, "-i", str(ids_file(folder, ROWS))]
        assert "\033[48;5;" in on_terminal(words, {})
        assert "\033" in on_terminal(words, {"NO_COLOR": ""})
        for env, extra in (({"NO_COLOR": "1"}, []), ({"TERM": "dumb"}, []), ({}, ["--no-color"])):
            assert "\033" not in on_terminal(words + extra, env), (env, extra)


@test
def demo_model_tokens():
    (row,) = objects(run("tokenize", DEMO, "Größe: 日本", "--json").stdout)
    assert row["tokens"][0] == "[CLS]" and row["special"][0] == 1 and row["offsets"][0] is None and row["sequence"][0] is None
    text = "Größe: 日本"
    assert "".join(text[a:b] for offset in row["offsets"] if offset for a, b in [offset]) == text.replace(" ", "")
    lengths = {len(row[key]) for key in ("ids", "type_ids", "tokens", "special", "offsets", "sequence")}
    assert lengths == {len(row["ids"])}
    (pair,) = objects(run("tokenize", DEMO, "-i", "-", "--input-format", "jsonl", "--json", stdin='{"text":"a","pair":"b"}\n').stdout)
    assert pair["sequence"] == [None, 0, None, 1, None] and pair["type_ids"] == [0, 0, 0, 1, 1]
    bare = objects(run("tokenize", DEMO, "a b", "--json", "--no-special-tokens").stdout)[0]
    assert bare["special"] == [0, 0]
    cut = objects(run("tokenize", DEMO, "a b c d e f", "--json", "--max-length", "4", "--on-long", "truncate").stdout)[0]
    assert cut["tokens"] == ["[CLS]", "a", "b", "[SEP]"] and cut["offsets"] == [None, [0, 1], [2, 3], None]
    run("tokenize", DEMO, "a b c d e f", "--max-length", "4", expect=1)
    table = run("tokenize", DEMO, "Größe: 日本\033[31m").stdout
    assert "\033" not in table and "日" in table


@test
def demo_model_texts_with_odd_characters_are_drawn():
    for text in ("日本語のテキスト", "👩‍💻 writes", "a\tb\nc\033[31m", "[CLS] [a,b]", "", "-dash"):
        done = run("states", DEMO, "--", text)
        assert "\033" not in done.stdout
        for line in done.stdout.splitlines():
            assert columns(line) <= 82, line


def main():
    failed = skipped = 0
    for function in TESTS:
        needs_demo = function.__name__.startswith("demo_model")
        if needs_demo and not (DEMO / "config.json").exists():
            print(f"skipped {function.__name__}: no {DEMO}")
            skipped += 1
            continue
        try:
            function()
            print(f"passed  {function.__name__}")
        except Skipped as why:
            print(f"skipped {function.__name__}: {why}")
            skipped += 1
        except Exception:
            failed += 1
            print(f"FAILED  {function.__name__}")
            traceback.print_exc(file=sys.stdout)
    counts = f"{len(TESTS) - failed - skipped} passed, {failed} failed"
    print(counts + (f", {skipped} skipped" if skipped else ""))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
