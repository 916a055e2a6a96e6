"""The examples of the pages about Python, with this interpreter."""

import sys

import pytest
from conftest import PROGRAM, ROOT


@pytest.mark.parametrize("page", ["python", "recipes", "clusters"])
def test_examples_print_what_the_page_shows(folder, page):
    sys.path.insert(0, str(ROOT / "tests" / "e2e"))
    import pages

    pages.run_page(ROOT / "docs" / f"{page}.md", PROGRAM if PROGRAM.is_absolute() else ROOT / PROGRAM, folder)
