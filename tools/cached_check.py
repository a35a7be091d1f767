#!/usr/bin/env python3
"""Checks of single files on the torch-free floors that remember what passed.

  cached_check.py headers     every header compiles alone
  cached_check.py tidy        clang-tidy on every source file (flags from build/dev)

A file is checked again only when its text, a project header that it reaches, or the settings changed;
what passed is remembered under build/checks/. Two run at a time.
"""
import hashlib
import json
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
FLOORS = ("kindling/base", "kindling/kernels", "kindling/data", "kindling/text", "kindling/eval", "cli")
INCLUDE = re.compile(r'^\s*#\s*include\s*"([^"]+)"', re.MULTILINE)
# Flags of GCC that clang does not know, or that only cost time here.
NOT_FOR_CLANG = re.compile(r"^(-fno-trapping-math|-march=.*|-fopenmp|-Werror|-W.*|-O\d|-g\d?)$")


@cache
def text_of(path: str) -> str:
    file = ROOT / path
    return file.read_text(encoding="utf-8", errors="replace") if file.is_file() else ""


def reached(path: str) -> list:
    """The file and the project headers that it includes, directly or not."""
    seen, waiting = set(), [path]
    while waiting:
        current = waiting.pop()
        if current not in seen:
            seen.add(current)
            waiting += INCLUDE.findall(text_of(current))
    return sorted(seen)


def key_of(path: str, command: list, settings: str) -> str:
    digest = hashlib.sha256(json.dumps([command, settings]).encode())
    for name in reached(path):
        digest.update(f"{name}\0{text_of(name)}\0".encode())
    return digest.hexdigest()


def sources(ending: str) -> list:
    listed = subprocess.run(["git", "ls-files", "--cached", "--others", "--exclude-standard", "--", *FLOORS],
                            cwd=ROOT, check=True, capture_output=True, text=True).stdout.split("\n")
    return [path for path in listed if path.endswith(ending) and (ROOT / path).is_file()]


def header_commands() -> dict:
    return {path: ["g++", "-std=c++20", "-fsyntax-only", "-Wall", "-Wextra", "-Werror", "-x", "c++", "-I.",
                   "-include", path, "/dev/null"] for path in sources(".h")}


def tidy_commands() -> dict:
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
    return {path: ["clang-tidy-14", "--quiet", path, "--", *flags[path]]
            for path in sources(".cpp") if path in flags}


def run(name: str, commands: dict, settings: str) -> int:
    store = ROOT / "build/checks" / name
    store.mkdir(parents=True, exist_ok=True)

    def one(path: str) -> str:
        mark = store / key_of(path, commands[path], settings)
        if mark.exists():
            return "known"
        result = subprocess.run(commands[path], cwd=ROOT, capture_output=True, text=True)
        if result.returncode == 0:
            mark.touch()
            return "passed"
        # clang-tidy counts suppressed warnings of system headers on stderr: noise unless it failed.
        print(f"{path}: {name} failed\n{result.stdout}{result.stderr if not result.stdout else ''}")
        return "failed"

    with ThreadPoolExecutor(2) as pool:
        results = list(pool.map(one, commands))
    print(f"{name}: {results.count('known')} unchanged, {results.count('passed')} passed, "
          f"{results.count('failed')} failed")
    return 1 if "failed" in results else 0


def main() -> int:
    check = sys.argv[1] if len(sys.argv) == 2 else ""
    if check == "headers":
        return run("headers", header_commands(), "")
    if check == "tidy":
        return run("tidy", tidy_commands(), (ROOT / ".clang-tidy").read_text())
    sys.exit(__doc__)


if __name__ == "__main__":
    sys.exit(main())
