"""`layerscope embed` against sentence-transformers: texts of log-normal length, vectors written to a .npy, in turns.

usage: embed.py PROGRAM MODEL [--texts N] [--rounds N] [--threads N] [--sizes 8,32,128]

Run it with a Python that has sentence-transformers and numpy. Times of the program are those of the whole process, the
model's opening included; of sentence-transformers only encode() and numpy.save() count. Beside the wall clock stands the
processor time, which other work on the machine changes less. The best of all rounds and batch sizes counts.
"""
import argparse
import os
import pathlib
import random
import resource
import subprocess
import tempfile
import time

WORDS = pathlib.Path(__file__).resolve().parents[1] / "demo/corpus.txt"


def make_texts(count):
    """Words of the demo's corpus drawn at random: a median of about 55 tokens, a few texts beyond the limit of 256."""
    words, generator = WORDS.read_text(encoding="utf-8").split(), random.Random(1)
    lengths = [max(1, round(generator.lognormvariate(3.7, 0.6))) for _ in range(count)]
    return [" ".join(generator.choice(words) for _ in range(length)) for length in lengths]


def timed(work, who):
    """Wall and processor seconds of a call; `who` as resource.getrusage takes it."""
    def processor():
        usage = resource.getrusage(who)
        return usage.ru_utime + usage.ru_stime
    wall, cpu = time.perf_counter(), processor()
    work()
    return time.perf_counter() - wall, processor() - cpu


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("program")
    parser.add_argument("model")
    parser.add_argument("--texts", type=int, default=2000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--sizes", default="8,32,128")
    asked = parser.parse_args()
    os.environ["OMP_NUM_THREADS"] = str(asked.threads)
    import numpy
    import torch
    from sentence_transformers import SentenceTransformer

    torch.set_num_threads(asked.threads)
    model = SentenceTransformer(asked.model, device="cpu")
    texts = make_texts(asked.texts)
    with tempfile.TemporaryDirectory(dir="/dev/shm" if os.path.isdir("/dev/shm") else None) as folder:
        rows, ours, theirs = (str(pathlib.Path(folder, name)) for name in ("texts.txt", "ours.npy", "theirs.npy"))
        pathlib.Path(rows).write_text("\n".join(texts) + "\n", encoding="utf-8")
        words = [asked.program, "embed", asked.model, "-i", rows, "-o", ours, "--overwrite", "-q", "--threads", str(asked.threads)]

        def encode(size):
            numpy.save(theirs, model.encode(texts, batch_size=size, show_progress_bar=False))

        model.encode(texts[:64])
        best = {}
        for _ in range(asked.rounds):
            runs = {"layerscope embed": (lambda: subprocess.run(words, check=True), resource.RUSAGE_CHILDREN)}
            for size in map(int, asked.sizes.split(",")):
                runs[f"sentence-transformers, {size} at a time"] = (lambda size=size: encode(size), resource.RUSAGE_SELF)
            for name, (work, who) in runs.items():
                wall, cpu = timed(work, who)
                old = best.get(name, (wall, cpu))
                best[name] = (min(wall, old[0]), min(cpu, old[1]))
        a, b = (numpy.load(path).astype(numpy.float64) for path in (ours, theirs))
        cosine = (a * b).sum(1) / numpy.linalg.norm(a, axis=1) / numpy.linalg.norm(b, axis=1)
    for name, (wall, cpu) in best.items():
        print(f"{name:38} {wall:8.2f} s wall  {cpu:8.2f} s processor  {len(texts) / wall:7.0f} texts/s")
    (wall, cpu), *others = best.values()
    print(f"faster by {min(o[0] for o in others) / wall:.2f} on the wall clock, {min(o[1] for o in others) / cpu:.2f} in processor "
          f"time; least cosine {float(cosine.min()):.9f}")


if __name__ == "__main__":
    main()
