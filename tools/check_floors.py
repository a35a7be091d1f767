#!/usr/bin/env python3
"""Holds the house together: which floor may include which, where LibTorch may be seen, and a few
rules that a compiler does not know. `--self-test` proves that every rule can fail.

Prints one line a fault, `path:line: what is wrong`, and exits with 1 when there is one.
"""
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent

# Floor -> the floors below it. A file may include its own floor and these.
BELOW = {
    "base": set(),
    "kernels": {"base"},
    "data": {"base"},
    "text": {"base", "kernels", "data"},
    "nn": {"base", "kernels", "data", "text"},
    "train": {"base", "kernels", "data", "text", "nn"},
    "models": {"base", "kernels", "data", "text", "nn", "train"},
    # eval and cli see models through their torch-free interface headers only.
    "eval": {"base", "kernels", "data", "text", "models"},
    "cli": {"base", "kernels", "data", "text", "models", "eval"},
}
TORCH_FLOORS = {"nn", "train", "models"}
TORCH_DOOR = "kindling/nn/torch.h"
TORCH_TESTS = tuple(f"tests/{floor}/" for floor in sorted(TORCH_FLOORS))
MAX_LINES = 400

INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]')
TORCH_HEADER = re.compile(r"^(torch|ATen|c10|caffe2)/")
FORBIDDEN = [
    (re.compile(r"\b(std::)?(exit|_exit|abort|quick_exit|terminate)\s*\("), "ends the process: throw Error instead", "library"),
    (re.compile(r"\bstd::(cout|cerr|clog)\b|\b(std::)?(printf|puts|putchar)\s*\(|fmt::print\s*\("), "prints: a library returns or logs", "library"),
    (re.compile(r"\b(std::)?(rand|srand|rand_r)\s*\(|std::random_device|std::mt19937"), "randomness comes from the Rng that is passed in", "library"),
    (re.compile(r"\bstd::getenv\b|\bgetenv\s*\("), "environment variables are read in cli/ only", "library"),
    (re.compile(r"torch::(jit::)?load|torch::pickle_load"), "TorchScript and pickle run code from a file", "all"),
    (re.compile(r"\b(strcpy|strcat|sprintf|vsprintf|gets|system|popen)\s*\("), "unsafe call", "all"),
    (re.compile(r"^\s*using namespace std\b"), "using namespace std", "all"),
    (re.compile(r"^\s*using namespace "), "using namespace in a header", "header"),
    (re.compile(r"//.*\b(TODO|FIXME|XXX)\b(?!\(#\d+\))"), "TODO without an issue number", "all"),
]
# path -> forbidden texts that this one file may use, with the reason.
ALLOWED = {
    "kindling/base/log.cpp": {"prints: a library returns or logs"},  # it is where logs go out
    # A child made by fork() must not run its parent's exit handlers.
    "kindling/base/worker_processes.cpp": {"ends the process: throw Error instead"},
    "kindling/base/random.h": {"randomness comes from the Rng that is passed in"},
    "kindling/base/random.cpp": {"randomness comes from the Rng that is passed in"},
}


def code_of(line: str) -> str:
    """The line without string literals and comment, so that messages may speak of anything."""
    line = re.sub(r'"(\\.|[^"\\])*"', '""', line)
    return line.split("//")[0]


def floor_of(path: str) -> str | None:
    parts = path.split("/")
    if parts[0] == "cli":
        return "cli"
    return parts[1] if parts[0] == "kindling" and len(parts) > 2 else None


def include_faults(path: str, floor: str | None, quote: str, target: str):
    if TORCH_HEADER.match(target):
        # Tests of the LibTorch floors may compare with a part of LibTorch that the floors do not use.
        if path != TORCH_DOOR and not path.startswith(TORCH_TESTS):
            yield f"includes <{target}>: LibTorch is included through {TORCH_DOOR} only"
        return
    if target.startswith(("kindling/", "cli/")) and quote == "<":
        yield f"includes <{target}> with angle brackets: project files are quoted"
    if floor is None:
        return
    if quote == '"' and not target.startswith(("kindling/", "cli/")):
        yield f'includes "{target}": use the full path from the root'
        return
    other = floor_of(target)
    if other is None:
        return
    if other not in BELOW:
        yield f"includes {target}: no floor is called {other}"
    elif other != floor and other not in BELOW[floor]:
        yield f"includes {target}: floor {other} is not below {floor}"
    if target == TORCH_DOOR and floor not in TORCH_FLOORS:
        yield f"includes {target}: floor {floor} is free of LibTorch"


def file_faults(path: str, text: str, torch_headers: frozenset = frozenset()):
    """Yields (line, message). `torch_headers`: headers that include LibTorch, however far down."""
    floor = floor_of(path)
    lines = text.split("\n")
    if len(lines) - 1 > MAX_LINES:
        yield len(lines), f"{len(lines) - 1} lines, the limit is {MAX_LINES}: split by idea"
    if path.endswith(".h") and not re.search(r"^#pragma once$", text, re.MULTILINE):
        yield 1, "header without #pragma once"
    # A .cpp that opens with the header it implements is explained there.
    explained = path.endswith(".cpp") and lines[0].startswith(f'#include "kindling/{floor}/')
    if floor and not explained and not lines[0].startswith("//"):
        yield 1, "opens without a comment that says what the file is for"
    scope = "library" if path.startswith("kindling/") else "all"
    for number, line in enumerate(lines, 1):
        match = INCLUDE.match(line)
        if match:
            for message in include_faults(path, floor, *match.groups()):
                yield number, message
            if floor and floor not in TORCH_FLOORS and match[2] in torch_headers:
                yield number, f"includes {match[2]}, which includes LibTorch"
            continue
        for pattern, message, where in FORBIDDEN:
            if (where == "library" and scope != "library") or (where == "header" and not path.endswith(".h")):
                continue
            subject = line if "TODO" in message else code_of(line)
            if pattern.search(subject) and message not in ALLOWED.get(path, ()):
                yield number, f"{message} ({pattern.search(subject)[0].strip()})"


