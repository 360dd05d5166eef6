"""What `marey flow` adds to the method itself, and what a second core gains.

    python benchmarks/extraction.py jhmdb-split1.csv --videos 12

The same videos go through the bare method (frames in memory, nothing written), through
`marey flow` with one worker, and with two; start-up is measured apart, on a video of two frames,
because it does not grow with the videos. Run it where nothing else runs.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import torch

from marey.flow import ComputedFlow, flow_estimator, making_of
from marey.index import Entry, Index, read_index, write_index
from marey.video import open_video, write_video


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("index", type=Path)
    parser.add_argument("--videos", type=int, default=12, help="evenly spread over the index")
    parser.add_argument("--method", default="tvl1")
    arguments = parser.parse_args()

    whole = read_index(arguments.index)
    step = max(len(whole.entries) // arguments.videos, 1)
    entries = whole.entries[::step][: arguments.videos]
    pairs, bare = bare_method(whole, entries, arguments.method)
    print(f"{len(entries)} videos, {pairs} pairs, {arguments.method}")
    print(f"bare method            {bare:7.1f} s   {1e3 * bare / pairs:6.1f} ms a pair")
    with tempfile.TemporaryDirectory() as folder:
        index = Path(folder) / "videos.csv"
        write_index(Index(whole.root.resolve(), tuple(entries), whole.classes), index)
        start_up = run(start_index(Path(folder)), Path(folder) / "start", arguments.method, 1)
        print(f"start-up               {start_up:7.1f} s")
        one = run(index, Path(folder) / "one", arguments.method, 1) - start_up
        print(f"marey flow, 1 worker   {one:7.1f} s   {one / bare:6.3f} of the bare method's time")
        two = run(index, Path(folder) / "two", arguments.method, 2) - start_up
        print(f"marey flow, 2 workers  {two:7.1f} s   {one / two:6.2f} times faster than with 1")
        rows = map(json.loads, (Path(folder) / "two" / "ledger.jsonl").read_text().splitlines())
        size = sum(row["bytes"] for row in rows) / len(entries)
        print(f"a video costs {one / len(entries):.2f} s of one core and {size / 1e3:.0f} kB")


def bare_method(index: Index, entries: tuple[Entry, ...], method: str) -> tuple[int, float]:
    """Return how many pairs there are and the seconds that the method takes for them."""
    torch.set_num_threads(1)
    estimator = flow_estimator(method)
    making = making_of(method)
    spent = 0.0
    pairs = 0

    def timed(frames: np.ndarray) -> np.ndarray:
        nonlocal spent
        start = time.perf_counter()
        flow = estimator(frames)
        spent += time.perf_counter() - start
        return flow

    estimator(np.zeros((2, making.height, making.width, 3), np.uint8))
    for entry in entries:
        with ComputedFlow(open_video(index.file(entry)), timed, making) as flow:
            pairs += sum(1 for _ in flow.in_order(range(len(flow))))
    return pairs, spent


def start_index(folder: Path) -> Path:
    """Return an index of one video of two frames."""
    write_video(folder / "start.mp4", np.zeros((2, 64, 64, 3), np.uint8))
    index = folder / "start.csv"
    write_index(Index(folder, (Entry("start.mp4", "none"),), ("none",)), index)
    return index


def run(index: Path, out: Path, method: str, workers: int) -> float:
    """Return the seconds that `marey flow` takes."""
    words = ["flow", index, "--out", out, "--method", method, "--workers", workers, "--quiet"]
    start = time.perf_counter()
    command = [sys.executable, "-m", "marey", *map(str, words)]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)  # noqa: S603 - our own words
    return time.perf_counter() - start


if __name__ == "__main__":
    main()
