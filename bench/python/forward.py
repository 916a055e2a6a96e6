"""Figures of the Python package: a batch of 32 mixed texts with all layers, whole processes against the program, first results.

usage: forward.py MODEL [PROGRAM] [--texts FILE] [--rows N] [--pairs N]

Runs what is compared in turns and prints ratios of neighbours (median, and the middle half of them), so that a machine that
is busy with other things slows down both. Where transformers is installed it takes part; with PROGRAM the command line does.
"""

import argparse
import pathlib
import resource
import statistics
import subprocess
import sys
import tempfile
import time

import layerscope

TEXTS = pathlib.Path(__file__).resolve().parents[2] / "demo" / "corpus.txt"
FIRST = """
from {library} import AutoTokenizer, AutoModel
tokenizer, model = AutoTokenizer.from_pretrained({name!r}), AutoModel.from_pretrained({name!r})
model(**tokenizer("hello world", return_tensors="{kind}"), output_hidden_states=True)
"""
WHOLE = """
import layerscope
texts = open({texts!r}, encoding="utf-8").read().splitlines()
layerscope.open({name!r}).states(texts, layers="all", pool={pool!r}, truncate=True)
"""


def seconds(work):
    """On the wall clock, and of the processor, other processes that were started included."""
    usages = resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN

    def processor():
        return sum(usage.ru_utime + usage.ru_stime for usage in map(resource.getrusage, usages))

    wall, spent = time.perf_counter(), processor()
    work()
    return time.perf_counter() - wall, processor() - spent


def compare(what, ours, theirs, pairs):
    """Prints seconds of both, and by how much theirs exceed ours."""
    ours(), theirs()
    times = [(seconds(ours), seconds(theirs)) for _ in range(pairs)]
    print(what)
    for clock, name in enumerate(("wall clock", "processor")):
        first, second = (statistics.median(pair[side][clock] for pair in times) for side in (0, 1))
        ratios = [b[clock] / a[clock] for a, b in times]
        low, _, high = statistics.quantiles(ratios, n=4)
        print(f"  {name}: {first:.3f} s against {second:.3f} s, {statistics.median(ratios):.2f} ({low:.2f} to {high:.2f})")


def mixed(path, count):
    """Texts of all lengths up to 200 words."""
    lines = [line for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
    words = " ".join(lines).split()
    lengths = [3 + (37 * i) % 61 if i % 4 else 60 + (53 * i) % 140 for i in range(count)]
    texts, at = [], 0
    for length in lengths:
        texts.append(" ".join(words[at : at + length]))
        at = (at + length) % max(len(words) - 200, 1)
    return texts


def batch_of_32(name, texts, pairs):
    tokenizer, model = layerscope.AutoTokenizer.from_pretrained(name), layerscope.AutoModel.from_pretrained(name)

    def ours():
        model(**tokenizer(texts, padding=True, truncation=True, return_tensors="np"), output_hidden_states=True)

    native, spent = layerscope._native.run, []

    def timed(*arguments):
        begin = time.perf_counter()
        native(*arguments)
        spent.append(time.perf_counter() - begin)

    ours()
    shares = []
    layerscope._native.run = timed
    for _ in range(pairs):
        shares.append(seconds(ours)[0] / spent[-1] - 1)
    layerscope._native.run = native
    print(f"32 texts, all layers: beyond the engine's own time {statistics.median(shares):.1%}")
    try:
        import torch
        import transformers
    except ImportError:
        return
    their_tokenizer = transformers.AutoTokenizer.from_pretrained(name)
    their_model = transformers.AutoModel.from_pretrained(name, dtype=torch.float32).eval()

    def theirs():
        with torch.no_grad():
            their_model(
                **their_tokenizer(texts, padding=True, truncation=True, return_tensors="pt"), output_hidden_states=True
            )

    compare("32 texts, all layers, against transformers", ours, theirs, pairs)


def processes(name, program, texts, pool, pairs):
    with tempfile.TemporaryDirectory(dir="/dev/shm") as folder:
        file = pathlib.Path(folder, "texts.txt")
        file.write_text("\n".join(texts) + "\n", encoding="utf-8")
        code = WHOLE.format(name=name, texts=str(file), pool=pool)
        command = [program, "states", name, "-i", file, "--layers", "all", "--pool", pool, "--on-long", "truncate"]
        command += ["-o", f"{folder}/run", "--overwrite", "-q"]

        def ours():
            subprocess.run([sys.executable, "-c", code], check=True)

        def theirs():
            subprocess.run(command, check=True, stdout=subprocess.DEVNULL)

        compare(f"{len(texts)} texts, all layers, pool {pool}: a process, against the program's", ours, theirs, pairs)


def first_result(name, pairs):
    def run(library, kind):
        return lambda: subprocess.run([sys.executable, "-c", FIRST.format(library=library, name=name, kind=kind)], check=True)

    ours = run("layerscope", "np")
    try:
        import transformers  # noqa: F401
    except ImportError:
        print(f"import, open, first result: {statistics.median(seconds(ours)[0] for _ in range(pairs)):.2f} s")
        return
    compare("import, open, first result, against transformers", ours, run("transformers", "pt"), pairs)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("program", nargs="?")
    parser.add_argument("--texts", type=pathlib.Path, default=TEXTS)
    parser.add_argument("--rows", type=int, default=2000, help="texts of the processes that are compared")
    parser.add_argument("--pairs", type=int, default=15)
    options = parser.parse_args()
    batch_of_32(options.model, mixed(options.texts, 32), options.pairs)
    if options.program:
        for pool in ("mean", "none"):
            processes(options.model, options.program, mixed(options.texts, options.rows), pool, max(options.pairs // 3, 3))
    first_result(options.model, max(options.pairs // 3, 3))


if __name__ == "__main__":
    main()
