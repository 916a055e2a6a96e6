"""`states --edit`: what a user writes, where vectors come from, and what a run remembers."""
import json
import pathlib
import struct
import tempfile

from harness import GPT2, T5, floats, ids_file, objects, read_shard, run, test

ROWS = [{"ids": [1, 2, 3]}, {"ids": [4, 5, 6]}]


def final_of(*words):
    return [row["states"]["final"] for row in objects(run("states", GPT2, *words, "--json", "--layers", "-1").stdout)]


def npy(path, rows):
    shape = f"({len(rows)}, {len(rows[0])})"
    head = f"{{'descr': '<f4', 'fortran_order': False, 'shape': {shape}, }}".ljust(117) + "\n"
    values = [value for row in rows for value in row]
    pathlib.Path(path).write_bytes(b"\x93NUMPY\x01\x00" + struct.pack("<H", len(head)) + head.encode()
                                   + struct.pack(f"<{len(values)}f", *values))


def safetensors(path, tensors):
    header, body = {}, b""
    for name, values in tensors.items():
        data = struct.pack(f"<{len(values)}f", *values)
        header[name] = {"dtype": "F32", "shape": [len(values)], "data_offsets": [len(body), len(body) + len(data)]}
        body += data
    text = json.dumps(header).encode()
    pathlib.Path(path).write_bytes(struct.pack("<Q", len(text)) + text + body)


@test
def edits_from_numbers_files_and_lists_agree():
    with tempfile.TemporaryDirectory() as folder:
        rows = ids_file(folder, ROWS)
        width = len(final_of("-i", rows)[0][0])
        vector = [0.5 + k / 8 for k in range(width)]
        npy(f"{folder}/v.npy", [vector])
        safetensors(f"{folder}/v.safetensors", {"a": [0.0] * width, "steer": vector})
        edits = pathlib.Path(folder) / "edits.json"
        edits.write_text(json.dumps([{"site": "block.0.out", "op": "add", "positions": [1], "values": vector}]))
        wanted = final_of("-i", rows, "--edits", edits)
        assert wanted != final_of("-i", rows) and [row[0] for row in wanted] == [row[0] for row in final_of("-i", rows)]
        assert final_of("-i", rows, "--edit", f"block.0.out:add:1={folder}/v.npy") == wanted
        assert final_of("-i", rows, "--edit", f"block.0.out:add:-2={folder}/v.safetensors:steer") == wanted
        npy(f"{folder}/half.npy", [[value / 2 for value in vector]])
        assert final_of("-i", rows, "--edit", f"block.0.out:add:1=2*{folder}/half.npy") == wanted
        assert final_of("-i", rows, *["--edit", "block.0.out:scale=2", "--edit", "block.0.out:scale=0.5"]) == final_of("-i", rows)
        edits.write_text(json.dumps([{"site": "block.0.out", "op": "add", "positions": "1", "row": 1,
                                      "from": f"{folder}/v.npy"}]))
        only_second = final_of("-i", rows, "--edits", edits)
        assert only_second[0] == final_of("-i", rows)[0] and only_second[1] == wanted[1]
        zero = final_of("-i", rows, "--edit", "block.*.attn.out:set=0", "--edit", "block.*.mlp.out:scale=0")
        (embed,) = [run("states", GPT2, "-i", rows, "--json", "--layers", "-1", "--edit", "block.*.out:scale=1").stdout]
        assert zero != final_of("-i", rows) and [row["states"]["final"] for row in objects(embed)] == final_of("-i", rows)


@test
def a_runs_states_patch_another_row():
    with tempfile.TemporaryDirectory() as folder:
        rows = ids_file(folder, ROWS)
        clean = final_of("-i", rows)
        run("states", GPT2, "-i", rows, "-o", f"{folder}/run", "--sites", "block.*.out", "-q")
        assert final_of("-i", rows, "--edit", f"block.0.out:set={folder}/run:1") == [clean[1], clean[1]]
        assert final_of("-i", rows, "--edit", f"block.0.out:set:0,1,2={folder}/run:1:block.0.out") == [clean[1], clean[1]]
        last = final_of("-i", rows, "--edit", f"block.0.out:set:last={folder}/run:1")
        assert last[0][:2] == clean[0][:2] and last[0][2] != clean[0][2] and last[1] == clean[1]
        moved = final_of("-i", rows, "--edit", f"block.0.out:set:0={folder}/run:1@2")
        assert moved[0][0] != clean[0][0]
        run("states", GPT2, "-i", rows, "-o", f"{folder}/picks", "--sites", "block.0.out", "--positions", "last", "-q")
        assert final_of("-i", rows, "--edit", f"block.0.out:set:-1={folder}/picks:1") == last
        for source, words in ((f"{folder}/run:9", "has no row 9"), (f"{folder}/run:1:embed", "it has block.0.out"),
                              (f"{folder}/run:1@7", "no vector of \"block.0.out\" at position 7"),
                              (f"{folder}/picks:1", "holds picked positions")):
            error = run("states", GPT2, "-i", rows, "--edit", f"block.0.out:set={source}", expect=2).stderr
            assert words in error, error


