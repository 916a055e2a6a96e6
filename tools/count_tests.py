#!/usr/bin/env python3
"""Counts single GoogleTest cases after a ctest run: count_tests.py CTEST_JUNIT_XML FOLDER_OF_GTEST_XML

Prints each failed case and, last, "N passed, N failed[, N skipped]". A program that ctest calls failed without a failed
case of its own (a crash, a time-out, nothing run) counts as one failure, so that no failure can vanish. A ctest entry named
check.* is no GoogleTest program and counts as one case.

count_tests.py --cases JUNIT_XML counts the cases of one report, pytest's; one without cases is a failure.
"""
import pathlib
import sys
import xml.etree.ElementTree as ElementTree


def program_cases(report: pathlib.Path) -> list[tuple[str, str]]:
    """(name, passed|failed|skipped) of every case in one program's report; none if there is no readable report."""
    try:
        root = ElementTree.parse(report).getroot()
    except (OSError, ElementTree.ParseError):
        return []
    cases = []
    for case in root.iter("testcase"):
        if case.get("status") == "notrun":
            continue
        if case.find("failure") is not None or case.find("error") is not None:
            outcome = "failed"
        elif case.get("result") == "skipped" or case.find("skipped") is not None:
            outcome = "skipped"
        else:
            outcome = "passed"
        cases.append((f"{case.get('classname')}.{case.get('name')}", outcome))
    return cases


def print_counts(counts: dict[str, int]) -> int:
    line = f"{counts['passed']} passed, {counts['failed']} failed"
    print(line + (f", {counts['skipped']} skipped" if counts["skipped"] else ""))
    return 1 if counts["failed"] else 0


def count_cases(report: pathlib.Path) -> int:
    counts = {"passed": 0, "failed": 0, "skipped": 0}
    cases = program_cases(report) or [(f"{report}: no case", "failed")]
    for case, outcome in cases:
        counts[outcome] += 1
        if outcome == "failed":
            print(f"failed: {case}")
    return print_counts(counts)


def main() -> int:
    if sys.argv[1] == "--cases":
        return count_cases(pathlib.Path(sys.argv[2]))
    ctest_report, case_folder = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2])
    counts = {"passed": 0, "failed": 0, "skipped": 0}
    try:
        programs = list(ElementTree.parse(ctest_report).getroot().iter("testcase"))
    except (OSError, ElementTree.ParseError):
        programs = []
    if not programs:
        print("ctest ran no test program")
        counts["failed"] += 1
    for program in programs:
        name = program.get("name", "")
        cases = program_cases(case_folder / f"test_{name}.xml")
        if name.startswith("check.") and program.get("status") == "run" and program.find("failure") is None:
            cases = [(name, "passed")]
        for case, outcome in cases:
            counts[outcome] += 1
            if outcome == "failed":
                print(f"failed: {name}: {case}")
        program_failed = program.get("status") != "run" or program.find("failure") is not None
        case_failed = any(outcome == "failed" for _, outcome in cases)
        if (program_failed and not case_failed) or not cases:
            why = "ran no case" if not program_failed else "ended without a failed case (crash or time-out?)"
            print(f"failed: {name}: {why}")
            counts["failed"] += 1
    return print_counts(counts)


if __name__ == "__main__":
    sys.exit(main())
