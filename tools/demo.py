#!/usr/bin/env python3
"""The main job on real data: recommend to people and of films that training has never seen.

  demo.py            MovieLens-100K and all-MiniLM-L6-v2 -> demo/report.html
  demo.py --smoke    the same steps on a small made-up world, nothing fetched -> build/smoke/

Two domains are cut out of MovieLens-100K in the manner of the ZESRec paper's MIND pairs: the target
takes the films with at least one of the genres in `TARGET_GENRES`, the source all other films;
users are divided by a hash of their id, so that no user and no film is in both. The model learns on
the source and is used on the target as it is.

Every finished step is remembered with its command under DIR/.done: an interrupted demo goes on
where it stopped, and a second run only prints the table. The program to run is build/release's, or
the one that the environment variable KINDLING names.
"""
import hashlib
import json
import os
import random
import shutil
import statistics
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
TARGET_GENRES = "Crime|Film-Noir|Horror|Mystery|Thriller"
SLICES = ["history 0", "history 1", "history 3-4", "history 10+", "cold item"]
METRICS = ["ndcg@20", "recall@20", "ndcg@10", "recall@10"]


@dataclass
class World:
    """Where the data comes from and how long training may take."""
    out: Path
    interactions: Path
    items: Path
    encoder: list  # arguments of `kindling embed`
    vectors: str
    text: str  # how the report names the encoder
    title: str
    target_genres: str
    seeds: list
    settings: list = field(default_factory=list)  # key=value for ZESRec


# Label, note, kind, model, --set values, seeded?
BASELINES = [
    ("Text kNN, recent items weigh more", "cosine", "baseline", "embknn", ["vectors=cosine", "history=recency"], False),
    ("Text kNN, last item", "cosine", "baseline", "embknn", ["vectors=cosine", "history=last"], False),
    ("Text kNN, mean of history", "cosine", "baseline", "embknn", ["vectors=cosine", "history=mean"], False),
    ("Text kNN, mean of history, raw", "as in the paper", "baseline", "embknn", ["vectors=raw", "history=mean"], False),
    ("Random", "", "baseline", "random", [], True),
    ("Popularity", "oracle: counts the target's own past", "oracle", "pop", [], False),
    ("Recency", "oracle: counts the target's recent past", "oracle", "recency", [], False),
]


class Failure(Exception):
    pass


class Runner:
    """Runs commands of the program, and remembers which are done."""

    def __init__(self, out: Path, program: Path):
        self.out = out
        self.program = program
        self.done = out / ".done"
        self.done.mkdir(parents=True, exist_ok=True)
        status = program.stat()
        # A rebuilt program starts over: its results may differ.
        self.chain = f"{status.st_size} {status.st_mtime_ns}"

    def kindling(self, name: str, *arguments, output: Path | None = None) -> None:
        """One step. With `output`, what it prints (JSON) is kept there; else it makes its own files."""
        words = [str(word) for word in arguments]
        key = hashlib.sha256(json.dumps([self.chain, words]).encode()).hexdigest()
        self.chain = key
        mark = self.done / name
        if mark.exists() and mark.read_text() == key and (output is None or output.exists()):
            return
        mark.unlink(missing_ok=True)
        result = subprocess.run([self.program, *words], stdout=subprocess.PIPE, text=True, cwd=ROOT)
        if result.returncode != 0:
            raise Failure(f"`kindling {' '.join(words)}` ended with exit code {result.returncode}")
        if output is not None:
            output.parent.mkdir(parents=True, exist_ok=True)
            scratch = output.with_suffix(".tmp")
            scratch.write_text(result.stdout)
            scratch.replace(output)
        mark.write_text(key)


def evaluate(run: Runner, world: World, label: str, model: str, seed: int, settings: list) -> str:
    """Returns the result's path inside the run directory."""
    result = Path("results") / f"{label}-{seed}.json"
    options = [word for setting in settings for word in ("--set", setting)]
    run.kindling(f"evaluate-{label}-{seed}", "evaluate", model, "--target", world.out / "target", "--protocol",
                 "time-split", "--vectors", world.vectors, "--k", "10,20", "--mask-seen", "--seed", seed, *options,
                 "--json", output=world.out / result)
    return str(result)


def make_domains(run: Runner, world: World) -> None:
    common = ["import", "recbole", world.interactions, world.items, "--force", "--json"]
    run.kindling("import-source", *common, "--out", world.out / "source", "--name", "other-films",
                 "--exclude-categories", world.target_genres, "--user-part", "1/2",
                 output=world.out / "import-source.json")
    run.kindling("import-target", *common, "--out", world.out / "target", "--name", "suspense-films",
                 "--include-categories", world.target_genres, "--user-part", "2/2",
                 output=world.out / "import-target.json")
    run.kindling("inspect", "inspect", world.out / "target", "--against", world.out / "source", "--json",
                 output=world.out / "inspect.json")
    for domain in ("source", "target"):
        run.kindling(f"embed-{domain}", "embed", world.out / domain, *world.encoder, "--name", world.vectors)


