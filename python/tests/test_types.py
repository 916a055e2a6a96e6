"""Types: the package under mypy, and the module's stub against the module."""

import re
import subprocess
import sys

from conftest import ROOT

# nanobind's classes and functions are not of the kinds that stubtest knows.
NANOBIND = re.compile(
    r"is not a function|is a disjoint base at runtime|metaclass differs|stub is a staticmethod but runtime is not"
    r"|__init__ is inconsistent, stub does not have \*args parameter"
)


def mypy(*words):
    return subprocess.run([sys.executable, "-m", *words], cwd=ROOT, capture_output=True, text=True, timeout=600)


def test_the_package_is_typed():
    done = mypy("mypy")
    assert done.returncode == 0, done.stdout


def test_the_stub_is_the_module():
    done = mypy("mypy.stubtest", "--concise", "layerscope")
    found = [line for line in done.stdout.splitlines() if not NANOBIND.search(line)]
    assert not found and "layerscope._native.Model" in done.stdout, done.stdout + done.stderr
