"""The program as a whole: help, errors, rows, models by name, inspect and tokenize."""
import json
import pathlib
import re
import shutil
import subprocess
import tempfile

from harness import BERT, DEMO, GPT2, PLAIN, PROGRAM, ROWS, T5, ids_file, objects, run, test


@test
def help_version_and_pages():
    assert re.fullmatch(r"layerscope \d+\.\d+\.\d+\n", run("--version").stdout)
    general = run("--help").stdout
    for command in ("inspect", "tokenize", "states", "embed", "search", "cluster", "logits", "lens", "verify", "export"):
        assert f"\n  {command} " in general
        assert "Examples:\n  layerscope " + command in run(command, "--help").stdout
    for later in ("serve",):
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
