"""Leave one person out on the Weizmann actions, all nine folds, with one command.

    python benchmarks/weizmann.py VIDEOS --out runs/weizmann

VIDEOS holds a folder for each of the ten classes with `<person>_<class>.avi` in it. Each fold
tests on one person's videos and trains on the others', one of whom is held out to choose the
checkpoint and the weights of the heads; nothing is chosen on the person tested. Two folds run
at a time, on one thread each. Stopped at any moment, the same command goes on from there.
"""

import argparse
import json
import subprocess
import sys
import time
from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from marey.index import Entry, Index, write_index


def main() -> None:
    """Run the folds and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("videos", type=Path)
    parser.add_argument("--out", type=Path, default=Path("runs/weizmann"))
    parser.add_argument("--at-once", type=int, default=2, help="folds at a time")
    parser.add_argument("--crops", type=int, choices=(1, 10), default=10)
    arguments = parser.parse_args()

    start = time.monotonic()
    videos = sorted(arguments.videos.resolve().glob("*/*.avi"))
    people = sorted({video.stem.split("_")[0] for video in videos})
    if not videos:
        sys.exit(f"{arguments.videos}: no <class>/<person>_<class>.avi below this folder")
    # The first fold fills the cache of the frozen backbone's maps, which all share.
    folds = [(arguments.out, videos, person, arguments.crops) for person in people]
    results = [fold(*folds[0])]
    with ThreadPoolExecutor(arguments.at_once) as pool:
        results += pool.map(lambda words: fold(*words), folds[1:])

    right: dict[str, float] = defaultdict(float)
    for person, result in zip(people, results, strict=True):
        heads = result["heads"]
        print(f"{person:8}", *(f"{head} {row['top1']:6.1%}" for head, row in heads.items()))
        for head, row in heads.items():
            right[head] += row["top1"] * row["videos"]
    print("all     ", *(f"{head} {count / len(videos):6.1%}" for head, count in right.items()))
    print(f"{len(videos)} videos, {len(people)} folds, {(time.monotonic() - start) / 60:.1f} min")


def fold(out: Path, videos: list[Path], person: str, crops: int) -> dict[str, dict[str, dict]]:
    """Train without a person, test on them, and return the figures."""
    folder = out / person
    index = folder / "index.csv"
    entries = tuple(
        Entry(
            path=str(video.relative_to(videos[0].parents[1])),
            label=video.parent.name,
            split="test" if video.stem.startswith(f"{person}_") else "train",
            group=video.stem.split("_")[0],
        )
        for video in videos
    )
    classes = tuple(sorted({entry.label for entry in entries}))
    if not index.exists():
        write_index(Index(videos[0].parents[1], entries, classes), index)
    cache = ["--cache", str(out / "cache"), "--quiet"]
    tsn, off = folder / "tsn", folder / "off"
    marey("train", index, "--recipe", "weizmann-tsn-lite0", "--out", tsn, *cache)
    start = tsn / "model.safetensors"
    marey("train", index, "--recipe", "weizmann-off-lite0", "--init", start, "--out", off, *cache)
    scores = folder / "scores.npz"
    if not scores.with_suffix(".json").exists():
        model = off / "model.safetensors"
        words = ["--out", scores, "--crops", crops, "--threads", 1, "--quiet"]
        marey("test", model, index, *words)
    figures: dict[str, dict[str, dict]] = json.loads(scores.with_suffix(".json").read_text())
    return figures


def marey(*words: object) -> None:
    """Run a command of marey's, its messages on stderr."""
    command = [sys.executable, "-m", "marey", *map(str, words)]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)  # noqa: S603 - our own words


if __name__ == "__main__":
    main()
