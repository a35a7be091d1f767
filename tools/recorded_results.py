#!/usr/bin/env python3
"""The numbers of finished experiments, seed by seed, and whether a run gives them again.

    recorded_results.py keep OUT [NAME...]      OUT's values into docs/results/NAME.tsv
    recorded_results.py compare OUT [NAME...]   a line an experiment; 1 when a row differs
    recorded_results.py table NAME METRIC...    docs/results/NAME.tsv as the tables of docs/reproduce.md
    recorded_results.py --self-test

OUT is what `kindling experiment --out OUT` filled; without names all of its experiments. `keep` takes rows
whose seeds are all there and leaves the other rows of a file as they are. Another processor or compiler
rounds otherwise, and training enlarges that: a row differs when the means over the seeds that both have are
further apart than three of the larger sd and .001. Rows of other data (another number of queries) are counted,
not compared.
"""
import json
import statistics
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
RECORDED = ROOT / "docs/results"
KEY = ("data", "encoder", "model", "step")  # what names a row of an experiment
HEAD = (*KEY, "queries", "seed")
NEAR = 0.001


def rows_of(document: dict) -> dict:
    """Key -> {"queries", "values": {metric: {seed: value}}}, of rows with finished seeds."""
    rows = {}
    for cell in document["cells"]:
        if not cell["values"]:
            continue
        key = tuple(str(cell.get(name, "")) for name in KEY)
        row = rows.setdefault(key, {"queries": str(cell.get("queries", "")), "values": {}})
        row["values"][cell["metric"]] = dict(zip(cell["seed_of"], cell["values"], strict=True))
    return rows


def read(path: Path) -> dict:
    """What `write` wrote, in the form of rows_of."""
    rows = {}
    if not path.exists():
        return rows
    head, *lines = path.read_text().splitlines()
    metrics = head.split("\t")[len(HEAD):]
    for line in lines:
        fields = line.split("\t")
        row = rows.setdefault(tuple(fields[:len(KEY)]), {"queries": fields[len(KEY)], "values": {m: {} for m in metrics}})
        for metric, value in zip(metrics, fields[len(HEAD):]):
            if value:
                row["values"][metric][int(fields[len(KEY) + 1])] = float(value)
    for row in rows.values():
        row["values"] = {metric: values for metric, values in row["values"].items() if values}
    return rows


def write(path: Path, rows: dict) -> None:
    metrics = list(dict.fromkeys(metric for row in rows.values() for metric in row["values"]))
    lines = ["\t".join((*HEAD, *metrics))]
    for key, row in rows.items():
        for seed in sorted(set().union(*row["values"].values())):
            numbers = [row["values"].get(metric, {}) for metric in metrics]
            lines.append("\t".join((*key, row["queries"], str(seed),
                                    *(f"{values[seed]:.6g}" if seed in values else "" for values in numbers))))
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(lines) + "\n")


def is_whole(key: tuple, row: dict, plan: dict) -> bool:
    """Whether every planned seed of a row is there."""
    once = {model["label"] for model in plan["models"] if model.get("seeded") is False}
    planned = 1 if key[KEY.index("model")] in once else plan.get("seeds", 3)
    return all(len(values) >= planned for values in row["values"].values())


def keep(out: Path, names: list) -> int:
    for name, document in documents(out, names):
        path, plan = RECORDED / f"{name}.tsv", plan_of(name)
        rows = read(path)
        fresh = {key: row for key, row in rows_of(document).items() if is_whole(key, row, plan)}
        rows.update(fresh)
        if fresh:
            write(path, rows)
        print(f"{name}: {len(fresh)} rows kept, {len(rows)} in all")
    return 0


