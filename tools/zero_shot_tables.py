#!/usr/bin/env python3
"""Runs the zero-shot tables: every pair x encoder x model x seed of a plan, through the `kindling` program.

    tools/zero_shot_tables.py run experiments/zero_shot.json --data DIR --out build/zero_shot
    tools/zero_shot_tables.py table experiments/zero_shot.json --out build/zero_shot > tables.md

Each cell is one JSON file under OUT/cells, written when it is finished; a run that was interrupted starts
again where it stopped. Seeds are the outermost loop, so that an unfinished run still has every row.
Data sets that are not there are said so and left out. Only the standard library is used.
"""
import argparse
import concurrent.futures
import json
import math
import os
import pathlib
import subprocess
import sys
import threading
import time

METRICS = ("recall@20", "ndcg@20")


def call(args, log):
    """Runs the program; its stderr goes to the log, its stdout is the JSON document that is returned."""
    done = subprocess.run(args, stdout=subprocess.PIPE, stderr=log, check=False)
    if done.returncode != 0:
        raise RuntimeError(f"exit {done.returncode}: {' '.join(map(str, args))} (see {log.name})")
    return json.loads(done.stdout) if done.stdout.strip() else {}


class Runner:
    def __init__(self, plan, args):
        self.plan, self.args = plan, args
        self.out = pathlib.Path(args.out)
        (self.out / "cells").mkdir(parents=True, exist_ok=True)
        (self.out / "models").mkdir(exist_ok=True)
        self.log = open(self.out / "log.txt", "a", encoding="utf-8")
        self.deadline = time.monotonic() + args.minutes * 60
        self.lock = threading.Lock()

    def kindling(self, *words):
        return call([self.args.kindling, *words, "--threads", str(self.args.threads)], self.log)

    def dataset(self, name):
        return self.out / "data" / name

    def prepare(self):
        """Imports every data set and embeds it with every encoder of the plan."""
        present = {}
        for name, spec in self.plan["data"].items():
            folder = pathlib.Path(self.args.data) / spec["folder"]
            if not folder.exists():
                print(f"{name}: {folder} is not there; its pairs are left out", file=sys.stderr)
                continue
            if not self.dataset(name).exists():
                self.kindling("import", spec["format"], *(str(folder / f) for f in spec.get("files", [""])),
                              "--out", str(self.dataset(name)), "--name", name, *spec.get("options", []), "--json")
            present[name] = True
        self.pairs = [p for p in self.plan["pairs"] if p["source"] in present and p["target"] in present]
        print("embedding the texts", file=sys.stderr, flush=True)
        jobs = {(self.vectors(p, e), p[side]): (p, e, p[side])
                for e in self.plan["encoders"] for p in self.pairs for side in ("source", "target")}
        with concurrent.futures.ThreadPoolExecutor(self.args.jobs) as pool:
            for future in [pool.submit(self.embed, *job) for job in jobs.values()]:
                future.result()

    def vectors(self, pair, encoder):
        return encoder["name"] if not encoder.get("fit_pair") else f"{encoder['name']}-{pair['source']}-{pair['target']}"

    def embed(self, pair, encoder, name):
        vectors = self.vectors(pair, encoder)
        target = self.dataset(name) / "vectors" / f"{vectors}.safetensors"
        if target.exists():
            return
        words = ["embed", str(self.dataset(name)), "--encoder", encoder["encoder"], "--name", vectors, "--cache",
                 str(self.out / "cache"), "--json"]
        if encoder.get("fit_pair"):
            other = pair["target"] if name == pair["source"] else pair["source"]
            words += ["--fit-on", str(self.dataset(other))]  # beside its own texts: one space for both
        self.kindling(*words)

    def cells(self):
        for seed in range(self.plan["seeds"]):
            for pair in self.pairs:
                for encoder in self.plan["encoders"]:
                    for model in self.plan["models"]:
                        if seed and model.get("deterministic"):
                            continue
                        if encoder["name"] not in model.get("encoders", [encoder["name"]]):
                            continue
                        yield pair, encoder, model, seed

    def path(self, pair, encoder, model, seed):
        return self.out / "cells" / f"{pair['source']}-{pair['target']}.{encoder['name']}.{model['label']}.{seed}.json"

    def cell(self, job):
        pair, encoder, model, seed = job
        path = self.path(*job)
        if path.exists() or time.monotonic() > self.deadline:
            return
        vectors = self.vectors(pair, encoder)
        source, target = str(self.dataset(pair["source"])), str(self.dataset(pair["target"]))
        settings = {**model.get("set", {}), **(pair.get("set", {}) if model.get("train") else {})}
        options = [w for k, v in settings.items() for w in ("--set", f"{k}={v}")]
        name, started = model["model"], time.monotonic()
        record = {}
        if model.get("train"):
            name = str(self.out / "models" / path.stem)
            record = self.kindling("train", model["model"], "--source", source, "--target", target, "--protocol",
                                   pair["protocol"], "--vectors", vectors, *options, "--seed", str(seed), "--out", name,
                                   "--force", "--json")
            options = [w for k, v in model.get("evaluate", {}).items() for w in ("--set", f"{k}={v}")]
        result = self.kindling("evaluate", name, "--target", target, "--protocol", pair["protocol"], "--vectors",
                               vectors, "--k", "10,20", "--seed", str(seed), *options, "--json")
        document = {"seed": seed, "seconds": time.monotonic() - started, "train": record, "result": result}
        temporary = path.with_suffix(".tmp")
        temporary.write_text(json.dumps(document), encoding="utf-8")
        os.replace(temporary, path)
        with self.lock:
            metrics = " ".join(f"{m} {result['metrics'][m]:.4f}" for m in METRICS)
            print(f"{path.stem:60s} {metrics}  {document['seconds']:.0f} s", file=sys.stderr, flush=True)

    def run(self):
        self.prepare()
        jobs = list(self.cells())
        failed = 0
        with concurrent.futures.ThreadPoolExecutor(self.args.jobs) as pool:
            for future in [pool.submit(self.cell, job) for job in jobs]:
                try:
                    future.result()
                except RuntimeError as error:
                    failed += 1
                    print(error, file=sys.stderr, flush=True)
        missing = sum(not self.path(*job).exists() for job in jobs)
        print(f"{len(jobs) - missing} of {len(jobs)} cells done, {failed} failed", file=sys.stderr)
        return 1 if failed else 0


