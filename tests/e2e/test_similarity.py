"""`similarity`, and the pages that commands write with --html."""
import base64
import hashlib
import html.parser
import json
import math
import pathlib
import random
import re
import struct
import tempfile

from harness import BERT, GOLDEN, T5, Skipped, DEMO, columns, ids_file, objects, on_terminal, read_shard, run, test

SMALL = [{"ids": [1 + (7 * row + 3 * at) % 55 for at in range(3 + row % 5)]} for row in range(40)]
# What a page may hold: no element that fetches, and no attribute that names another place or runs.
FETCHING = {"link", "img", "iframe", "object", "embed", "base", "form", "video", "audio", "source", "a", "svg"}


class Page(html.parser.HTMLParser):
    """A page taken apart: its elements, the texts of its scripts, the plots, and its policy."""

    def __init__(self, text):
        super().__init__()
        self.scripts, self.plots, self.elements, self.policy, self.text = [], [], [], "", ""
        self.inside = None
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attributes):
        named = dict(attributes)
        self.elements.append((tag, named))
        assert tag not in FETCHING, (tag, named)
        for name, value in attributes:
            assert name not in ("src", "href", "srcset", "action", "data", "ping") and not name.startswith("on"), (tag, name)
            assert "url(" not in (value or ""), (tag, value)
        if named.get("http-equiv") == "Content-Security-Policy":
            self.policy = named["content"]
        if tag == "script":
            self.inside = self.plots if named.get("type") == "application/json" else self.scripts
            self.inside.append("")
        elif tag == "style":
            self.inside = [""]

    def handle_endtag(self, tag):
        if tag in ("script", "style"):
            self.inside = None

    def handle_data(self, data):
        if self.inside is None:
            self.text += data
        else:
            self.inside[-1] += data


def sound_page(path):
    """The page's parts, once it is known to need nothing else and to let nothing run but its own two scripts."""
    text = pathlib.Path(path).read_text(encoding="utf-8")
    page = Page(text)
    allowed = set(re.findall(r"'sha256-([^']+)'", page.policy))
    found = {base64.b64encode(hashlib.sha256(script.encode()).digest()).decode() for script in page.scripts}
    assert allowed == found and len(page.scripts) == 2, (allowed, found)
    assert page.policy.startswith("default-src 'none'") and "unsafe-eval" not in page.policy
    assert "unsafe-inline" not in re.search(r"script-src [^;]*", page.policy)[0]
    assert "sourceMappingURL" not in text
    page.plots = [json.loads(plot) for plot in page.plots]
    for plot in page.plots:
        for curve in plot["curves"]:
            assert len(curve["values"]) == len(plot["names"]), plot
    return page


def centred(vectors):
    means = [math.fsum(column) / len(vectors) for column in zip(*vectors)]
    return [[value - mean for value, mean in zip(vector, means)] for vector in vectors]


def dot(a, b):
    return math.fsum(x * y for x, y in zip(a, b))


def plain_cka(x, y):
    """Kornblith et al. 2019, equation 3 with linear kernels, over the Gram matrices."""
    x, y = centred(x), centred(y)
    k, l = ([[dot(a, b) for b in rows] for a in rows] for rows in (x, y))
    inner = lambda p, q: math.fsum(dot(a, b) for a, b in zip(p, q))
    return inner(k, l) / math.sqrt(inner(k, k) * inner(l, l))


def stored(folder):
    """The layers of a run of one shard, as lists of vectors."""
    shard = read_shard(f"{folder}/shard-00000.safetensors")
    out = {}
    for name, (dtype, shape, data) in shard.items():
        if dtype == "F32" and len(shape) == 2:
            values = struct.unpack(f"<{shape[0] * shape[1]}f", data)
            out[name] = [values[at:at + shape[1]] for at in range(0, len(values), shape[1])]
    return out


@test
def similarity_of_a_run_is_that_of_plain_loops():
    with tempfile.TemporaryDirectory() as folder:
        rows = ids_file(folder, SMALL)
        run("states", BERT, "-i", rows, "-o", f"{folder}/run", "-q")
        (found,) = objects(run("similarity", f"{folder}/run", "--json").stdout)
        layers = stored(f"{folder}/run")
        names = [layer["site"] for layer in found["layers"]]
        assert names[0] == "embed" and names[-1] == "final" and [layer["hf_index"] for layer in found["layers"]] == list(range(len(names)))
        assert found["rows"] == 40 and found["vectors"] == len(layers["embed"]) == found["ranked_vectors"] and found["b"] is None
        for a, left in enumerate(names):
            vectors = layers[left]
            norms = [math.sqrt(dot(v, v)) for v in vectors]
            units = [[value / norm for value in v] for v, norm in zip(vectors, norms)]
            pairs = [dot(units[i], units[j]) for i in range(len(units)) for j in range(i)]
            layer = found["layers"][a]
            assert math.isclose(layer["norm"], math.fsum(norms) / len(norms), rel_tol=1e-9)
            assert math.isclose(layer["anisotropy"], math.fsum(pairs) / len(pairs), abs_tol=1e-9)
            if a > 0:
                before = layers[names[a - 1]]
                cosines = [dot(x, y) / math.sqrt(dot(x, x) * dot(y, y)) for x, y in zip(vectors, before)]
                assert math.isclose(layer["cosine_before"], math.fsum(cosines) / len(cosines), abs_tol=1e-9)
            else:
                assert layer["cosine_before"] is None
            assert 1 <= layer["effective_rank"] <= layer["width"] and layer["cosine_other"] is None
            for b, right in enumerate(names):
                assert abs(found["cka"][a][b] - plain_cka(vectors, layers[right])) < 1e-9, (left, right)
                assert found["rsa"][a][b] == found["rsa"][b][a] and abs(found["rsa"][a][a] - 1) < 1e-12


