"""J-HMDB as its authors have it: every stream, three splits, three seeds, in one table.

    python benchmarks/results.py ROOT --out runs/results

ROOT is the data set, with `videos` and `splits` in it. A cell is one stream, split and seed: TSN,
OFF on top of it, and the scores of test videos and of held-out ones. Its folder is named by a hash
of its recipes, its videos and its seed, so what changes is trained anew and what does not is kept.
Stopped at any moment, the same command goes on from there; with `--print` it only shows the rows
whose cells are done. Epochs and weights are chosen on held-out training videos; test videos are
looked at once, in 25 x 10 views.
"""

import argparse
import hashlib
import subprocess
import sys
from importlib.resources import files
from pathlib import Path

import numpy as np

from marey.evaluation import fuse_heads, load_scores
from marey.index import read_index
from marey.report._bootstrap import interval, resample

RESAMPLES = 2000
# RGB first: it is cheapest, its backbone looks once, and the other rows build on it.
STREAMS = {"rgb": "jhmdb", "diff": "jhmdb-diff", "flow": "jhmdb-flow"}
# Streams, or a single head of one, that make each row.
ROWS = {
    "TSN RGB": ["rgb:tsn"],
    "OFF RGB": ["rgb"],
    "OFF RGB + OFF difference": ["rgb", "diff"],
    "TSN flow": ["flow:tsn"],
    "OFF flow": ["flow"],
    "TSN RGB + TSN flow": ["rgb:tsn", "flow:tsn"],
    "OFF RGB + OFF difference + OFF flow": ["rgb", "diff", "flow"],
}


def main() -> None:
    """Run the cells that are missing and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("root", type=Path)
    parser.add_argument("--splits", type=int, nargs="+", default=[1, 2, 3])
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--streams", choices=STREAMS, nargs="+", default=list(STREAMS))
    parser.add_argument("--out", type=Path, default=Path("runs/results"))
    parser.add_argument("--print", action="store_true", help="run nothing")
    arguments = parser.parse_args()
    out: Path = arguments.out
    for split in arguments.splits:
        index = index_of(out, split)
        if not index.exists():
            marey("prepare", "jhmdb", arguments.root, "--split", split, "--out", index)
    places = [(split, seed) for seed in arguments.seeds for split in arguments.splits]
    if not arguments.print:
        for stream in [name for name in STREAMS if name in arguments.streams]:
            for split, seed in places:
                run(out, stream, split, seed)
    print("| network | cells | top-1, % | 95 % interval |\n|---|---|---|---|")
    for name, streams in ROWS.items():
        done = [place for place in places if all(complete(out, s, *place) for s in streams)]
        if done:
            mean, low, high = row(out, streams, done)
            print(
                f"| {name} | {len(done)} of {len(places)} | {mean:.1f} | {low:.1f} to {high:.1f} |"
            )


def index_of(out: Path, split: int) -> Path:
    """Return the index of an official split."""
    return out / f"jhmdb-split{split}.csv"


def cell(out: Path, stream: str, split: int, seed: int) -> Path:
    """Return the folder of a cell, named by all that its figures depend on."""
    digest = hashlib.sha256(f"{seed} {read_index(index_of(out, split)).fingerprint}".encode())
    for network in ("tsn", "off"):
        digest.update(recipe(stream, network).read_bytes())
    return out / f"{stream}-split{split}-seed{seed}-{digest.hexdigest()[:12]}"


def recipe(stream: str, network: str) -> Path:
    """Return the recipe of a stream's network."""
    return Path(str(files("marey") / "recipes" / f"{STREAMS[stream]}-{network}-lite0.toml"))


def complete(out: Path, stream: str, split: int, seed: int) -> bool:
    """Say whether the cell of a stream, or of a head of it, has its scores."""
    return (cell(out, stream.partition(":")[0], split, seed) / "test.json").exists()


