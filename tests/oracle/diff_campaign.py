"""Runs `layerscope diff` over what plant_faults.py made, and counts what it got right.

    diff_campaign.py PROGRAM FOLDER... [NAMES] [--all] [--json FILE]

For each case: the verdict, the first layer, the part of the block, the kind. The part is right where the site named belongs to the
same part of the block as a site of the answer: pre norm, queries/keys/values, scores, the attention's output, the MLP, a norm
behind the sum, embedding, end. `exact` is the site itself. Prints a line for each case that is not right in all (--all: for each),
then the counts. With two faults in different blocks both have to be named.
"""

import argparse
import collections
import concurrent.futures
import json
import pathlib
import re
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
PARTS = {"q": "qkv", "k": "qkv", "v": "qkv", "probs": "scores", "z": "out", "out": "out", "in": "in", "sum": "sum", "presum": "sum",
         "act": "mlp", "router": "mlp"}


def part(site):
    """block.3.attn.q -> (block.3, attn, qkv); an MLP's inside and its output are one part."""
    match = re.fullmatch(r"((?:enc\.|dec\.)?block\.\d+)\.(\w+)\.(\w+)", site)
    if not match:
        return site
    block, step, what = match.groups()
    return block, step, "mlp" if step == "mlp" and what in ("act", "out", "router") else PARTS.get(what, what)


def same_part(site, accepted):
    return any(site.startswith(a[:-1]) if a.endswith("*") else part(site) == part(a) for a in accepted)


def same_site(site, accepted):
    return any(site.startswith(a[:-1]) if a.endswith("*") else site == a for a in accepted)


def model_of(answer, folder):
    for place in (folder / answer["model"], ROOT / answer["model"], pathlib.Path(answer["model"])):
        if (place / "config.json").exists():
            return place
    raise FileNotFoundError(answer["model"])


def ask(program, case, threads=1):
    """(answer expected, report of diff or what went wrong)."""
    answer = json.loads((case / "expected.json").read_text())
    dump = next(path for path in sorted(case.iterdir()) if path.name.startswith("dump."))
    words = [program, "diff", str(model_of(answer, case.parent)), str(dump), "--json", "--threads", str(threads)]
    with tempfile.TemporaryDirectory() as scratch:
        if "texts" in answer:
            texts = pathlib.Path(scratch) / "texts.txt"
            texts.write_text("".join(text + "\n" for text in answer["texts"]))
            words += ["-i", str(texts)]
        try:
            done = subprocess.run(words + answer.get("arguments", []), capture_output=True, text=True, timeout=120)
        except subprocess.TimeoutExpired:
            return answer, "took more than two minutes"
    if done.returncode not in (0, 6):
        return answer, f"exit {done.returncode}: {done.stderr.strip()}"
    report = json.loads(done.stdout)
    if (report["verdict"] == "same") != (done.returncode == 0):
        return answer, f"exit {done.returncode} with the verdict {report['verdict']}"
    return answer, report


def judge(answer, report):
    """{what: right or not} of one case; what was not asked is left out."""
    if isinstance(report, str):
        return {"ran": False}
    got = {"ran": True}
    if answer["verdict"] != "either":
        got["verdict"] = report["verdict"] == answer["verdict"]
    if not answer["faults"] or report["verdict"] == "same" or answer["verdict"] == "same":
        return got
    causes = report.get("causes") or ([report["cause"]] if report["cause"] else [])
    if answer["first"]:
        got["layer"] = bool(report["first"]) and report["first"]["site"] in answer["first"]
    wanted = [fault for fault in answer["faults"] if fault["sites"]]
    if wanted:
        got["part"] = all(any(same_part(c["site"], f["sites"]) for c in causes) for f in wanted)
        got["exact"] = all(any(same_site(c["site"], f["sites"]) for c in causes) for f in wanted)
    got["kind"] = all(any(c["kind"] in f["kinds"] for c in causes) for f in answer["faults"])
    return got