def differences(run: dict, recorded: dict) -> dict:
    """Of the rows that both have: how many values, how many equal, the largest deviation, which rows differ."""
    told = {"values": 0, "equal": 0, "largest": 0.0, "where": "", "rows": [], "other_data": 0, "unknown": 0}
    for key, row in run.items():
        if key not in recorded:
            told["unknown"] += 1
            continue
        if row["queries"] != recorded[key]["queries"]:
            told["other_data"] += 1
            continue
        for metric, kept in recorded[key]["values"].items():
            fresh = row["values"].get(metric, {})
            pairs = [(fresh[seed], kept[seed]) for seed in kept if seed in fresh]
            if not pairs or metric.endswith("seconds"):
                continue
            told["values"] += len(pairs)
            told["equal"] += sum(f"{a:.6g}" == f"{b:.6g}" for a, b in pairs)
            mine, theirs = zip(*pairs)
            far = abs(statistics.fmean(mine) - statistics.fmean(theirs))
            spread = max(statistics.stdev(side) if len(side) > 1 else 0.0 for side in (mine, theirs))
            if far > told["largest"]:
                told["largest"], told["where"] = far, f"{' '.join(part for part in key if part)} {metric}"
            if far > max(NEAR, 3.0 * spread):
                told["rows"].append(f"{' '.join(part for part in key if part)} {metric}: "
                                    f"{statistics.fmean(mine):.4f}, recorded {statistics.fmean(theirs):.4f}")
    return told


def compare(out: Path, names: list) -> int:
    worse = 0
    for name, document in documents(out, names):
        recorded = read(RECORDED / f"{name}.tsv")
        if not recorded:
            continue
        told = differences(rows_of(document), recorded)
        line = f"{name}: {told['values']} values beside docs/results, {told['equal']} equal to six digits"
        if told["largest"] >= 0.00005:
            line += f", means at most {told['largest']:.4f} apart ({told['where']})"
        if told["other_data"]:
            line += f"; {told['other_data']} rows are of other data"
        if told["unknown"]:
            line += f"; {told['unknown']} rows are not recorded"
        print("\n  differs: ".join([line, *told["rows"]]))
        worse += len(told["rows"])
    return 1 if worse else 0


def mean(values: dict) -> float:
    return statistics.fmean(values.values())


def number(values: dict) -> str:
    text = f"{mean(values):.4f}".replace("0.", ".", 1)
    return text if len(values) == 1 else f"{text} ± {statistics.stdev(values.values()):.4f}".replace("± 0.", "± .")


def tables(rows: dict, plan: dict, metrics: list) -> list:
    """Markdown: of a sweep a table of its steps, else one a pair, best first by the last metric."""
    titles = {model["label"]: model["title"] for model in plan["models"]} | {pair["name"]: pair["title"] for pair in plan["pairs"]}
    steps = list(dict.fromkeys(key[3] for key in rows if key[3]))

    def title(key: tuple) -> str:
        return titles[key[2]] + (f", {key[1]}" if key[1] else "")

    if steps:
        lines = ["| direction | model | " + " | ".join(f"{float(step):g}" for step in steps) + " |", "|---" * (len(steps) + 2) + "|"]
        for name in dict.fromkeys(key[:3] for key in rows):
            cells = [" / ".join(number(rows[*name, step]["values"][metric]) for metric in metrics) if (*name, step) in rows else "–"
                     for step in steps]
            lines.append(" | ".join(["| " + titles[name[0]], title(name), *cells]) + " |")
        return lines
    lines = []
    for pair in dict.fromkeys(key[0] for key in rows):
        lines += [f"**{titles[pair]}**", "", "| model | " + " | ".join(metrics) + " |", "|---" * (len(metrics) + 1) + "|"]
        of_pair = [(key, row["values"]) for key, row in rows.items() if key[0] == pair]
        of_pair.sort(key=lambda one: -mean(one[1].get(metrics[-1], {0: 0.0})))
        for key, values in of_pair:
            cells = [number(values[metric]) if metric in values else "–" for metric in metrics]
            lines.append(" | ".join(["| " + title(key), *cells]) + " |")
        lines.append("")
    return lines