def run(out: Path, stream: str, split: int, seed: int) -> None:
    """Train and score a cell, or what is missing of it."""
    folder, index = cell(out, stream, split, seed), index_of(out, split)
    if complete(out, stream, split, seed):
        return
    where: list[object] = []
    if stream == "flow":
        where = ["--flow", out / "flow"]
        marey("flow", index, "--method", "tvl1", "--out", out / "flow", "--quiet")
    common = [*where, "--seed", seed, "--cache", out / "cache", "--quiet"]
    tsn, off = folder / "tsn", folder / "off"
    marey("train", index, "--recipe", recipe(stream, "tsn"), "--out", tsn, *common)
    start = ["--init", tsn / "model.safetensors"]
    marey("train", index, "--recipe", recipe(stream, "off"), *start, "--out", off, *common)
    for name in ("val", "test"):
        scores = folder / f"{name}.npz"
        if not scores.with_suffix(".json").exists():
            words = ["--out", scores, "--split", name, "--threads", 1, "--quiet", *where]
            marey("test", off / "model.safetensors", index, *words)


def row(out: Path, streams: list[str], places: list[tuple[int, int]]) -> tuple[float, float, float]:
    """Return the mean top-1 of cells, in per cent, and its interval over recordings.

    Videos are tested in several splits, and clips of one recording are alike, so recordings are
    drawn, and every cell is measured on the same draw.
    """
    labels: dict[str, int] = {}
    groups: dict[str, str] = {}
    outcomes: list[dict[str, bool]] = []
    for place in places:
        videos, truth, fused = answers(out, streams, *place)
        labels |= dict(zip(videos, truth, strict=True))
        right = fused.argmax(axis=1) == truth
        outcomes.append(dict(zip(videos, right.tolist(), strict=True)))
        entries = read_index(index_of(out, place[0])).only("test").entries
        groups |= {entry.path: entry.group or entry.path for entry in entries}
    names = sorted(labels)
    right = np.array([[outcome.get(name, False) for name in names] for outcome in outcomes])
    seen = np.array([[name in outcome for name in names] for outcome in outcomes])
    of_groups, numbers = np.unique([groups[name] for name in names], return_inverse=True)
    truth = np.array([labels[name] for name in names])
    drawn = resample(right, seen, truth, numbers, times=RESAMPLES, seed=0).top1.mean(axis=1)
    between = interval(drawn, groups=len(of_groups))
    mean = float((right.sum(axis=1) / seen.sum(axis=1)).mean())
    low, high = (between.low, between.high) if between else (0.0, 1.0)
    return 100 * mean, 100 * low, 100 * high


def answers(
    out: Path, streams: list[str], split: int, seed: int
) -> tuple[tuple[str, ...], np.ndarray, np.ndarray]:
    """Return the test videos of a cell, their labels and what streams say together."""
    cells = [(cell(out, name.partition(":")[0], split, seed), name) for name in streams]
    if len(cells) == 1:
        folder, name = cells[0]
        scores = load_scores(folder / "test.npz")
        whole = fuse_heads(scores.heads, scores.meta["fusion"])
        head = name.partition(":")[2]
        return scores.videos, scores.labels, scores.heads[head] if head else whole

    def words(part: str) -> list[str]:
        ends = (name.partition(":")[1:] for _, name in cells)
        return [
            f"{folder / part}.npz{colon}{head}"
            for (folder, _), (colon, head) in zip(cells, ends, strict=True)
        ]

    about = hashlib.sha256(" ".join(words("test")).encode()).hexdigest()[:12]
    fused = out / "fused" / f"{about}.npz"
    if not fused.exists():
        fused.parent.mkdir(parents=True, exist_ok=True)
        marey("fuse", *words("test"), "--held-out", *words("val"), "--out", fused, "--quiet")
    scores = load_scores(fused)
    return scores.videos, scores.labels, scores.heads["fused"]


def marey(*words: object) -> None:
    """Run a command of marey's, its messages on stderr."""
    command = [sys.executable, "-m", "marey", *map(str, words)]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)  # noqa: S603 - our own words


if __name__ == "__main__":
    main()
