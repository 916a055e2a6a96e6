"""What each layer's states are good for: layer_recall.py MODEL [--pairs FILE] [--pool MODE] [--mix LIST]

Every question and every answer of FILE becomes one vector a layer (layerscope states --layers all --pool MODE). A layer's
row then says how often a question's own answer has the highest cosine of all answers (recall@1) or one of the ten highest
(recall@10), and, as a contrast, how often the nearest other question opens with the same word: what, who, why. Answers with
equal cosines count as if they stood before the right one. FILE holds one {"question", "answer"} a line. Needs nothing but
Python and the program: $LAYERSCOPE, else build/release/layerscope, else the one in PATH.
"""
import argparse
import collections
import concurrent.futures
import json
import math
import operator
import os
import pathlib
import shutil
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[1]
COLUMNS = ("recall@1", "recall@10", "same opening")


def program():
    built = ROOT / "build/release/layerscope"
    found = os.environ.get("LAYERSCOPE") or (str(built) if built.exists() else shutil.which("layerscope"))
    return found or sys.exit("layer_recall: no layerscope: make build makes it, $LAYERSCOPE can name it")


def unit(vector):
    norm = math.hypot(*vector) or 1.0
    return [value / norm for value in vector]


def pooled_states(model, texts, flags):
    """{site: one unit vector a text}, layer by layer; of an encoder and a decoder the encoder alone."""
    rows = "".join(json.dumps({"text": text}) + "\n" for text in texts)
    command = [program(), "states", model, "-i", "-", "--input-format", "jsonl", "--layers", "all", "--json", *flags]
    done = subprocess.run(command, input=rows, stdout=subprocess.PIPE, encoding="utf-8")
    if done.returncode != 0:
        sys.exit(done.returncode)
    sites = collections.defaultdict(list)
    for line in done.stdout.splitlines():
        for site, (vector,) in json.loads(line)["states"].items():
            if not site.startswith("dec."):
                sites[site].append(unit(vector))
    return sites


def cosine(a, b):
    return sum(map(operator.mul, a, b))


def measure(layer):
    """The three columns of one layer, given its vectors and the questions' first words."""
    questions, answers, openings = layer
    found = collections.Counter()
    for row, question in enumerate(questions):
        own = cosine(question, answers[row])
        before = sum(cosine(question, answer) >= own for other, answer in enumerate(answers) if other != row)
        found["recall@1"] += before < 1
        found["recall@10"] += before < 10
        others = (other for other in range(len(questions)) if other != row)
        nearest = max(others, key=lambda other: cosine(question, questions[other]))
        found["same opening"] += openings[nearest] == openings[row]
    return [found[column] / len(questions) for column in COLUMNS]


def main():
    parser = argparse.ArgumentParser(description="What each layer's states are good for.")
    parser.add_argument("model")
    parser.add_argument("--pairs", default=ROOT / "tests/data/questions.jsonl", help="one {question, answer} a line")
    parser.add_argument("--pool", default="mean", help="as in layerscope states [mean]")
    parser.add_argument("--mix", help="a weighted sum of layers besides, as in layerscope states")
    arguments = parser.parse_args()

    with open(arguments.pairs, encoding="utf-8") as file:
        pairs = [json.loads(line) for line in file]
    if len(pairs) < 2:
        parser.error(f"{arguments.pairs}: fewer than two pairs")
    flags = ["--pool", arguments.pool] + (["--mix", arguments.mix] if arguments.mix else [])
    questions = pooled_states(arguments.model, [pair["question"] for pair in pairs], flags)
    answers = pooled_states(arguments.model, [pair["answer"] for pair in pairs], flags)
    openings = [pair["question"].split()[0] for pair in pairs]
    layers = [(questions[site], answers[site], openings) for site in questions]
    with concurrent.futures.ProcessPoolExecutor() as pool:
        table = list(pool.map(measure, layers))

    count = len(pairs)
    same = sum(n * (n - 1) for n in collections.Counter(openings).values())
    chance = (1 / count, 10 / count, same / (count * (count - 1)))
    best = [max(column) for column in zip(*table)]
    print(f"{count} questions and answers, {' '.join(flags)}; the best of each column has a *\n")
    print(f"layer  {'site':<14}" + "".join(f"{column:>14}" for column in COLUMNS))
    for number, (site, row) in enumerate(zip(questions, table)):
        cells = (f"{value:13.3f}{'*' if value == top else ' '}" for value, top in zip(row, best))
        print(f"{'' if site == 'mix' else number:5}  {site:<14}" + "".join(cells).rstrip())
    print(f"{'by chance':<21}" + "".join(f"{value:13.3f} " for value in chance).rstrip())


if __name__ == "__main__":
    main()
