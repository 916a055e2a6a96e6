"""Run folders: stored, resumed, exported, in parts, stopped by signals."""
import os
import pathlib
import signal
import tempfile

from harness import BERT, ROWS, ids_file, objects, read_shard, run, started, test, wait_for


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
