"""What it costs that two processes share the steps of training: seconds, and processor seconds.

    marey prepare jhmdb data/jhmdb --split 1
    python benchmarks/ranks.py jhmdb-split1.csv

Each process computes with one thread and decodes itself. Loading and validation do not count.
Processor seconds of all processes together hold whatever else the computer does; two cores of
their own cannot make two processes faster than twice the ratio.
"""

import argparse
import json
import os
import socket
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import torch

from marey.index import Index, read_index
from marey.ranks import together
from marey.settings import Training
from marey.training import Progress, fit

SETTINGS = Training(
    epochs=1, batch=16, at_once=4, size=112, workers=0, threads=1, device="cpu", frozen_stages=3
)


def learn(index: Index, out: Path, file: Path) -> None:
    """Train, and write how long the steps took after the first one."""
    times: list[tuple[float, float]] = []

    def note(event: str, progress: Progress, steps: int) -> None:
        if event == "step":
            times.append((time.perf_counter(), time.process_time()))

    torch.set_num_threads(1)
    with together("cpu") as ranks:
        fit(SETTINGS, index, out, report=note, ranks=ranks)
    (wall, busy), (wall_end, busy_end) = times[0], times[-1]
    file.write_text(json.dumps([wall_end - wall, busy_end - busy]))


def measure(index: Index, count: int) -> tuple[float, float]:
    """Return seconds, and processor seconds of so many processes."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    os.environ |= {"WORLD_SIZE": str(count), "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
    with tempfile.TemporaryDirectory() as folder:
        files = [Path(folder) / f"{rank}.json" for rank in range(count)]
        children = []
        for rank, file in enumerate(files):
            os.environ["RANK"] = str(rank)
            children.append(os.fork())
            if children[-1] == 0:
                learn(index, Path(folder) / "run", file)
                os._exit(0)
        for child in children:
            os.waitpid(child, 0)
        told = [json.loads(file.read_text()) for file in files]
    return max(wall for wall, _ in told), sum(busy for _, busy in told)


def main() -> None:
    """Take turns and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("index", type=Path)
    parser.add_argument("--steps", type=int, default=8)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    whole = read_index(options.index)
    learnt = list(whole.only("train").entries[:: len(whole.entries) // 200 or 1])
    entries = [replace(e, split="train") for e in learnt[: options.steps * SETTINGS.batch]]
    entries += [replace(e, split="val") for e in whole.only("test").entries[:2]]
    index = replace(whole, entries=tuple(entries))
    for number in range(options.rounds):
        (one, busy_one), (two, busy_two) = measure(index, 1), measure(index, 2)
        print(
            f"round {number + 1}: {one:.1f} s and {busy_one:.1f} processor seconds in one process, "
            f"{two:.1f} s and {busy_two:.1f} in two: {one / two:.2f} times as fast; "
            f"cores of their own allow {2 * busy_one / busy_two:.2f}",
            flush=True,
        )


if __name__ == "__main__":
    main()