def find_torch_headers(texts: dict) -> frozenset:
    """Headers from which nn/torch.h is reached."""
    reaches = {TORCH_DOOR}
    while True:
        more = {
            path
            for path, text in texts.items()
            if path.endswith(".h") and path not in reaches
            and any((m := INCLUDE.match(line)) and m[2] in reaches for line in text.split("\n"))
        }
        if not more:
            return frozenset(reaches)
        reaches |= more


def faults(texts: dict) -> list:
    torch_headers = find_torch_headers(texts)
    return [f"{path}:{line}: {message}"
            for path, text in sorted(texts.items())
            for line, message in file_faults(path, text, torch_headers)]


def tracked_sources() -> dict:
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "--",
               "kindling", "cli", "tests", "bench", "fuzz"]
    listed = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True)
    paths = [p for p in listed.stdout.split("\n") if p.endswith((".h", ".cpp", ".cu"))]
    return {p: (ROOT / p).read_text(encoding="utf-8") for p in paths if (ROOT / p).exists()}


def self_test() -> None:
    ok = {"kindling/data/a.cpp": '// A.\n#include "kindling/base/error.h"\nint x;  // std::cout is fine here\n',
          "kindling/models/b.cpp": '// B.\n#include "kindling/nn/torch.h"\n',
          "kindling/nn/torch.h": "// Door.\n#pragma once\n#include <torch/nn.h>\n",
          "fuzz/d.cpp": "void f() {\n  using namespace kindling;\n}\n",
          "cli/c.cpp": '// C.\n#include "kindling/eval/report.h"\nvoid f() { fmt::print("x"); }\n'}
    assert faults(ok) == [], faults(ok)
    bad = [
        ("kindling/data/a.cpp", '// A.\n#include "kindling/kernels/topk.h"\n', "floor kernels is not below data"),
        ("kindling/base/a.cpp", '// A.\n#include "kindling/data/ids.h"\n', "floor data is not below base"),
        ("kindling/eval/a.cpp", '// A.\n#include "kindling/nn/losses.h"\n', "floor nn is not below eval"),
        ("cli/a.cpp", '// A.\n#include "kindling/train/loop.h"\n', "floor train is not below cli"),
        ("kindling/nn/a.cpp", "// A.\n#include <torch/torch.h>\n", "through kindling/nn/torch.h only"),
        ("tests/eval/a_test.cpp", "#include <ATen/ATen.h>\n", "through kindling/nn/torch.h only"),
        ("kindling/text/a.cpp", '// A.\n#include "error.h"\n', "full path from the root"),
        ("kindling/text/a.cpp", "// A.\n#include <kindling/base/error.h>\n", "angle brackets"),
        ("kindling/base/a.cpp", '// A.\n#include "kindling/attic/x.h"\n', "no floor is called attic"),
        ("kindling/base/a.h", "// A.\nint x;\n", "without #pragma once"),
        ("kindling/base/a.cpp", "int x;\n", "without a comment"),
        ("kindling/base/a.cpp", "// A.\n" + "\n" * 400, "the limit is 400"),
        ("kindling/base/a.cpp", "// A.\nvoid f() { std::exit(1); }\n", "ends the process"),
        ("kindling/data/a.cpp", '// A.\nvoid f() { std::cout << "x"; }\n', "prints"),
        ("kindling/models/a.cpp", "// A.\nint f() { return std::rand(); }\n", "randomness"),
        ("kindling/base/a.cpp", "// A.\nauto x = std::getenv(name);\n", "environment"),
        ("bench/a.cpp", "auto m = torch::jit::load(path);\n", "TorchScript"),
        ("cli/a.cpp", "// A.\nint f() { return system(command); }\n", "unsafe call"),
        ("kindling/base/a.cpp", "// A.\nusing namespace std;\n", "using namespace std"),
        ("tests/support/a.h", "#pragma once\nusing namespace kindling;\n", "using namespace in a header"),
        ("kindling/base/a.cpp", "// A.\n// TODO mend\n", "TODO without"),
    ]
    for path, text, expected in bad:
        found = faults({path: text})
        assert any(expected in fault for fault in found), f"not found: {expected} in {path}: {found}"
    indirect = {"kindling/nn/torch.h": "// D.\n#pragma once\n#include <torch/nn.h>\n",
                "kindling/models/net.h": '// N.\n#pragma once\n#include "kindling/nn/torch.h"\n',
                "kindling/eval/a.cpp": '// A.\n#include "kindling/models/net.h"\n'}
    assert any("which includes LibTorch" in fault for fault in faults(indirect))
    print(f"check_floors: self-test of {len(bad) + 2} cases passed")


def main() -> int:
    if "--self-test" in sys.argv:
        self_test()
        return 0
    texts = tracked_sources()
    found = faults(texts)
    print("\n".join(found), end="\n" if found else "")
    print(f"check_floors: {len(texts)} files, {len(found)} faults")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
