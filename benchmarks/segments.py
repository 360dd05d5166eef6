"""Find the stretches of a film put together from clips, and time it.

    python benchmarks/segments.py jhmdb-split1.csv
    python benchmarks/segments.py jhmdb-split1.csv --model runs/off/model.safetensors --split val \
        --window 1 1.5 2 3 --hold 0.5 1 --unsure 0.3 0.5

The film shows videos of the index that the network did not learn from: stretches of one class each,
of up to four clips, in random order. What is printed is the share of its time that has the right
label, that has none, and how many stretches were found; and how many times faster than real time it
went. Windows and thresholds are chosen by held-out training videos, as in the second line; test
videos are for looking once.
"""

import argparse
import itertools
import random
from collections import defaultdict
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter

import numpy as np

from marey.allocator import keep_freed_memory
from marey.data import resize
from marey.index import Entry, Index, hold_out, read_index
from marey.models import load_named
from marey.streaming import NONE, Segmenter
from marey.video import open_video, write_video

MODEL = "off-lite0-jhmdb"
FPS = 25.0
CLIPS = 4
HEIGHT, WIDTH = 240, 320


def shown(path: Path, model: str, split: str) -> Index:
    """Return the videos of a split; where the index has no `val`, those that training held out."""
    network = load_named(model)
    index = read_index(path, classes=network.classes)
    if split == "val" and "val" not in index.splits:
        fraction, seed = network.recipe["hold_out"], network.recipe["hold_out_seed"]
        index = hold_out(index, fraction=fraction, seed=seed)
    return index.only(split)


def stretches(index: Index, seed: int) -> list[list[Entry]]:
    """Return the clips in the order of the film, in stretches of one class."""
    rng = random.Random(seed)  # noqa: S311
    by_class = defaultdict(list)
    for entry in index.entries:
        by_class[entry.label].append(entry)
    found = []
    for entries in by_class.values():
        rng.shuffle(entries)
        found += [entries[first : first + CLIPS] for first in range(0, len(entries), CLIPS)]
    rng.shuffle(found)
    return found


def film_of(index: Index, order: list[list[Entry]], path: Path) -> list[str]:
    """Write the film and return the label of each frame."""
    import torch

    frames, labels = [], []
    for entry in itertools.chain.from_iterable(order):
        with open_video(index.file(entry)) as reader:
            clip = torch.from_numpy(reader.frames_at(range(len(reader)))).movedim(-1, 1)
        frames.append(resize(clip, HEIGHT, WIDTH).movedim(1, -1).numpy())
        labels += [entry.label] * len(clip)
    write_video(path, np.concatenate(frames), fps=FPS)
    return labels


def main() -> None:
    """Run the benchmark from the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("index", type=Path)
    parser.add_argument("--model", default=MODEL)
    parser.add_argument("--split", choices=("val", "test"), default="test")
    parser.add_argument("--window", type=float, nargs="+", default=[1.5])
    parser.add_argument("--hold", type=float, nargs="+", default=[1.0])
    parser.add_argument("--unsure", type=float, nargs="+", default=[0.35])
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    keep_freed_memory()
    index = shown(arguments.index, arguments.model, arguments.split)
    order = stretches(index, arguments.seed)
    with TemporaryDirectory() as folder:
        film = Path(folder) / "film.mp4"
        labels = film_of(index, order, film)
        seconds = len(labels) / FPS
        print(f"{seconds:.0f} s of film, {len(order)} stretches of {len(index.classes)} classes")
        print("window  hold  unsure   right    none  stretches  times real time")
        for window, hold, unsure in itertools.product(
            arguments.window, arguments.hold, arguments.unsure
        ):
            start = perf_counter()
            found = Segmenter(arguments.model, window=window, hold=hold, unsure=unsure)(film)
            took = perf_counter() - start
            said = [NONE] * len(labels)
            for segment in found.segments:
                first, end = round(segment.start * FPS), round(segment.end * FPS)
                said[first:end] = [segment.label] * (end - first)
            right = np.mean([a == b for a, b in zip(said, labels, strict=True)])
            none = np.mean([label == NONE for label in said])
            known = sum(segment.label != NONE for segment in found.segments)
            print(
                f"{window:6.1f} {hold:5.1f} {unsure:7.2f} {right:7.1%} {none:7.1%} {known:10} "
                f"{seconds / took:16.1f}"
            )


if __name__ == "__main__":
    main()