@test
def a_run_remembers_its_edits():
    with tempfile.TemporaryDirectory() as folder:
        rows = ids_file(folder, ROWS)
        words = ["states", GPT2, "-i", rows, "-o", f"{folder}/run", "--layers", "-1", "--edit"]
        run(*words, "block.0.out:scale=2", "-q")
        _, stored = floats(read_shard(f"{folder}/run/shard-00000.safetensors")["final"])
        printed = final_of("-i", rows, "--edit", "block.0.out:scale=2")
        assert len(stored) == sum(len(token) for row in printed for token in row)
        (edit,) = json.loads(pathlib.Path(f"{folder}/run/manifest.json").read_text())["config"]["edits"]
        assert (edit["site"], edit["op"], edit["positions"], edit["row"]) == ("block.0.out", "scale", "all", None)
        run(*words, "block.0.out:scale=2", "-q")
        for other in ("block.0.out:scale=3", "block.0.out:add=2", "block.1.out:scale=2", "block.0.out:scale:0=2"):
            assert "config.edits" in run(*words, other, expect=2).stderr
        assert "config.edits" in run(*words[:-1], expect=2).stderr


@test
def edits_that_make_no_sense_are_named():
    with tempfile.TemporaryDirectory() as folder:
        rows = ids_file(folder, ROWS)
        npy(f"{folder}/nan.npy", [[float("nan")] * 4])
        npy(f"{folder}/narrow.npy", [[1.0, 2.0]])
        safetensors(f"{folder}/v.safetensors", {"a": [0.0], "b": [1.0]})
        lists = pathlib.Path(folder) / "edits.json"
        for edit, words in (("blok.0.out:add=1", "no such site; those that can be edited: embed, block.{i}.attn.in"),
                            ("block.0.attn.probs:set=0", "cannot be edited"), ("embed:sat=1", "none of add, set, scale"),
                            ("embed=1", "expected SITE:OP"), ("embed:add:x=1", "no position"),
                            ("embed:add=nothing", "cannot tell what"), ("embed:add=nan", "NaN or infinity"),
                            (f"embed:add={folder}/nan.npy", "NaN or infinity, first at element 0"),
                            (f"embed:add={folder}/narrow.npy", "the vectors have 2 elements"),
                            (f"embed:add={folder}/v.safetensors", "which tensor is meant, it holds a, b"),
                            (f"embed:add={folder}/v.safetensors:c", "has no tensor \"c\"")):
            error = run("states", GPT2, "-i", rows, "--edit", edit, expect=2).stderr
            assert words in error, error
        assert "none.npy" in run("states", GPT2, "-i", rows, "--edit", f"embed:add={folder}/none.npy", expect=1).stderr
        for text, words in (('{}', "no JSON list"), ('[1]', "edit 0 is no object"), ('[{"site":"embed"}]', 'lacks "op"'),
                            ('[{"site":"embed","op":"add"}]', 'either "values" or "from"'),
                            ('[{"site":"embed","op":"add","values":[[1],[1,2]]}]', "equally long"),
                            ('[{"site":"embed","op":"add","values":1,"rows":2}]', 'unknown field "rows"')):
            lists.write_text(text)
            error = run("states", GPT2, "-i", rows, "--edits", lists, expect=2).stderr
            assert words in error, error
        assert "--edit: not a flag of embed" in run("embed", GPT2, "x", "--edit", "embed:add=1", expect=2).stderr


@test
def both_stacks_can_be_edited():
    with tempfile.TemporaryDirectory() as folder:
        rows = ids_file(folder, [{"ids": [1, 2, 3], "decoder_ids": [0, 4]}])
        words = ["states", T5, "-i", rows, "--json", "--sites", "enc.final,dec.final"]
        (plain,) = objects(run(*words).stdout)
        (edited,) = objects(run(*words, "--edit", "dec.block.0.cross.v:set:0=1").stdout)
        assert edited["states"]["enc.final"] == plain["states"]["enc.final"]
        assert edited["states"]["dec.final"] != plain["states"]["dec.final"]
