"""Watch the memory of reading samples for training: does it grow from pass to pass?

    python benchmarks/memory.py                              # 10,000 samples, 4 workers, 5 passes

Samples are stretches of one small film. After each pass, memory is that of this process and of
its workers before they end, what they share counted once. Ends with exit code 1 if the last pass
needs 5 % more than the second.
"""

import argparse
import os
import sys
import tempfile
import time
from functools import partial
from pathlib import Path

import numpy as np
import torch

from marey.data import EpochOrder, Preprocessing, SnippetDataset, paced_draws
from marey.index import Entry, Index
from marey.training._workers import batches_of, in_chunks
from marey.video import write_video

BATCH = 50
FPS = 25.0
MOST = 1.05


def film(path: Path) -> None:
    """Write a film of a second, in small pictures."""
    chance = np.random.default_rng(0)
    write_video(path, chance.integers(0, 256, (int(FPS), 48, 64, 3), np.uint8), fps=FPS)


def samples(root: Path, count: int) -> SnippetDataset:
    """Return samples of different stretches of the film."""
    entries = [
        Entry("film.avi", "walk", "train", None, round(number * 1e-6, 6), 1.0)
        for number in range(count)
    ]
    return SnippetDataset(
        Index(root, tuple(entries), ("walk",)),
        modality="rgb",
        preprocessing=Preprocessing(
            colour="rgb", mean=(127.0,), std=(128.0,), size=32, short_side=48
        ),
        draw=partial(paced_draws, snippets=2, pace=8),
        seed=0,
    )


def processes() -> list[int]:
    """Return this process and those that it has started."""
    pid = os.getpid()
    return [pid, *map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text().split())]


def megabytes(pid: int) -> float:
    """Return the memory of a process, its share alone of what it shares with others."""
    text = Path(f"/proc/{pid}/smaps_rollup").read_text()
    (kilobytes,) = [line.split()[1] for line in text.splitlines() if line.startswith("Pss:")]
    return int(kilobytes) / 1e3


def read(dataset: SnippetDataset, epoch: int, workers: int) -> float:
    """Read one pass and return the memory of all processes shortly before its end."""
    batches = list(in_chunks(EpochOrder(len(dataset), seed=0, epoch=epoch), BATCH))
    found = 0.0
    # The last batches are in the hands of workers that have nothing more to do and may end.
    for number, _ in enumerate(batches_of(dataset, batches, workers=workers)):
        if number == len(batches) - 3 * max(workers, 1):
            found = sum(map(megabytes, processes()))
    return found


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--samples", type=int, default=10_000)
    parser.add_argument("--workers", type=int, default=4)
    parser.add_argument("--epochs", type=int, default=5)
    words = parser.parse_args()
    torch.set_num_threads(1)
    found = []
    with tempfile.TemporaryDirectory() as name:
        film(Path(name) / "film.avi")
        dataset = samples(Path(name), words.samples)
        for epoch in range(words.epochs):
            start = time.perf_counter()
            found.append(read(dataset, epoch, words.workers))
            seconds = time.perf_counter() - start
            print(f"pass {epoch + 1}: {found[-1]:.1f} MB, {seconds:.0f} s", flush=True)
    growth = found[-1] / found[min(1, len(found) - 1)]
    print(f"growth since pass 2: {100 * (growth - 1):+.1f} %")
    sys.exit(growth > MOST)


if __name__ == "__main__":
    main()
