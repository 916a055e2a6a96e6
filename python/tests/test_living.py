"""How the package lives in a process: memory, threads, signals, errors."""

import gc
import os
import pickle
import signal
import subprocess
import sys
import threading

import numpy as np
import pytest

import layerscope
from conftest import GOLDEN, TEXTS


def test_arrays_outlive_their_model():
    model = layerscope.AutoModel.from_pretrained(GOLDEN / "bert-base-v5")
    out = model([[5, 6, 7]], output_hidden_states=True)
    states = layerscope.open(GOLDEN / "bert-base-v5").states([[5, 6, 7]])
    kept = out.last_hidden_state.copy()
    del model
    gc.collect()
    np.zeros(1 << 20)
    assert np.array_equal(out.last_hidden_state, kept) and np.array_equal(states["final"][0], kept[0])
    out.last_hidden_state[:] = 0  # the caller's own


@pytest.mark.skipif(not os.path.exists("/proc/self/statm"), reason="memory is read from /proc")
def test_ten_thousand_calls_leave_nothing_behind():
    """In a process of its own, whose heap has no room left over from other tests."""
    program = f"""
import gc, numpy, layerscope
model = layerscope.AutoModel.from_pretrained({str(GOLDEN / "bert-base-v5")!r}, threads=1)
tokens = numpy.array([[5, 6, 7, 8]])
def resident(calls):
    for _ in range(calls):
        model(tokens, output_hidden_states=True)
    gc.collect()
    return int(open("/proc/self/statm").read().split()[1])
before = resident(2000)
print(resident(10000) - before)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=600)
    assert done.stderr == "" and int(done.stdout) * os.sysconf("SC_PAGESIZE") < 10000 * 32


def test_threads_share_a_model(folder, tokenizer):
    model = layerscope.AutoModel.from_pretrained(folder, threads=2)
    batches = [tokenizer(TEXTS[i:] + TEXTS[:i], padding=True, return_tensors="np") for i in range(4)]
    expected = [model(**batch).last_hidden_state for batch in batches]
    wrong = []

    def work(number):
        for _ in range(5):
            if not np.array_equal(model(**batches[number % 4]).last_hidden_state, expected[number % 4]):
                wrong.append(number)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def test_other_threads_run_meanwhile(folder):
    model = layerscope.AutoModel.from_pretrained(folder, threads=1)
    counted, done = [0], threading.Event()

    def count():
        while not done.is_set():
            counted[0] += 1

    thread = threading.Thread(target=count)
    thread.start()
    before = counted[0]
    model(np.full((16, 256), 2088))
    during = counted[0] - before
    done.set()
    thread.join()
    assert during > 1000


def test_control_c_ends_a_long_call(folder):
    program = f"""
import os, signal, threading, numpy as np, layerscope
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background jobs begin with it ignored
model = layerscope.AutoModel.from_pretrained({folder!r}, threads=1)
ids = np.full((4000, 500), 2088)
threading.Timer(1.0, os.kill, (os.getpid(), signal.SIGINT)).start()
try:
    model(ids)
except KeyboardInterrupt:
    print("stopped", model([[101, 102]]).last_hidden_state.shape)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=300)
    assert done.stdout == "stopped (1, 2, 384)\n", done.stderr


def test_errors_have_one_root_and_the_names_of_python():
    assert issubclass(layerscope.Error, RuntimeError)
    for kind in (layerscope.UsageError, layerscope.InputError):
        assert issubclass(kind, layerscope.Error) and issubclass(kind, ValueError)
    for kind in layerscope.errors.BY_CODE.values():
        assert issubclass(kind, layerscope.Error)
    with pytest.raises(layerscope.ModelError, match="no/such") as caught:
        layerscope.open("no/such")
    assert caught.value.code == "model" and "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "options, kind",
    [
        ({"layers": "9"}, layerscope.UsageError),
        ({"sites": "block.0.attn.quack"}, layerscope.UsageError),
        ({"pool": "most"}, layerscope.UsageError),
        ({"edits": [("final", "turn", "all", 1.0)]}, layerscope.UsageError),
        ({"edits": [("final", "add", "all", [1.0, 2.0])]}, layerscope.UsageError),
        ({"max_length": 0}, layerscope.UsageError),
    ],
)
def test_requests_that_make_no_sense(folder, options, kind):
    with pytest.raises(kind):
        layerscope.open(folder).states(["a"], **options)


def test_edits_change_what_follows(folder):
    model = layerscope.open(folder)
    plain, edited = model.states(["a b"]), model.states(["a b"], edits=[("block.2.out", "scale", "all", 2.0)])
    assert np.array_equal(edited["block.1.out"].values, plain["block.1.out"].values)
    assert np.array_equal(edited["block.2.out"].values, plain["block.2.out"].values * 2)
    assert not np.array_equal(edited["final"].values, plain["final"].values)


def test_rows_of_every_kind(folder, tokenizer):
    model = layerscope.open(folder)
    ids = tokenizer("a b")["input_ids"]
    by_text, by_ids = model.states(["a b"], layers=-1), model.states([ids], layers=-1)
    assert np.array_equal(by_text["final"].values, by_ids["final"].values)
    assert by_text.tokens == [["[CLS]", "a", "b", "[SEP]"]] and by_text.special[0].tolist() == [1, 0, 0, 1]
    pair = model.states([("a", "b")], layers=-1)
    assert np.array_equal(pair["final"].values, model.states([{"text": "a", "pair": "b", "id": 3}], layers=-1)["final"].values)
    assert np.array_equal(model.states("a b", layers=-1)["final"].values, by_text["final"].values)
    assert len(model.states([])["final"]) == 0
    with pytest.raises(layerscope.InputError, match="row 1"):
        model.states(["a", [40000]])
    with pytest.raises(layerscope.UsageError):
        model.states([3.5])


def test_what_a_model_says_of_itself(folder):
    model = layerscope.open(folder)
    described = model.inspect()
    assert described["model_type"] == model._model.model_type and described["parameters"] == 22713216
    assert [site["name"] for site in described["sites"]] == model.sites
    assert "block 0..5" in repr(model)


def test_outputs_can_be_pickled(model):
    out = model([[101, 102]], output_hidden_states=True)
    again = pickle.loads(pickle.dumps(out))
    assert type(again) is type(out) and np.array_equal(again.last_hidden_state, out.last_hidden_state)


def test_signal_handlers_are_left_alone(model):
    handler = signal.getsignal(signal.SIGINT)
    model([[101, 102]])
    assert signal.getsignal(signal.SIGINT) is handler
