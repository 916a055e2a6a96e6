"""Runs both sides of every pair of docs/recipes.md in one interpreter, and compares what they print.

A ```py block is the side of transformers, the next ```python block that prints is ours; lines that only ours prints stand behind.
Needs torch, transformers, scikit-learn and the package. usage: python_recipes.py [MODELS]    MODELS: the folder with the demo model
"""

import contextlib
import io
import os
import pathlib
import re
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests" / "e2e"))
import pages  # noqa: E402

BLOCK = re.compile(r"```(py|python)\n(.*?)```", re.S)


def printed(program, scope):
    """What a program prints, in a scope that goes on."""
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        exec(compile(program, "docs/recipes.md", "exec"), scope)
    return pages.lines_of(out.getvalue())


def main(models):
    text = (ROOT / "docs" / "recipes.md").read_text(encoding="utf-8")
    wrong = pairs = 0
    pages.TOLERANCE = 0.0015
    with tempfile.TemporaryDirectory() as folder:
        os.symlink(ROOT / "tests", pathlib.Path(folder, "tests"))
        os.symlink(pathlib.Path(models).resolve(), pathlib.Path(folder, "models"))
        os.chdir(folder)
        theirs, scope = None, {}
        for kind, program in BLOCK.findall(text):
            if kind == "py":
                scope = {} if "AutoModel" in program else scope
                theirs = printed(program, scope)
            elif theirs:
                ours = printed(program, {})
                pairs += 1
                good = pages.same_output(theirs, ours[: len(theirs)])
                wrong += not good
                print("same" if good else "DIFFERENT", *ours, "" if good else f"transformers: {theirs}", sep="\n    ")
                theirs = None
    print(f"{pairs} pairs, {wrong} differ")
    return pairs == 0 or wrong > 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1] if len(sys.argv) > 1 else ROOT / "models"))
