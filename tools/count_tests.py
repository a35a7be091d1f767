#!/usr/bin/env python3
"""Sums up what GoogleTest wrote (NAME_test.xml, one a binary) and what ctest wrote (ctest.xml).

A test binary that crashed or ran out of time leaves no file; it counts as one failure.
Prints skipped tests with their reasons, then "N passed, N failed" as the last line.
"""
import sys
import xml.etree.ElementTree as ElementTree
from collections import Counter
from pathlib import Path


def main(folder: Path) -> int:
    passed = failed = 0
    skipped = Counter()
    failed_binaries = set()
    for path in sorted(folder.glob("*_test.xml")):
        for case in ElementTree.parse(path).getroot().iter("testcase"):
            skip = case.find("skipped")
            if skip is not None:
                lines = (skip.get("message") or "").strip().splitlines()  # the first names the place
                skipped[lines[-1] if len(lines) > 1 else "no reason given"] += 1
            elif case.find("failure") is not None:
                failed += 1
                failed_binaries.add(path.stem.removesuffix("_test"))
            elif case.get("result") == "completed":
                passed += 1
    report = folder / "ctest.xml"
    entries = ElementTree.parse(report).getroot().iter("testcase") if report.exists() else []
    for entry in entries:
        broken = entry.find("failure") is not None or entry.get("status") == "fail"
        if broken and entry.get("name") not in failed_binaries:
            print(f"{entry.get('name')}: the test program itself failed (crash, time-out or bad exit)")
            failed += 1
    for reason, count in skipped.items():
        print(f"{count} skipped: {reason}")
    print(f"{passed} passed, {failed} failed")
    return 1 if failed or not passed else 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