def train_and_evaluate(run: Runner, world: World) -> list:
    ours = []
    for seed in world.seeds:
        model = world.out / "models" / f"zesrec-{seed}"
        options = [word for setting in world.settings for word in ("--set", setting)]
        run.kindling(f"train-{seed}", "train", "zesrec", "--source", world.out / "source", "--target",
                     world.out / "target", "--protocol", "time-split", "--vectors", world.vectors, *options,
                     # Steps this small are slower on two threads than on one.
                     "--threads", 1, "--seed", seed, "--resume", "--force", "--out", model)
        ours.append(evaluate(run, world, "zesrec", str(model), seed, []))
    rows = [{"label": "ZESRec (GRU4Rec)", "note": "zero-shot: nothing of the target was seen", "kind": "ours",
             "results": ours}]
    for number, (label, note, kind, model, settings, seeded) in enumerate(BASELINES):
        results = [evaluate(run, world, f"{model}-{number}", model, seed, settings)
                   for seed in (world.seeds if seeded else world.seeds[:1])]
        rows.append({"label": label, "note": note, "kind": kind, "results": results})
    return rows


@dataclass
class Film:
    title: str
    kinds: set


def read_films(path: Path) -> dict:
    """Item id -> Film, from a RecBole .item file."""
    rows = [line.split("\t") for line in path.read_text(encoding="utf-8").rstrip("\n").split("\n")]
    header = [column.split(":")[0] for column in rows[0]]
    title, kinds = header.index("movie_title"), header.index("class")
    year = header.index("release_year") if "release_year" in header else None
    name = lambda row: f"{row[title]} ({row[year]})" if year is not None else row[title]
    return {row[0]: Film(name(row), set(row[kinds].split(" "))) for row in rows[1:]}


def read_histories(path: Path) -> dict:
    """User id -> item ids, oldest first (ties keep the order of the file)."""
    lines = path.read_text(encoding="utf-8").rstrip("\n").split("\n")
    header = [column.split(":")[0] for column in lines[0].split("\t")]
    user, item, moment = (header.index(name) for name in ("user_id", "item_id", "timestamp"))
    events = [(line.split("\t")) for line in lines[1:]]
    histories = {}
    for cells in sorted(events, key=lambda cells: float(cells[moment])):
        histories.setdefault(cells[user], []).append(cells[item])
    return histories


def in_user_part(user: str, part: int, parts: int) -> bool:
    """The same rule as `kindling import --user-part PART/PARTS`."""
    return int(hashlib.sha256(user.encode()).hexdigest()[:8], 16) % parts == part - 1


def make_cases(run: Runner, world: World) -> None:
    """Three users of the target: a history, what the model recommends for it, what they chose next."""
    films = read_films(world.items)
    candidates = {}
    for user, items in read_histories(world.interactions).items():
        chosen = [item for item in items if films[item].kinds & set(world.target_genres.split("|"))]
        if 16 <= len(chosen) <= 60 and in_user_part(user, 2, 2):
            candidates[user] = chosen
    # Drawn, not picked: the seed decides, not the look of the result.
    users = random.Random(7).sample(sorted(candidates), 3)
    model = world.out / "models" / f"zesrec-{world.seeds[0]}"
    cases = []
    for user in users:
        items = candidates[user]
        context, following = items[:8], items[8:16]
        output = world.out / "cases" / f"{user}.json"
        run.kindling(f"recommend-{user}", "recommend", model, "--items", world.out / "target", "--vectors",
                     world.vectors, "--history", ",".join(context), "--k", 10, "--json", output=output)
        ranked = [entry["id"] for entry in json.loads(output.read_text())["items"]]
        name = lambda ids: [{"id": item, "title": films[item].title} for item in ids]
        cases.append({"user": user, "history": name(context), "recommended": name(ranked), "next": name(following)})
    write_json(world.out / "cases.json", {"cases": cases})


def write_json(path: Path, document) -> None:
    scratch = path.with_suffix(".tmp")
    scratch.write_text(json.dumps(document, indent=1, ensure_ascii=False) + "\n")
    scratch.replace(path)


def print_table(world: World, rows: list) -> None:
    width = max(len(row["label"]) for row in rows)
    print(f"\n{'':{width}}  " + "  ".join(f"{name:>17}" for name in METRICS))
    for row in rows:
        results = [json.loads((world.out / path).read_text())["metrics"] for path in row["results"]]
        cells = []
        for metric in METRICS:
            values = [result[metric] for result in results]
            spread = f" ± {statistics.stdev(values):.4f}" if len(values) > 1 else " " * 9
            cells.append(f"{statistics.mean(values):8.4f}{spread}")
        print(f"{row['label']:{width}}  " + "  ".join(cells) + (f"  {row['note']}" if row["note"] else ""))


