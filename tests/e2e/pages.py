"""Runs the examples of the documentation, a page in a folder of its own where `layerscope` and the demo model are found.

```sh       every line is a command that succeeds and prints something
```console  lines that begin with $ are commands; what stands below each is what it prints
```python   a program that succeeds; a ```text block right behind it is what it prints

Printed numbers may differ by a hundredth, as another instruction set rounds otherwise; spaces and the bars of pictures do not
count, and a line "..." stands for any lines.

usage: pages.py PROGRAM [DEMO_MODEL]    the last line counts what passed and failed; pages.py --self-test
"""
import importlib.util
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import traceback

ROOT = pathlib.Path(__file__).resolve().parents[2]
PAGES = [*(ROOT / f"docs/{name}.md" for name in ("cli", "diff", "edits", "lens", "probe", "search", "similarity")), *sorted((ROOT / "docs/pitfalls").glob("*.md"))]
BLOCK = re.compile(r"```(sh|console|python)\n(.*?)```(?:\n+```text\n(.*?)```)?", re.S)
NUMBER = re.compile(r"[+-]?\d+\.\d+(?:e[+-]?\d+)?")
# What examples show together with the program; such an example is left out where it is not installed.
OTHERS = re.compile(r"\b(?:faiss|numpy|usearch)\b")
IMPORT = re.compile(r"^(?:import|from) .*", re.M)
BARS = re.compile("[▁▂▃▄▅▆▇█·]+")
TOLERANCE = 0.01  # of a number, or absolute where it is below 1


def agree(shown, printed):
    """Whether one line of a page is the line that was printed."""
    shown, printed = (" ".join(BARS.sub(" ", line).split()) for line in (shown, printed))
    if re.sub(r"\s", "", NUMBER.sub("#", shown)) != re.sub(r"\s", "", NUMBER.sub("#", printed)):
        return False
    pairs = zip(map(float, NUMBER.findall(shown)), map(float, NUMBER.findall(printed)))
    return all(abs(a - b) <= TOLERANCE * max(1.0, abs(b)) for a, b in pairs)


def same_output(shown, printed):
    """Compares lists of lines; "..." stands for any number of them."""
    if not shown:
        return not printed
    if shown[0].strip() == "...":
        return any(same_output(shown[1:], printed[skip:]) for skip in range(len(printed) + 1))
    return bool(printed) and agree(shown[0], printed[0]) and same_output(shown[1:], printed[1:])


def lines_of(text):
    return [line for line in text.splitlines() if line.strip()]


def execute(words, folder, env):
    done = subprocess.run(words, cwd=folder, env=env, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, f"{words[-1]}\nstatus {done.returncode}\n{done.stderr}"
    return done


def expect(command, shown, printed):
    assert same_output(lines_of(shown), lines_of(printed)), f"{command}\nshown:\n{shown}\nprinted:\n{printed}"


def run_block(kind, body, output, folder, env):
    if kind == "python":
        needed = {name for line in IMPORT.findall(body) for name in OTHERS.findall(line)}
        missing = [name for name in sorted(needed) if importlib.util.find_spec(name) is None]
        if missing:
            print(f"skipped a python example: no {', '.join(missing)}")
            return
        done = execute([sys.executable, "-c", body], folder, env)
        if output:
            expect("python", output, done.stdout)
    elif kind == "sh":
        for line in body.splitlines():
            done = execute(["bash", "-c", line], folder, env)
            assert done.stdout or done.stderr or ">" in line, f"{line}: printed nothing"
    else:
        parts = re.split(r"^\$ (.*)\n", body, flags=re.M)
        assert not parts[0], f"output before the first command: {parts[0]}"
        for command, shown in zip(parts[1::2], parts[2::2]):
            expect(command, shown, execute(["bash", "-c", command], folder, env).stdout)


def run_page(page, program, model):
    blocks = BLOCK.findall(page.read_text(encoding="utf-8"))
    assert blocks, "no examples"
    with tempfile.TemporaryDirectory() as folder:
        for link, target in (("models/all-MiniLM-L6-v2", model), ("bin/layerscope", program),
                             ("examples", ROOT / "examples"), ("tests", ROOT / "tests"), ("demo", ROOT / "demo")):
            path = pathlib.Path(folder, link)
            path.parent.mkdir(exist_ok=True)
            path.symlink_to(target)
        env = {"PATH": f"{folder}/bin:{os.environ['PATH']}", "TERM": "xterm-256color", "LANG": "C.UTF-8",
               "LAYERSCOPE": str(program)}
        for block in blocks:
            run_block(*block, folder, env)


def self_test():
    assert same_output(["a ▁ 1.00", "...", "end 3"], ["a █ 1.01", "b", "c", "end 3"])
    assert same_output(["0.900*"], ["0.895*"]) and same_output(["..."], [])
    for shown, printed in ((["1.00"], ["1.02"]), (["0.900*"], ["0.900"]), (["a"], ["b"]), (["a"], ["a", "b"]), (["a", "b"], ["a"]),
                           (["5"], ["6"]), (["-1.00"], ["1.00"]), (["a", "...", "c"], ["a", "b"])):
        assert not same_output(shown, printed), (shown, printed)
    with tempfile.TemporaryDirectory() as folder:
        env = {"PATH": os.environ["PATH"]}
        for kind, body, output in (("sh", "true\n", ""), ("sh", "false\n", ""), ("console", "$ echo a\nb\n", ""),
                                   ("python", "print(1)", "2\n"), ("python", "raise SystemExit(1)", "")):
            try:
                run_block(kind, body, output, folder, env)
            except AssertionError:
                continue
            raise AssertionError(f"{kind} block was not refused: {body}")


def main():
    self_test()
    print("passed  self-test")
    if sys.argv[1] == "--self-test":
        return 0
    program = pathlib.Path(sys.argv[1]).resolve()
    model = pathlib.Path(sys.argv[2] if len(sys.argv) > 2 else ROOT / "models/all-MiniLM-L6-v2").resolve()
    if not (model / "config.json").exists():
        print(f"skipped: no {model}")
        print(f"1 passed, 0 failed, {len(PAGES)} skipped")
        return 0
    failed = 0
    for page in PAGES:
        try:
            run_page(page, program, model)
            print(f"passed  {page.relative_to(ROOT)}")
        except (AssertionError, subprocess.TimeoutExpired):
            failed += 1
            print(f"FAILED  {page.relative_to(ROOT)}")
            traceback.print_exc(file=sys.stdout)
    print(f"{1 + len(PAGES) - failed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
