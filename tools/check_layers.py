#!/usr/bin/env python3
"""Checks that dependencies point down: reads the #includes of src/ and include/ and holds them against ALLOWED.

A folder always sees itself, the public headers (include/layerscope/) and every header that is not ours.
check_layers.py [ROOT] prints each violation as FILE:LINE; check_layers.py --self-test shows that it would.
"""
import pathlib
import re
import sys
import tempfile

# What each folder of src/ may include, and the Python package's module. An entry with a slash admits one header of a folder, not the folder.
ALLOWED = {
    "base": [],
    "spec": ["base"],
    "kernels": ["base"],
    "checkpoint": ["base"],
    "tokenizer": ["base"],
    "family": ["base", "spec"],
    "tap": ["base", "spec"],
    "backend": ["base", "kernels"],
    "analysis": ["base", "backend"],
    "engine": ["base", "spec", "backend", "tap", "checkpoint/source.h"],
    "store": ["base", "tap", "spec"],
    "hub": ["base", "checkpoint"],
    "session": ["base", "spec", "analysis", "family", "checkpoint", "tokenizer", "backend", "tap", "engine"],
    "job": ["base", "spec", "tap", "engine", "tokenizer", "session", "store", "analysis"],
    "diff": ["base", "spec", "tap", "checkpoint", "family", "tokenizer", "analysis", "backend", "engine", "session",
             "store", "job", "kernels/scalar.h"],
    "probe": ["base", "spec", "tap", "store", "analysis", "session", "job"],
    "view": ["base", "spec", "tap", "analysis", "session", "job", "diff", "probe"],
    "cli": ["base", "spec", "tap", "store", "analysis", "session", "hub", "job", "diff", "probe", "view"],
    "python": ["base", "tap", "tokenizer", "store", "analysis", "session", "hub", "job", "diff", "probe", "view"],
}
PUBLIC = "layerscope"
INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]')
SOURCE_ENDINGS = {".h", ".hpp", ".c", ".cc", ".cpp", ".inc"}


def sources(folder: pathlib.Path) -> list[pathlib.Path]:
    return sorted(path for path in folder.rglob("*") if path.suffix in SOURCE_ENDINGS and path.is_file())


def why_not(owner: str, target: str, folders: set[str]) -> str | None:
    """Why a file of `owner` may not include `target`, or nothing if it may."""
    if ".." in target.split("/"):
        return "relative paths hide the layer; name the header from src/"
    head = target.split("/")[0]
    if head in (owner, PUBLIC) or head not in folders or "/" not in target:
        return None
    if owner == PUBLIC:
        return "public headers include only each other and the standard library"
    if head in ALLOWED[owner] or target in ALLOWED[owner]:
        return None
    allowed = ", ".join(ALLOWED[owner]) or "only itself and the public headers"
    return f"{owner} may not see {head} (it may see: {allowed})"


def violations(root: pathlib.Path) -> list[str]:
    found = []
    folders = set(ALLOWED)
    for folder in sorted((root / "src").iterdir()) if (root / "src").is_dir() else []:
        if folder.is_dir() and folder.name not in ALLOWED and sources(folder):
            found.append(f"src/{folder.name}: has no line in tools/check_layers.py")
            folders.add(folder.name)
    owners = [(name, root / ("python/src" if name == "python" else f"src/{name}")) for name in ALLOWED] + [(PUBLIC, root / "include" / PUBLIC)]
    for owner, folder in owners:
        for path in sources(folder) if folder.is_dir() else []:
            for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
                match = INCLUDE.match(line)
                reason = why_not(owner, match[2], folders) if match else None
                if reason:
                    found.append(f"{path.relative_to(root)}:{number}: {line.strip()}: {reason}")
    return found


def self_test() -> int:
    """Each planted line in a tree of its own: (file, line, whether it must be found)."""
    cases = [
        ("src/engine/a.cpp", '#include "family/registry.h"', True),
        ("src/engine/a.cpp", '#include "checkpoint/checkpoint.h"', True),
        ("src/engine/a.cpp", '#include "checkpoint/source.h"', False),
        ("src/base/a.h", '#include "spec/spec.h"', True),
        ("src/checkpoint/a.cpp", '#include "tokenizer/tokenizer.h"', True),
        ("src/spec/a.h", '  #  include <kernels/kernels.h>', True),
        ("src/store/a.cpp", '#include "../engine/engine.h"', True),
        ("src/cli/deep/a.cpp", '#include "engine/engine.h"', True),
        ("src/cli/a.cpp", '#include "job/job.h"', False),
        ("src/kernels/a.cpp", '#include <vector>', False),
        ("src/kernels/a.cpp", '#include "layerscope/tensor.h"', False),
        ("src/kernels/a.cpp", '// #include "engine/engine.h"', False),
        ("src/unknown/a.cpp", "int x;", True),
        ("python/src/a.cpp", '#include "cli/cli.h"', True),
        ("python/src/a.cpp", '#include "session/embedder.h"', False),
        ("include/layerscope/a.h", '#include "base/json.h"', True),
    ]
    wrong = 0
    for name, line, expected in cases:
        with tempfile.TemporaryDirectory() as folder:
            path = pathlib.Path(folder) / name
            path.parent.mkdir(parents=True)
            path.write_text(line + "\n", encoding="utf-8")
            if bool(violations(pathlib.Path(folder))) != expected:
                print(f"self-test: {name}: {line}: {'not found' if expected else 'wrongly found'}")
                wrong += 1
    print(f"{len(cases) - wrong} passed, {wrong} failed")
    return 1 if wrong else 0


def main() -> int:
    if sys.argv[1:] == ["--self-test"]:
        return self_test()
    root = pathlib.Path(sys.argv[1]) if len(sys.argv) > 1 else pathlib.Path(__file__).resolve().parent.parent
    found = violations(root)
    for line in found:
        print(line)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