@test
def similarity_is_the_same_however_it_is_read():
    with tempfile.TemporaryDirectory() as folder:
        rows = ids_file(folder, SMALL)
        run("states", BERT, "-i", rows, "-o", f"{folder}/run", "-q", "--shard-size", "4000")
        for part in range(3):
            run("states", BERT, "-i", rows, "-o", f"{folder}/parts", "-q", "--shard", f"{part}/3")
        numbers = lambda text: {**objects(text)[0], "a": "", "b": ""}
        of_run = numbers(run("similarity", f"{folder}/run", "--json", "--threads", "1").stdout)
        for words in [(f"{folder}/run", "--threads", "3"), (f"{folder}/parts",), (BERT, "-i", rows, "--threads", "2")]:
            assert numbers(run("similarity", *words, "--json").stdout) == of_run, words
        few = numbers(run("similarity", f"{folder}/run", "--rows", "30", "--json", "--seed", "5").stdout)
        assert few["vectors"] == few["ranked_vectors"] == 30
        assert few == numbers(run("similarity", BERT, "-i", rows, "--rows", "30", "--json", "--seed", "5").stdout)
        assert few != numbers(run("similarity", BERT, "-i", rows, "--rows", "30", "--json", "--seed", "6").stdout)
        every = numbers(run("similarity", f"{folder}/run", "--rows", "100000", "--json").stdout)
        assert every["vectors"] == of_run["vectors"]
        for a, b in zip(sum(every["cka"], []), sum(of_run["cka"], [])):
            assert abs(a - b) < 1e-10
        picked = numbers(run("similarity", BERT, "-i", rows, "--positions", "first", "--layers", "0,-1", "--json").stdout)
        run("states", BERT, "-i", rows, "-o", f"{folder}/first", "-q", "--positions", "first", "--layers", "0,-1")
        assert picked == numbers(run("similarity", f"{folder}/first", "--json").stdout) and len(picked["layers"]) == 2


@test
def similarity_of_two_sides():
    with tempfile.TemporaryDirectory() as folder:
        rows = ids_file(folder, SMALL)
        other = str(GOLDEN / "bert-heads-v5")
        run("states", BERT, "-i", rows, "-o", f"{folder}/run", "-q")
        (itself,) = objects(run("similarity", f"{folder}/run", BERT, "-i", rows, "--json").stdout)
        half = len(itself["layers"]) // 2
        assert [layer["side"] for layer in itself["layers"]] == ["a"] * half + ["b"] * half
        for k in range(half):
            assert abs(itself["cka"][k][half + k] - 1) < 1e-12 and abs(itself["layers"][k]["cosine_other"] - 1) < 1e-12
            assert itself["layers"][k]["norm"] == itself["layers"][half + k]["norm"]
        (pair,) = objects(run("similarity", BERT, other, "-i", rows, "--pool", "mean", "--json").stdout)
        assert pair["vectors"] == 40 and pair["cka"][0][-1] == pair["cka"][-1][0] < 1
        run("states", BERT, "-i", rows, "-o", f"{folder}/short", "-q", "--layers", "-1")
        less = ids_file(folder, SMALL[:30], "less.jsonl")
        run("states", BERT, "-i", less, "-o", f"{folder}/less", "-q")
        done = run("similarity", f"{folder}/less", f"{folder}/short", "--json")
        (some,) = objects(done.stdout)
        assert some["rows"] == 30 and some["unmatched_rows"] > 0 and "one side only" in done.stderr
        text = run("similarity", f"{folder}/run", f"{folder}/short").stdout
        assert "A's layers (down) and B's (across)" in text and "cos to B" in text