def own_pairs(program, models):
    """Honest pairs of our own: instruction sets, threads, and a run stored in other batches. Yields (what, exit status)."""
    for model in models:
        with tempfile.TemporaryDirectory() as scratch:
            vocabulary = json.loads((model / "config.json").read_text()).get("vocab_size", 50)
            rows = pathlib.Path(scratch) / "rows.jsonl"
            rows.write_text("".join(json.dumps({"ids": [5 + (7 * i * i + 3 * row) % (vocabulary - 5) for i in range(4 + 6 * row)]}) + "\n"
                                    for row in range(5)))

            def diff(a, b, *words):
                return subprocess.run([program, "diff", str(a), str(b), *words], capture_output=True, timeout=120).returncode

            run = pathlib.Path(scratch) / "run"
            subprocess.run([program, "states", str(model), "-i", str(rows), "-o", str(run), "-q", "--threads", "1"], check=True, timeout=120)
            yield f"{model.name}: avx2 against sse4", diff(model, model, "-i", str(rows), "--isa-a", "avx2", "--isa-b", "sse4")
            yield f"{model.name}: a run against the model on two threads", diff(run, model, "--threads", "2")
            yield f"{model.name}: bf16 against f32, floors of their own", diff(model, model, "-i", str(rows), "--dtype-a", "bf16")


def line(name, answer, report, got):
    marks = " ".join(f"{key}:{'yes' if value else 'NO'}" for key, value in got.items() if key != "ran")
    wanted = "; ".join(f"{f['sites'][:1]} {f['kinds'][0]} ({f['what']})" for f in answer["faults"]) or "nothing"
    if isinstance(report, str):
        return f"{name} [{answer['family']}] {report}"
    causes = report.get("causes") or ([report["cause"]] if report["cause"] else [])
    said = "; ".join(f"{c['site']} {c['kind']}: {c['evidence']}" for c in causes) or "no cause"
    first = report["first"]["site"] if report["first"] else "-"
    return (f"{name} [{answer['family']}] {marks}\n    wanted {answer['verdict']} {answer['first'][:1]} {wanted}\n"
            f"    said   {report['verdict']} {first} {said}")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("program")
    parser.add_argument("folders", nargs="+", type=pathlib.Path)
    parser.add_argument("--only", default="", help="a regular expression of case names")
    parser.add_argument("--all", action="store_true")
    parser.add_argument("--counts", action="store_true", help="only the counts, by fault: nothing of what a case holds")
    parser.add_argument("--own", action="store_true", help="honest pairs of the program itself instead, on the models of the folders")
    parser.add_argument("--jobs", type=int, default=2)
    arguments = parser.parse_args()
    if arguments.own:
        models = [path.parent for folder in arguments.folders for path in sorted((folder / "models").glob("*/config.json"))]
        results = list(own_pairs(arguments.program, models))
        print(*(what for what, status in results if status), sep="\n")
        print(f"own pairs: {sum(not status for _, status in results)} of {len(results)} the same")
        return 0
    cases = [path.parent for folder in arguments.folders for path in sorted(folder.glob("*/expected.json"))]
    cases = [case for case in cases if re.search(arguments.only, case.name)]
    totals, by_fault = collections.Counter(), collections.defaultdict(collections.Counter)
    with concurrent.futures.ThreadPoolExecutor(arguments.jobs) as pool:
        for case, (answer, report) in zip(cases, pool.map(lambda c: ask(arguments.program, c), cases)):
            got = judge(answer, report)
            kind = "honest" if not answer["faults"] else "hidden" if answer["verdict"] == "same" else "fault"
            for key, value in got.items():
                totals[kind, key, value] += 1
                by_fault[re.sub(r"-\d+$", "", case.name) if kind == "fault" else kind][key, value] += 1
            if arguments.all or not arguments.counts and not all(got.values()):
                print(line(case.name, answer, report, got), flush=True)
    if arguments.counts:
        for name, counts in sorted(by_fault.items()):
            print(f"{name:20}", " ".join(f"{key} {counts[key, True]}/{counts[key, True] + counts[key, False]}"
                                         for key in ("ran", "verdict", "layer", "part", "exact", "kind") if counts[key, True] + counts[key, False]))
    for kind in ("fault", "hidden", "honest"):
        print(f"{kind:7}", "  ".join(f"{key} {totals[kind, key, True]}/{totals[kind, key, True] + totals[kind, key, False]}"
                                     for key in ("ran", "verdict", "layer", "part", "exact", "kind")
                                     if totals[kind, key, True] + totals[kind, key, False]))
    return 0


if __name__ == "__main__":
    sys.exit(main())
