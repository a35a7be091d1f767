#!/usr/bin/env python3
"""Writes docs/models.md from what the program says of itself; `--check` only tells whether it is fresh.

The program is build/release's, or the one that the environment variable KINDLING names.
"""
import json
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs/models.md"


def ask(*arguments) -> object:
    program = os.environ.get("KINDLING", ROOT / "build/release/bin/kindling")
    return json.loads(subprocess.run([program, *arguments], check=True, capture_output=True, text=True, cwd=ROOT).stdout)


def cell(value) -> str:
    text = value if isinstance(value, str) else json.dumps(value)
    return text.replace("|", "\\|")


def page() -> str:
    models = ask("models", "--json")["models"]
    lines = ["# Models", "", "Written by `make docs` from `kindling models`; do not edit by hand.", "",
             "| model | source | needs |", "|---|---|---|"]
    for model in models:
        lines.append(f"| [{model['name']}](#{model['name']}) | {cell(model['source'])} | {cell(', '.join(model['needs']) or 'nothing')} |")
    for model in models:
        lines += ["", f"## {model['name']}", "", f"{cell(model['source'])}.", ""]
        options = ask("models", "--describe", model["name"], "--json")["options"]
        if not options:
            lines.append("No options.")
            continue
        lines += ["| option | default | allowed | meaning |", "|---|---|---|---|"]
        for option in options:
            lines.append(f"| `{option['name']}` | {cell(option['default'])} | {cell(option['allowed'])} | {cell(option['description'])} |")
    return "\n".join(lines) + "\n"


def main() -> int:
    fresh = page()
    if sys.argv[1:] == ["--check"]:
        if PAGE.exists() and PAGE.read_text() == fresh:
            print("docs/models.md is fresh")
            return 0
        print("docs/models.md is out of date: run `make docs`", file=sys.stderr)
        return 1
    PAGE.write_text(fresh)
    print(f"wrote {PAGE.relative_to(ROOT)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
