"""diff against dumps of changed transformers models: what was planted is found, and nothing else is."""
import sys

import harness
from harness import ROOT, test

sys.path.insert(0, str(ROOT / "tests/oracle"))
import diff_campaign  # noqa: E402

CASES = sorted(path.parent for path in (ROOT / "tests/data/diff").glob("*/expected.json"))


def check(case):
    answer, report = diff_campaign.ask(harness.PROGRAM, case)
    got = diff_campaign.judge(answer, report)
    assert all(got.values()), diff_campaign.line(case.name, answer, report, got)
    return got


@test
def planted_faults_are_found():
    faults = [case for case in CASES if not case.name.startswith(("honest", "text-honest", "hidden"))]
    assert len(faults) >= 20, f"{len(faults)} cases"
    for case in faults:
        assert "kind" in check(case), f"{case.name}: no cause was asked for"


@test
def honest_dumps_and_what_is_below_rounding_are_the_same():
    honest = [case for case in CASES if case.name.startswith(("honest", "text-honest", "hidden"))]
    assert len(honest) >= 7, f"{len(honest)} cases"
    for case in honest:
        check(case)
