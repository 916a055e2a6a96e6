"""`generate`: what it prints, what it stores, what it refuses."""
import json
import pathlib
import shutil
import subprocess
import tempfile

from harness import BERT, GOLDEN, PLAIN, PROGRAM, ROOT, floats, ids_file, objects, read_shard, run, test

LLAMA = str(GOLDEN / "llama-lm-v5")
T5 = str(GOLDEN / "t5-head-v4")
ROWS = [{"ids": [3, 4, 5]}, {"ids": [9], "id": "second"}, {"ids": [7, 8, 9, 10, 11, 12]}]


def shards(folder):
    return {path.name: path.read_bytes() for path in sorted(pathlib.Path(folder).glob("shard-*"))}


def exported(folder, name="states"):
    """The tensors of a run as lists, by name."""
    target = pathlib.Path(folder).parent / f"{name}.safetensors"
    run("export", folder, "--to", "safetensors", "-o", target, "--overwrite", "-q")
    data = target.read_bytes()
    length = int.from_bytes(data[:8], "little")
    header = json.loads(data[8:8 + length])
    kinds = {"I32": "i", "I64": "q", "F32": "f", "U8": "B"}
    return {key: memoryview(data[8 + length + value["data_offsets"][0]:8 + length + value["data_offsets"][1]])
            .cast(kinds[value["dtype"]]).tolist() for key, value in header.items() if key != "__metadata__"}


@test
def json_rows():
    with tempfile.TemporaryDirectory() as folder:
        rows = ids_file(folder, ROWS)
        made = objects(run("generate", LLAMA, "-i", rows, "--max-new-tokens", 6, "--json").stdout)
        assert [row["row"] for row in made] == [0, 1, 2] and [row["id"] for row in made] == [None, "second", None]
        assert [row["prompt_ids"] for row in made] == [row["ids"] for row in ROWS]
        assert all(len(row["output_ids"]) == 6 and row["finish"] == "length" and row["text"] is None for row in made)
        two = objects(run("generate", T5, "-i", rows, "--max-new-tokens", 3, "--ignore-eos", "--json").stdout)
        assert [row["decoder_ids"] for row in two] == [[0]] * 3
        assert len(run("generate", LLAMA, "-i", rows, "--max-new-tokens", 6).stdout.split("row ")) == 4


@test
def samples_depend_on_seed_and_row_alone():
    with tempfile.TemporaryDirectory() as folder:
        flags = ["--max-new-tokens", 12, "--temperature", 1, "--ignore-eos", "--json"]

        def outputs(rows, *more):
            path = ids_file(folder, rows)
            return [row["output_ids"] for row in objects(run("generate", LLAMA, "-i", path, *flags, *more).stdout)]
        made = outputs(ROWS, "--seed", 4)
        assert outputs(ROWS, "--seed", 4, "--threads", 3) == made
        assert outputs(ROWS[:1], "--seed", 4) == made[:1]
        assert outputs(ROWS, "--seed", 5) != made


@test
def a_run_holds_prompt_output_and_states():
    with tempfile.TemporaryDirectory() as folder:
        rows = ids_file(folder, ROWS)
        flags = ["-i", rows, "--max-new-tokens", 6, "--ignore-eos", "--layers", "0,-1", "-q"]
        made = objects(run("generate", LLAMA, "-i", rows, "--max-new-tokens", 6, "--ignore-eos", "--json").stdout)
        target = f"{folder}/run"
        run("generate", LLAMA, *flags, "-o", target)
        tensors = exported(target)
        assert tensors["prompt_len"] == [3, 1, 6] and tensors["output_offsets"] == [0, 6, 12, 18]
        assert tensors["output_ids"] == [token for row in made for token in row["output_ids"]]
        whole = [row["prompt_ids"] + row["output_ids"][:-1] for row in made]
        assert tensors["input_ids"] == [token for row in whole for token in row]
        # The states are those of the whole sequence.
        again = ids_file(folder, [{"ids": row} for row in whole], "whole.jsonl")
        run("states", LLAMA, "-i", again, "--layers", "0,-1", "-o", f"{folder}/states", "-q")
        expected = exported(f"{folder}/states", "whole")
        for site in ("embed", "final"):
            distance = sum((a - b) ** 2 for a, b in zip(tensors[site], expected[site]))
            assert len(tensors[site]) == len(expected[site])
            assert distance <= 1e-10 * sum(b * b for b in expected[site]), site
        run("generate", LLAMA, *flags, "-o", f"{folder}/last", "--last-state")
        assert exported(f"{folder}/last", "last")["offsets"] == [0, 9, 16, 28]
        assert objects(run("verify", target, "--json").stdout)[0]["complete"]


