"""Fail when a test that needs real input was skipped, or when none of its kind ran."""

from __future__ import annotations

import sys
from collections import Counter
from xml.etree import ElementTree

REQUIRED = ("data", "postgres", "server", "browser")
"""Marks whose tests must have run wherever the real data is at hand."""


def main(report: str) -> int:
    """Read pytest's JUnit file; `tests/conftest.py` writes each test's marks into it.

    Exits 1 when a test with one of the required marks was skipped or when no test with that mark
    passed, and when a whole file was skipped at import (its marks are then unknown).
    """
    passed: Counter[str] = Counter()
    problems: list[str] = []
    n_tests = n_failed = n_skipped = 0
    for case in ElementTree.parse(report).getroot().iter("testcase"):
        name = f"{case.get('classname')}::{case.get('name')}"
        properties = case.iter("property")
        marks = {p.get("value", "") for p in properties if p.get("name") == "mark"}
        skipped = case.find("skipped")
        n_tests += 1
        n_failed += case.find("failure") is not None or case.find("error") is not None
        if skipped is None:
            passed.update(marks)
            continue
        n_skipped += 1
        if skipped.get("type") == "pytest.xfail":
            continue
        if marks & set(REQUIRED) or case.get("classname") == "":
            problems.append(f"skipped: {name}: {skipped.text or skipped.get('message')}")
    problems += [f"no test marked {mark!r} ran" for mark in REQUIRED if not passed[mark]]
    for problem in problems:
        sys.stderr.write(problem + "\n")
    counts = ", ".join(f"{mark} {passed[mark]}" for mark in REQUIRED)
    sys.stdout.write(f"ran with real input: {counts}\n")
    sys.stdout.write(
        f"{n_tests - n_failed - n_skipped} passed, {n_failed} failed, {n_skipped} skipped\n"
    )
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