def spread(values):
    mean = sum(values) / len(values)
    if len(values) < 2:
        return mean, None
    return mean, math.sqrt(sum((v - mean) ** 2 for v in values) / (len(values) - 1))


def shown(values):
    if not values:
        return "–"
    mean, deviation = spread(values)
    return f"{mean:.4f}" if deviation is None else f"{mean:.4f} ± {deviation:.4f} ({len(values)})"


def table(plan, out):
    """One Markdown table a pair: rows are models, columns encoder x metric; mean ± sd (seeds)."""
    for pair in plan["pairs"]:
        stem = f"{pair['source']}-{pair['target']}"
        columns = [(e, m) for e in plan["encoders"] for m in METRICS]
        print(f"\n**{pair['title']}**\n")
        print("| model | " + " | ".join(f"{e['title']} {m}" for e, m in columns) + " |")
        print("|---|" + "---|" * len(columns))
        for model in plan["models"]:
            row = []
            for encoder, metric in columns:
                files = sorted(pathlib.Path(out, "cells").glob(f"{stem}.{encoder['name']}.{model['label']}.[0-9]*.json"))
                row.append(shown([json.loads(f.read_text())["result"]["metrics"][metric] for f in files]))
            if any(cell != "–" for cell in row):
                print(f"| {model['title']} | " + " | ".join(row) + " |")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("verb", choices=("run", "table"))
    parser.add_argument("plan")
    parser.add_argument("--out", required=True)
    parser.add_argument("--data", default="../shared/data", help="where the data folders are")
    parser.add_argument("--kindling", default="build/release/bin/kindling")
    parser.add_argument("--jobs", type=int, default=2, help="cells at a time")
    parser.add_argument("--threads", type=int, default=1, help="threads of each")
    parser.add_argument("--minutes", type=float, default=1e6, help="start no new cell after this time")
    args = parser.parse_args()
    with open(args.plan, encoding="utf-8") as file:
        plan = json.load(file)
    if args.verb == "table":
        table(plan, args.out)
        return 0
    return Runner(plan, args).run()


if __name__ == "__main__":
    sys.exit(main())
