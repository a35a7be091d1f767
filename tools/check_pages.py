#!/usr/bin/env python3
"""check_pages.py PAGE...: opens report pages in headless Chromium as a reader would, light, dark and printed.

A page is refused when it shows nothing, ignores the reader's colour scheme, asks for anything outside
itself, cannot be printed, or has a part that an A4 sheet would cut off. `--quick` looks at one size and
prints nothing, `--print` only looks at the paper, `--self-test` proves that the check can fail, `--keep DIR`
keeps the pictures.
Ends with 77 when there is no Chromium (Debian: chromium).
"""
import argparse
import functools
import html
import json
import pathlib
import re
import shutil
import struct
import subprocess
import sys
import tempfile
import zlib

SKIPPED = 77
SIZES = {"wide": (1100, 1600), "narrow": (500, 1600)}
SCHEMES = {"light": [], "dark": ["--force-dark-mode"]}
QUIET = ["--headless=new", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--no-first-run",
         "--disable-background-networking", "--disable-dev-shm-usage", "--enable-logging=stderr"]

PAPER = 718  # CSS pixels: 21 cm less margins of 1 cm
# Chromium lays out for paper only while it prints, so a copy of the page has its print rules always on
# and names what is wider than the paper: a box, or what does not fit into its box.
MEASURE = """<script>addEventListener("load", () => {
  const paper = document.documentElement.clientWidth, wide = [];
  for (const part of document.body.querySelectorAll("*")) {
    const end = Math.round(part.getBoundingClientRect().right);
    const name = part.tagName.toLowerCase() + (part.className ? "." + part.getAttribute("class") : "");
    const holds = part instanceof HTMLElement && part.clientWidth > 0;  // no part of a plot
    if (end > paper + 1) wide.push(`${name} ends at ${end} of ${paper} px`);
    else if (holds && part.scrollWidth > part.clientWidth + 1)
      wide.push(`${name} holds ${part.scrollWidth} px in ${part.clientWidth}`);
  }
  document.documentElement.dataset.measured = JSON.stringify([paper, ...wide.slice(0, 3)]);
});</script>"""


def find_chromium():
    for name in ("chromium", "chromium-browser", "google-chrome"):
        if shutil.which(name):
            return name
    return None


def unfilter(kind, line, above, step):
    """One line of a PNG: undoes the prediction that its first byte names."""
    for i in range(len(line)):
        left = line[i - step] if i >= step else 0
        up, corner = above[i], above[i - step] if i >= step else 0
        if kind == 1:
            guess = left
        elif kind == 2:
            guess = up
        elif kind == 3:
            guess = (left + up) // 2
        elif kind == 4:
            near = left + up - corner
            guess = min((abs(near - left), 0, left), (abs(near - up), 1, up), (abs(near - corner), 2, corner))[2]
        else:
            guess = 0
        line[i] = (line[i] + guess) & 255
    return line


def read_png(path):
    """The lines of an 8-bit RGB or RGBA picture, and its bytes a pixel."""
    data = path.read_bytes()
    at, packed, width, height, step = 8, b"", 0, 0, 0
    while at < len(data):
        length, kind = struct.unpack(">I4s", data[at:at + 8])
        body = data[at + 8:at + 8 + length]
        if kind == b"IHDR":
            width, height, depth, colour = struct.unpack(">IIBB", body[:10])
            step = {2: 3, 6: 4}[colour]
            assert depth == 8, depth
        elif kind == b"IDAT":
            packed += body
        at += 12 + length
    raw, size = zlib.decompress(packed), width * step
    lines, above = [], bytearray(size)
    for y in range(height):
        begin = y * (size + 1)
        above = unfilter(raw[begin], bytearray(raw[begin + 1:begin + 1 + size]), above, step)
        lines.append(above)
    return lines, step


def look_at(picture, scheme):
    """What is wrong with a picture of a page."""
    lines, step = read_png(picture)
    corner = tuple(lines[0][:3])
    brightness = sum(corner) / 765
    if scheme == "light" and brightness < 0.8 or scheme == "dark" and brightness > 0.25:
        return [f"the background is {corner} although the reader asks for {scheme}"]
    # A text makes hundreds of shades; every 7th pixel will do.
    shades = {bytes(line[x:x + 3]) for line in lines[::2] for x in range(0, len(line), 7 * step)}
    return [] if len(shades) > 20 else [f"nothing to be seen: {len(shades)} colours"]