def smoke_world() -> World:
    """A made-up shop: users of one taste read words of one topic. Small enough for every check."""
    out = ROOT / "build" / "smoke"
    out.mkdir(parents=True, exist_ok=True)
    draw = random.Random(1)
    topics = ["river boat water", "engine road wheel", "forest tree leaf", "planet star rocket"]
    items = ["item_id:token\tmovie_title:token_seq\tclass:token_seq"]
    for item in range(160):
        words = topics[item % 4].split() + [f"name{item}"]
        draw.shuffle(words)
        items.append(f"{item}\t{' '.join(words)}\t{'Old' if item < 80 else 'New'}")
    events = ["user_id:token\titem_id:token\trating:float\ttimestamp:float"]
    for user in range(300):
        taste = draw.randrange(4)
        for moment in range(60):
            topic = taste if draw.random() < 0.9 else draw.randrange(4)
            events.append(f"{user}\t{4 * draw.randrange(40) + topic}\t5\t{1000 * moment + user}")
    (out / "world.item").write_text("\n".join(items) + "\n")
    (out / "world.inter").write_text("\n".join(events) + "\n")
    return World(out=out, interactions=out / "world.inter", items=out / "world.item", encoder=["--encoder", "hash"],
                 vectors="hash", text="n-gram hashing", title="A made-up world", target_genres="New", seeds=[1, 2],
                 settings=["dim=16", "epochs=3"])


def real_world() -> World:
    cache = Path(os.environ.get("KINDLING_CACHE", ROOT / ".cache"))
    if subprocess.run([sys.executable, ROOT / "tools/fetch_assets.py"]).returncode != 0:
        raise Failure("the files above are needed")
    return World(out=ROOT / "demo", interactions=cache / "ml-100k/ml-100k.inter", items=cache / "ml-100k/ml-100k.item",
                 encoder=["--encoder", str(cache / "minilm")], vectors="minilm",
                 text="title and genres through all-MiniLM-L6-v2",
                 title="Day 0: films nobody has rated, for people nobody knows", target_genres=TARGET_GENRES,
                 seeds=[1, 2, 3],
                 # Chosen by the validation users of the source; the target had no say.
                 settings=["dim=64", "batch_size=16", "learning_rate=0.03", "lambda_v=1", "epochs=20"])


def describe(world: World, rows: list, seconds: float) -> dict:
    count = lambda domain: "{users:,} users · {items:,} items · {interactions:,} interactions".format(
        **json.loads((world.out / f"import-{domain}.json").read_text()))
    overlap = json.loads((world.out / "inspect.json").read_text())["against"]
    return {
        "title": world.title,
        "summary": "ZESRec learned on the source domain and is used on the target as it is. Every item of the target "
                   "is ranked for every query; a query is one interaction of the last fifth of the time.",
        "facts": [
            {"name": "Source", "value": count("source")},
            {"name": "Target", "value": count("target")},
            {"name": "Shared between them",
             "value": f"{overlap['shared_users']} users, {overlap['shared_items']} items"},
            {"name": "Texts of the target that the source also has",
             "value": f"{overlap['same_texts']} equal, {overlap['near_texts']} nearly equal"},
            {"name": "Rule", "value": f"target: items of {world.target_genres.replace('|', ', ')}; source: all others; "
                                      "users divided by hash"},
            {"name": "Text", "value": world.text},
            {"name": "Time", "value": f"{seconds:.0f} s for all steps"},
        ],
        "tables": [{"title": "Zero-shot on the target", "metrics": METRICS, "bars": True, "rows": rows,
                    "note": "Full ranking, items of the history left out, ties at their expected rank. Mean ± standard "
                            "deviation over seeds. Grey rows know the target's past and are no zero-shot models."},
                   {"title": "NDCG@20 by what is known of the user and the item", "slice_metric": "ndcg@20",
                    "metrics": SLICES, "rows": rows,
                    "note": "History: interactions of the user before the query. A cold item has none in the "
                            "target's past."}],
        "curves": [{"label": f"seed {seed}", "history": f"models/zesrec-{seed}"} for seed in world.seeds],
        "cases": "cases.json",
        "commands": ["make demo"],
    }


def main() -> int:
    if sys.argv[1:] not in ([], ["--smoke"]):
        print(__doc__, file=sys.stderr)
        return 2
    begin = time.monotonic()
    program = Path(os.environ.get("KINDLING", ROOT / "build/release/bin/kindling")).resolve()
    try:
        if not program.is_file():
            raise Failure(f"{program} is not there: run `make build`")
        world = smoke_world() if "--smoke" in sys.argv else real_world()
        run = Runner(world.out, program)
        make_domains(run, world)
        rows = train_and_evaluate(run, world)
        make_cases(run, world)
        write_json(world.out / "run.json", describe(world, rows, time.monotonic() - begin))
        run.kindling("report", "report", world.out, "--quiet")
    except Failure as failure:
        print(f"demo: {failure}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\ndemo: stopped; `make demo` goes on from here", file=sys.stderr)
        return 130
    print_table(world, rows)
    print(f"\nThe report: {(world.out / 'report.html').relative_to(ROOT)}   ({time.monotonic() - begin:.0f} s)")
    return 0


if __name__ == "__main__":
    sys.exit(main())
