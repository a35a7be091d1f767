#!/usr/bin/env python3
"""Checks of single files on the torch-free floors that remember what passed.

  cached_check.py headers     every header compiles alone
  cached_check.py tidy        clang-tidy on every source file (flags from build/dev)

A file is checked again only when its text, a project header that it reaches, or the settings changed;
what passed is remembered under build/checks/. Two run at a time.

clang-tidy spends most of its time in system headers, so files of one floor that define no common
name are checked as one file that includes them; where that does not compile, each is checked alone.
"""
import hashlib
import json
import re
import shutil
import subprocess
import sys
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
FLOORS = ("kindling/base", "kindling/kernels", "kindling/data", "kindling/text", "kindling/eval", "cli")
INCLUDE = re.compile(r'^\s*#\s*include\s*"([^"]+)"', re.MULTILINE)
MOST_IN_A_BATCH = 12
# Functions, types and constants, as clang-format leaves them.
DEFINED = re.compile(r"^(?!return\b|namespace\b|#|//|\s)[^\n(={;]*?\b(\w+)(?=\(| = | \[\[|\{| \{|;)", re.MULTILINE)
# Flags of GCC that clang does not know, or that only cost time here.
NOT_FOR_CLANG = re.compile(r"^(-fno-trapping-math|-march=.*|-fopenmp|-Werror|-W.*|-O\d|-g\d?)$")


@cache
def text_of(path: str) -> str:
    file = ROOT / path
    return file.read_text(encoding="utf-8", errors="replace") if file.is_file() else ""


def reached(paths: list) -> list:
    """The files and the project headers that they include, directly or not."""
    seen, waiting = set(), list(paths)
    while waiting:
        current = waiting.pop()
        if current not in seen:
            seen.add(current)
            waiting += INCLUDE.findall(text_of(current))
    return sorted(seen)


@dataclass
class Unit:
    """What one command checks."""
    name: str
    paths: list
    command: list
    alone: list = field(default_factory=list)  # the units to check instead when this does not compile


def key_of(unit: Unit, settings: str) -> str:
    digest = hashlib.sha256(json.dumps([unit.command, settings]).encode())
    for name in reached(unit.paths):
        digest.update(f"{name}\0{text_of(name)}\0".encode())
    return digest.hexdigest()


def sources(ending: str) -> list:
    listed = subprocess.run(["git", "ls-files", "--cached", "--others", "--exclude-standard", "--", *FLOORS],
                            cwd=ROOT, check=True, capture_output=True, text=True).stdout.split("\n")
    return [path for path in listed if path.endswith(ending) and (ROOT / path).is_file()]


def header_units() -> list:
    return [Unit(path, [path], ["g++", "-std=c++20", "-fsyntax-only", "-Wall", "-Wextra", "-Werror", "-x", "c++",
                                "-I.", "-include", path, "/dev/null"]) for path in sources(".h")]


def flags_of_sources() -> dict:
    database = ROOT / "build/dev/compile_commands.json"
    if not database.is_file():
        sys.exit("cached_check: build/dev is not configured; run `make test` or `make lint`")
    flags = {}
    for entry in json.loads(database.read_text()):
        path = str(Path(entry["file"]).resolve().relative_to(ROOT)) if entry["file"].startswith(str(ROOT)) else ""
        words = entry["command"].split()
        words = words[1:] if words[0].endswith("ccache") else words
        keep, skip = [], False
        for word in words[1:]:
            if skip:
                skip = False
            elif word in ("-o", "-c"):
                skip = True
            elif not NOT_FOR_CLANG.match(word):
                keep.append(word.replace('\\"', '"'))
        flags[path] = keep
    return flags


def names_of(path: str) -> dict:
    """Names at the left margin of the file and of what it includes -> the file that defines them."""
    return {name: file for file in reached([path]) for name in DEFINED.findall(text_of(file))}


def tidy_units() -> list:
    flags = flags_of_sources()
    tidy = ["clang-tidy-14", "--quiet"]
    batches = []  # (paths, their names): a name means the same in all files of a batch
    for path in sources(".cpp"):
        if path not in flags:
            continue
        names = names_of(path)
        for paths, taken in batches:
            agree = all(taken.get(name, file) == file for name, file in names.items())
            if agree and flags[paths[0]] == flags[path] and len(paths) < MOST_IN_A_BATCH:
                paths.append(path)
                taken.update(names)
                break
        else:
            batches.append(([path], names))
    folder = ROOT / "build/checks/batches"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    units = []
    for number, (paths, _) in enumerate(batches):
        alone = [Unit(path, [path], [*tidy, path, "--", *flags[path]]) for path in paths]
        if len(alone) == 1:
            units += alone
            continue
        joined = folder / f"{number}.cpp"
        joined.write_text("".join(f'#include "{p}"  // NOLINT(bugprone-suspicious-include)\n' for p in paths))
        name = f"{paths[0]} and {len(paths) - 1} more"
        units.append(Unit(name, paths, [*tidy, str(joined.relative_to(ROOT)), "--", *flags[paths[0]]], alone))
    return units


def run(name: str, units: list, settings: str) -> int:
    store = ROOT / "build/checks" / name
    store.mkdir(parents=True, exist_ok=True)

    def one(unit: Unit) -> Counter:
        mark = store / key_of(unit, settings)
        if mark.exists():
            return Counter(unchanged=len(unit.paths))
        result = subprocess.run(unit.command, cwd=ROOT, capture_output=True, text=True)
        if result.returncode == 0:
            mark.touch()
            return Counter(passed=len(unit.paths))
        if unit.alone and "[clang-diagnostic-error" in result.stdout:
            total = sum((one(part) for part in unit.alone), Counter())
            if not total["failed"]:
                mark.touch()
            return total
        # clang-tidy counts suppressed warnings of system headers on stderr: noise unless it failed.
        print(f"{unit.name}: {name} failed\n{result.stdout}{result.stderr if not result.stdout else ''}")
        return Counter(failed=len(unit.paths))

    with ThreadPoolExecutor(2) as pool:
        total = sum(pool.map(one, units), Counter())
    print(f"{name}: {total['unchanged']} unchanged, {total['passed']} passed, {total['failed']} failed")
    return 1 if total["failed"] else 0


def main() -> int:
    check = sys.argv[1] if len(sys.argv) == 2 else ""
    if check == "headers":
        return run("headers", header_units(), "")
    if check == "tidy":
        return run("tidy", tidy_units(), (ROOT / ".clang-tidy").read_text())
    sys.exit(__doc__)


if __name__ == "__main__":
    sys.exit(main())