def chromium(program, page, *options):
    """What Chromium complains of, and what it writes."""
    with tempfile.TemporaryDirectory() as profile:
        done = subprocess.run([program, *QUIET, f"--user-data-dir={profile}", *options, page.resolve().as_uri()],
                              capture_output=True, text=True, timeout=120, check=False)
    said = [line for line in done.stderr.splitlines() if "CONSOLE" in line or "Page load failed" in line]
    return said, done.stdout


def check_paper(program, page, keep):
    """What is wrong with a page on A4 paper."""
    paper = keep / f"{page.stem}.pdf"
    faults, _ = chromium(program, page, "--no-pdf-header-footer", f"--print-to-pdf={paper}")
    if not (paper.exists() and paper.read_bytes().startswith(b"%PDF")):
        faults.append("cannot be printed")
    copy = keep / f"{page.stem}-on-paper.html"
    text = re.sub(r"<meta http-equiv=.Content-Security-Policy.[^>]*>", "", page.read_text(encoding="utf-8"))
    copy.write_text(text.replace("@media print", "@media all") + MEASURE, encoding="utf-8")
    _, dom = chromium(program, copy, f"--window-size={PAPER},1600", "--dump-dom")
    measured = re.search(r'<html[^>]* data-measured="([^"]*)"', dom)
    width, *wide = json.loads(html.unescape(measured[1])) if measured else [0]
    if width != PAPER:
        faults.append(f"could not be measured at {PAPER} px, but at {width}")
    return [f"{page}: printed: {fault}" for fault in faults + [f"wider than the paper: {part}" for part in wide]]


def check_page(program, page, keep, quick):
    faults = []
    for scheme, dark in SCHEMES.items():
        for size, (width, height) in list(SIZES.items())[:1 if quick else None]:
            picture = keep / f"{page.stem}-{scheme}-{size}.png"
            said, _ = chromium(program, page, *dark, f"--window-size={width},{height}", f"--screenshot={picture}")
            found = said + (look_at(picture, scheme) if picture.exists() else ["no picture"])
            faults += [f"{page}: {scheme}, {size}: {fault}" for fault in found]
    return faults if quick else faults + check_paper(program, page, keep)


def self_test(program, keep):
    text = "".join(f"<p style='color:rgb({n},90,{255 - n})'>line {n}</p>" for n in range(0, 250, 5))
    both = "<meta name='color-scheme' content='light dark'>"
    outside = "<meta http-equiv='Content-Security-Policy' content=\"default-src 'none'; style-src 'unsafe-inline'\">"
    wide = "<style>div{overflow-x:auto}p{width:900px}</style><div><p>wide</p></div>"
    narrow = "<style>@media print{p{width:auto}}</style>"
    cases = {
        "good": (both + text, ""),
        "blank": (both, "nothing to be seen"),
        "bright": ("<style>html{background:#fff}</style>" + text, "the reader asks for dark"),
        "curious": (both + outside + text + "<img src='https://example.org/a.png'>", "CONSOLE"),
        "cut-off": (outside + wide, "wider than the paper: div holds 900 px"),
        "fits-paper": (outside + wide + narrow, ""),
    }
    for name, (body, expected) in cases.items():
        page = keep / f"{name}.html"
        page.write_text("<!doctype html>" + body, encoding="utf-8")
        on_paper = name in ("cut-off", "fits-paper")
        look = check_paper(program, page, keep) if on_paper else check_page(program, page, keep, quick=True)
        faults = "\n".join(look)
        if bool(expected) != bool(faults) or expected not in faults:
            sys.exit(f"check_pages: self-test: {name}: expected {expected!r}, found {faults!r}")
    print("check_pages: self-test passed")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("pages", nargs="*", type=pathlib.Path)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--print", action="store_true", dest="paper")
    parser.add_argument("--self-test", action="store_true")
    parser.add_argument("--keep", type=pathlib.Path)
    given = parser.parse_args()
    program = find_chromium()
    if program is None:
        print("check_pages: no Chromium here, pages were not looked at")
        sys.exit(SKIPPED)
    with tempfile.TemporaryDirectory() as scratch:
        keep = given.keep or pathlib.Path(scratch)
        keep.mkdir(parents=True, exist_ok=True)
        if given.self_test:
            self_test(program, keep)
        look = check_paper if given.paper else functools.partial(check_page, quick=given.quick)
        faults = [fault for page in given.pages for fault in look(program, page, keep)]
    for fault in faults:
        print(fault)
    if given.pages:
        print(f"check_pages: {len(given.pages)} pages, {len(faults)} faults")
    sys.exit(1 if faults else 0)


if __name__ == "__main__":
    main()