def table(name: str, metrics: list) -> int:
    plan, rows = plan_of(name), read(RECORDED / f"{name}.tsv")
    known = list(dict.fromkeys(metric for row in rows.values() for metric in row["values"]))
    for metric in metrics:
        if metric not in known:
            raise SystemExit(f"recorded_results: docs/results/{name}.tsv has no {metric}; it has: {', '.join(known) or 'nothing'}")
    print("\n".join(tables(rows, plan, metrics)))
    return 0


def plan_of(name: str) -> dict:
    path = ROOT / f"experiments/{name}.json"
    if not path.exists():
        raise SystemExit(f"recorded_results: there is no experiment {name}; `kindling experiment --list` names them")
    return json.loads(path.read_text())


def documents(out: Path, names: list):
    for name in names or sorted(path.stem for path in (ROOT / "experiments").glob("*.json")):
        plan_of(name)  # says so where there is no such experiment
        path = out / f"{name}.json"
        if path.exists():
            yield name, json.loads(path.read_text())
        elif names:
            raise SystemExit(f"recorded_results: {path} is not there: run `kindling experiment {name} --out {out}`")


def self_test() -> None:
    def cell(model, metric, values, **more):
        return {"data": "a-b", "encoder": "", "model": model, "metric": metric, "values": values,
                "seed_of": list(range(len(values))), "queries": 9} | more

    document = {"cells": [cell("x", "hr@10", [0.1, 0.2, 0.30000004]), cell("x", "ndcg@10", [0.01, 0.02, 0.03]),
                          cell("y", "hr@10", [0.5], step=0.25), cell("z", "hr@10", [])]}
    plan = {"seeds": 3, "models": [{"label": "x", "title": "X"}, {"label": "y", "title": "Y", "seeded": False}],
            "pairs": [{"name": "a-b", "title": "A → B"}]}
    rows = rows_of(document)
    assert set(rows) == {("a-b", "", "x", ""), ("a-b", "", "y", "0.25")}, rows
    assert all(is_whole(key, row, plan) for key, row in rows.items())
    assert not is_whole(("a-b", "", "x", ""), rows["a-b", "", "y", "0.25"], plan)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "results/one.tsv"
        write(path, rows)
        again = read(path)
    same = differences(rows, again)
    assert (same["values"], same["equal"], same["rows"]) == (7, 7, []), same
    far = rows_of({"cells": [cell("x", "hr@10", [0.9, 1.0, 1.1]), cell("y", "hr@10", [0.5005], step=0.25),
                             cell("w", "hr@10", [0.1])]})
    told = differences(far, again)
    assert len(told["rows"]) == 1 and told["rows"][0].startswith("a-b x hr@10: 1.0000, recorded 0.2"), told
    assert (told["unknown"], told["equal"]) == (1, 0) and told["where"] == "a-b x hr@10", told
    last = differences(rows_of({"cells": [cell("x", "hr@10", [0.30000004], seed_of=[2])]}), again)
    assert (last["values"], last["equal"], last["rows"]) == (1, 1, []), last
    other = differences(rows_of({"cells": [cell("x", "hr@10", [0.9], queries=8)]}), again)
    assert other["other_data"] == 1 and not other["rows"], other
    assert tables(again, plan, ["hr@10"])[-2:] == ["| A → B | X | – |", "| A → B | Y | .5000 |"], tables(again, plan, ["hr@10"])
    flat = {key: row for key, row in again.items() if not key[3]}
    assert tables(flat, plan, ["hr@10"])[-2] == "| X | .2000 ± .1000 |", tables(flat, plan, ["hr@10"])
    print("recorded_results: self-test passed")


def main() -> int:
    verbs = {"keep": keep, "compare": compare}
    if sys.argv[1:] == ["--self-test"]:
        self_test()
        return 0
    if len(sys.argv) > 3 and sys.argv[1] == "table":
        return table(sys.argv[2], sys.argv[3:])
    if len(sys.argv) < 3 or sys.argv[1] not in verbs:
        print(__doc__, file=sys.stderr)
        return 2
    return verbs[sys.argv[1]](Path(sys.argv[2]), sys.argv[3:])


if __name__ == "__main__":
    sys.exit(main())
