"""What the tests of the built program share: running it, reading what it wrote, counting what passed."""
import json
import os
import pathlib
import pty
import signal
import struct
import subprocess
import sys
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
ROWS = [{"ids": [1, 2, 3]}, {"ids": [4, 5], "id": "second"}, {"ids": [6], "id": 7}]


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


def started(words):
    """A running program that heeds SIGINT: what a shell starts in the background inherits that it is ignored."""
    return subprocess.Popen([PROGRAM, *words], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                            env=PLAIN, preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL))


def wait_for(condition, what):
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline, what
        time.sleep(0.005)


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
