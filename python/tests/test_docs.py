"""The examples of docs/python.md, with this interpreter."""

import sys

from conftest import PROGRAM, ROOT


def test_examples_print_what_the_page_shows(folder):
    sys.path.insert(0, str(ROOT / "tests" / "e2e"))
    import pages

    pages.run_page(ROOT / "docs" / "python.md", PROGRAM if PROGRAM.is_absolute() else ROOT / PROGRAM, folder)