@test
def every_way_of_storing():
    with tempfile.TemporaryDirectory() as folder:
        rows = ids_file(folder, ROWS)
        for name, words in enumerate([["--pool", "mean"], ["--positions", "-1,0"], ["--positions", "sample:2"],
                                      ["--mix", "0..1"], ["--sites", "block.0.attn.probs,logits"],
                                      ["--save-dtype", "bf16"]]):
            for model in (LLAMA, T5):
                sites = words if model == LLAMA else [word.replace("block.0.attn", "dec.block.0.attn") for word in words]
                if words[0] == "--mix" and model == T5:
                    sites = ["--mix", "dec:0..1"]
                target = f"{folder}/{name}-{pathlib.Path(model).name}"
                run("generate", model, "-i", rows, "--max-new-tokens", 5, *sites, "-o", target, "-q")
                run("verify", target, "-q")


@test
def a_killed_run_goes_on_to_the_same_bytes():
    with tempfile.TemporaryDirectory() as folder:
        rows = ids_file(folder, [{"ids": [3 + k % 50, 4]} for k in range(300)])
        flags = ["-i", rows, "--max-new-tokens", 30, "--temperature", 1, "--shard-size", "50kB", "-q"]
        whole, part = f"{folder}/whole", f"{folder}/part"
        run("generate", LLAMA, *flags, "-o", whole)
        expected = shards(whole)
        assert len(expected) > 20
        words = [PROGRAM, "generate", LLAMA, *map(str, flags), "-o", part]
        with subprocess.Popen(words, env=PLAIN, stderr=subprocess.DEVNULL) as process:
            while process.poll() is None and not pathlib.Path(part, "shard-00002.safetensors").exists():
                pass
            process.kill()
        run("verify", part, "-q")
        run("generate", LLAMA, *flags, "-o", part, "--threads", 2)
        assert shards(part) == expected
        changed = run("generate", LLAMA, *flags, "-o", whole, "--seed", 3, expect=2).stderr
        assert "seed" in changed, changed


@test
def what_cannot_be_is_refused():
    with tempfile.TemporaryDirectory() as folder:
        rows = ids_file(folder, ROWS)
        assert "writes no text" in run("generate", BERT, "-i", rows, expect=4).stderr
        long = run("generate", str(GOLDEN / "opt-base-v4"), "-i", rows, "--max-new-tokens", 4000, expect=1).stderr
        assert "4000 new ones" in long and "--max-new-tokens" in long, long
        large = run("generate", LLAMA, "-i", rows, "--max-new-tokens", 2**31 - 1, expect=5).stderr
        assert "bytes" in large and "tokens" in large, large
        run("generate", LLAMA, "-i", rows, "--stop", "a", expect=2)
        for words in (["--temperature", "-1"], ["--temperature", "nan"], ["--top-p", "2"], ["--top-k", "-1"],
                      ["--max-new-tokens", "0"], ["--layers", "all"], ["--stop", ""], ["--repetition-penalty", "0"]):
            run("generate", LLAMA, "-i", rows, *words, expect=2)
        beams = pathlib.Path(folder, "beams")
        shutil.copytree(LLAMA, beams)
        (beams / "generation_config.json").write_text('{"num_beams": 4}')
        assert "num_beams" in run("generate", beams, "-i", rows, expect=4).stderr
        run("generate", beams, "-i", rows, "--temperature", 0, "--max-new-tokens", 2, "-q")


@test
def a_plan_without_work():
    with tempfile.TemporaryDirectory() as folder:
        rows = ids_file(folder, ROWS)
        plan = objects(run("generate", T5, "-i", rows, "--dry-run", "--json").stdout)[0]
        assert plan["rows"] == 3 and plan["cache"]["bytes"] > 0 and plan["cache"]["source_token_bytes"] > 0
        stored = run("generate", LLAMA, "-i", rows, "-o", f"{folder}/run", "--dry-run", "--json").stdout
        assert objects(stored)[0]["rows"] == 3 and not pathlib.Path(folder, "run").exists()


