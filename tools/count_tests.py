#!/usr/bin/env python3
"""Sums up what GoogleTest wrote (one JSON file a binary) and what ctest wrote (ctest.xml).

A test binary that crashed or ran out of time leaves no JSON file; it counts as one failure.
Prints skipped tests with their reasons, then "N passed, N failed" as the last line.
"""
import json
import sys
import xml.etree.ElementTree as ElementTree
from collections import Counter
from pathlib import Path


def main(folder: Path) -> int:
    passed = failed = 0
    skipped = Counter()
    failed_binaries = set()
    for path in sorted(folder.glob("*.json")):
        for suite in json.loads(path.read_text())["testsuites"]:
            for case in suite["testsuite"]:
                if case["result"] == "SKIPPED":
                    reason = (case.get("skipped") or [{}])[0].get("message", "").strip()
                    skipped[reason.splitlines()[-1] if reason else "no reason given"] += 1
                elif case["result"] == "COMPLETED" and "failures" in case:
                    failed += 1
                    failed_binaries.add(path.stem.removesuffix("_test"))
                elif case["result"] == "COMPLETED":
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
