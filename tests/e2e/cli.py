"""Runs the built program as a user does: exit statuses, streams, JSON, pictures, signals. One file test_*.py a subject.

usage: cli.py PROGRAM [DEMO_MODEL]    the last line counts what passed and failed
"""
import importlib
import pathlib
import sys

import harness

for path in sorted(pathlib.Path(__file__).parent.glob("test_*.py")):
    importlib.import_module(path.stem)

if __name__ == "__main__":
    sys.exit(harness.main())