@test
def an_edit_is_there_in_every_step():
    with tempfile.TemporaryDirectory() as folder:
        rows = ids_file(folder, ROWS[:1])
        flags = ["-i", rows, "--max-new-tokens", 5, "--ignore-eos"]

        def written(name, *more):
            """Outputs, and the states block by block, of the row as it is stored."""
            run("generate", LLAMA, *flags, "--sites", "block.*.out,final", "-o", f"{folder}/{name}", "-q", *more)
            return exported(f"{folder}/{name}", name)
        plain, edit = written("plain"), ["--edit", "block.0.out:add:2=3"]
        edited = written("edited", *edit)
        (printed,) = objects(run("generate", LLAMA, *flags, *edit, "--json").stdout)
        assert printed["output_ids"] == edited["output_ids"] != plain["output_ids"]
        # The states are those that `states` gives for the whole sequence under the same edit.
        whole = ids_file(folder, [{"ids": edited["input_ids"]}], "whole.jsonl")
        run("states", LLAMA, "-i", whole, "--sites", "block.*.out,final", *edit, "-o", f"{folder}/states", "-q")
        expected = exported(f"{folder}/states", "whole")
        for site in ("block.0.out", "block.1.out", "final"):
            distance = sum((a - b) ** 2 for a, b in zip(edited[site], expected[site], strict=True))
            assert distance <= 1e-10 * sum(b * b for b in expected[site]), site
        width = len(plain["final"]) // len(plain["input_ids"])
        assert edited["final"][:2 * width] == plain["final"][:2 * width], "tokens before the edited one"
        assert edited["final"][2 * width:3 * width] != plain["final"][2 * width:3 * width]
        # Negative positions count from the prompt's end, others go on into what is written.
        assert written("last", "--edit", "block.0.out:add:-1=3") == edited
        later = written("later", "--edit", "block.0.out:add:4=3")
        assert later["final"][:4 * width] == plain["final"][:4 * width]
        assert later["final"][4 * width:5 * width] != plain["final"][4 * width:5 * width]


@test
def setting_what_is_there_changes_nothing():
    with tempfile.TemporaryDirectory() as folder:
        rows = ids_file(folder, ROWS[:1])
        run("states", LLAMA, "-i", rows, "--sites", "block.0.out", "-o", f"{folder}/there", "-q")
        flags = ["-i", rows, "--max-new-tokens", 5, "--ignore-eos", "--layers", "0,-1", "-q"]
        run("generate", LLAMA, *flags, "-o", f"{folder}/plain")
        for name, edit in (("same", f"set:0,1,2={folder}/there:0"), ("other", f"set:0,1,2=-1*{folder}/there:0")):
            run("generate", LLAMA, *flags, "-o", f"{folder}/{name}", "--edit", f"block.0.out:{edit}")
        assert shards(f"{folder}/same") == shards(f"{folder}/plain") != shards(f"{folder}/other")


@test
def chats_are_written_by_the_template():
    with tempfile.TemporaryDirectory() as folder:
        model = pathlib.Path(folder, "model")
        shutil.copytree(ROOT / "tests/data/alice/causal", model)
        (model / "chat_template.jinja").write_text(
            "{% for m in messages %}{{ m.role }}: {{ m.content }}\n{% endfor %}{% if add_generation_prompt %}Alice:{% endif %}")

        def made(*words):
            rows = objects(run("generate", model, *words, "--max-new-tokens", 8, "--ignore-eos", "--json").stdout)
            return [(row["prompt_ids"], row["output_ids"], row["text"]) for row in rows]
        plain = made("system: Be brief.\nuser: Who are you?\nAlice:", "--no-special-tokens")
        assert made("--chat", "--system", "Be brief.", "Who are you?") == plain
        messages = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Who are you?"}]
        assert made("--chat", "-i", ids_file(folder, [{"messages": messages}])) == plain
        assert made("--chat", "Who are you?") == made("user: Who are you?\nAlice:", "--no-special-tokens") != plain
        assert made("Who are you?")[0][0] != plain[0][0]