@test
def what_similarity_refuses():
    with tempfile.TemporaryDirectory() as folder:
        rows = ids_file(folder, SMALL)
        run("states", BERT, "-i", rows, "-o", f"{folder}/run", "-q")
        longer = ids_file(folder, [{"ids": row["ids"] + [5]} for row in SMALL], "longer.jsonl")
        t5_rows = ids_file(folder, [{"ids": [1, 2], "decoder_ids": [0, 3, 4]}], "t5.jsonl")
        for words, status, part in [
                ((), 2, "similarity"), ((BERT,), 2, "-i FILE"), ((f"{folder}/run", "-i", rows), 2, "hold their rows"),
                ((f"{folder}/run", BERT, "-i", longer), 2, "vectors where"), ((f"{folder}/none", "-i", rows), 4, "none"),
                ((BERT, BERT, "-i", "-"), 2, "stdin"), ((f"{folder}/run", "--pool", "mean"), 2, "--pool"),
                ((f"{folder}/run", "--layers", "17"), 2, "17"), ((f"{folder}/run", "--rows", "1"), 2, "--rows 1"),
                ((f"{folder}/run", "--overwrite"), 2, "--html"), ((f"{folder}/run", "--json", "--html", "x"), 2, "--html"),
                ((T5, "-i", t5_rows), 2, "different tokens"), ((f"{folder}/run", f"{folder}/run", "third"), 2, "third")]:
            error = run("similarity", *words, expect=status).stderr
            assert part in error, (words, error)
        assert objects(run("similarity", T5, "-i", t5_rows, "--layers", "dec:all", "--json").stdout)[0]["vectors"] == 3
        error = run("similarity", f"{folder}/run", "--rows", "2000000000", expect=5).stderr
        assert "--layers" in error and "GB" in error, error
        shard = pathlib.Path(f"{folder}/run/shard-00000.safetensors")
        data = bytearray(shard.read_bytes())
        header = 8 + struct.unpack("<Q", data[:8])[0]
        begin = json.loads(data[8:header])["final"]["data_offsets"][0]
        data[header + begin:header + begin + 4] = struct.pack("<f", float("nan"))
        shard.write_bytes(data)
        error = run("similarity", f"{folder}/run", expect=1).stderr
        assert "row 0, token 0: final holds NaN" in error, error


@test
def one_vector_has_no_similarity():
    with tempfile.TemporaryDirectory() as folder:
        rows = ids_file(folder, [{"ids": [3]}])
        (found,) = objects(run("similarity", BERT, "-i", rows, "--json").stdout)
        assert found["cka"][0][0] is None and found["rsa"][0][0] is None and found["layers"][0]["anisotropy"] is None
        assert "·" in run("similarity", BERT, "-i", rows).stdout
        empty = ids_file(folder, [], "empty.jsonl")
        assert "no rows" in run("similarity", BERT, "-i", empty, expect=2).stderr


@test
def pictures_of_similarity_fit():
    with tempfile.TemporaryDirectory() as folder:
        rows = ids_file(folder, SMALL)
        for width in (60, 80, 120):
            text = run("similarity", BERT, "-i", rows, env={"COLUMNS": str(width)}).stdout
            assert "linear CKA" in text and "eff. rank" in text and "\x1b" not in text
            assert all(columns(line) <= width for line in text.splitlines()), width
        assert "\x1b[" in on_terminal(["similarity", BERT, "-i", str(rows)], {"COLUMNS": "80"})


@test
def pages_of_similarity_stand_alone():
    with tempfile.TemporaryDirectory() as folder:
        rows = ids_file(folder, SMALL)
        page = f"{folder}/page.html"
        done = run("similarity", BERT, "-i", rows, "--html", page)
        assert not done.stdout and page in done.stderr
        found = sound_page(page)
        assert [len(plot["curves"]) for plot in found.plots] == [1] * 4
        assert "exists already" in run("similarity", BERT, "-i", rows, "--html", page, expect=2).stderr
        run("similarity", BERT, str(GOLDEN / "bert-heads-v5"), "-i", rows, "--html", page, "--overwrite")
        assert [plot["curves"][-1]["name"] for plot in sound_page(page).plots].count("B") == 4
        hostile = f"{folder}/<script>alert(1)<"
        run("states", BERT, "-i", rows, "-o", hostile, "-q")
        run("similarity", hostile, "--html", page, "--overwrite")
        assert "<script>alert(1)<" in sound_page(page).text


@test
def pages_of_diff_stand_alone():
    with tempfile.TemporaryDirectory() as folder:
        rows = ids_file(folder, SMALL[:6])
        page = f"{folder}/page.html"
        run("diff", BERT, BERT, "-i", rows, "--html", page)
        same = sound_page(page)
        assert same.plots[0]["logarithmic"] and same.plots[0]["curves"][-1]["dashed"]
        done = run("diff", BERT, BERT, "-i", rows, "--edit-b", "block.1.out:scale=1.5", "--html", page, "--overwrite", expect=6)
        assert not done.stdout and page in done.stderr
        found = sound_page(page)
        assert any(named.get("class") == "off" for tag, named in found.elements if tag == "tr")
        assert sum(named.get("class") == "heat" for tag, named in found.elements if tag == "table") == 6
        assert "exists already" in run("diff", BERT, BERT, "-i", rows, "--html", page, expect=2).stderr
        run("diff", BERT, BERT, "-i", rows, "--html", page, "--json", expect=2)


@test
def hostile_texts_are_escaped_on_pages_of_diff():
    if not DEMO.is_dir():
        raise Skipped("no demo model")
    with tempfile.TemporaryDirectory() as folder:
        page = f"{folder}/page.html"
        run("diff", DEMO, DEMO, "</script><img src=x onerror=alert(1)> & \"quotes\" 'single'", "--dtype-b", "bf16", "--html", page,
            expect=0)
        found = sound_page(page)
        assert "<" in found.text and "script" in found.text
