"""Our TV-L1 beside OpenCV's, pair by pair in one run, and the quick methods beside both.

    python benchmarks/flow.py
    python benchmarks/flow.py clip.avi another.avi --pairs 6 --torch

Both have all cores: one pair on each, for OpenCV too, whose own threads gain nothing. A round
computes the same pairs with every method; the ratio printed is the median of the rounds'.
Without videos the bundled clips are used.
"""

import argparse
import os
import statistics
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from importlib.resources import files
from pathlib import Path

import numpy as np
import torch

from marey.flow import flow_estimator
from marey.video import open_video

_SIZE = (256, 340)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("videos", type=Path, nargs="*")
    parser.add_argument("--pairs", type=int, default=4, help="of each video, evenly spread")
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--torch", action="store_true", help="TV-L1 in torch too, plain, compiled")
    parser.add_argument("--device", default="cpu", help="cuda measures the torch version there")
    arguments = parser.parse_args()

    videos = arguments.videos or sorted(Path(str(files("marey") / "clips")).glob("*.avi"))
    pairs = [pair for video in videos for pair in pairs_of(video, arguments.pairs)]
    torch.set_num_threads(1)
    print(f"{len(pairs)} pairs of {len(videos)} videos, 340x256, {arguments.threads} at a time")
    methods: dict[str, Callable[[np.ndarray], np.ndarray]] = {
        "tvl1-opencv": flow_estimator("tvl1-opencv"),
        "tvl1": flow_estimator("tvl1"),
        "dis": flow_estimator("dis"),
        "farneback": flow_estimator("farneback"),
    }
    if arguments.torch:
        methods |= {"tvl1, torch": in_torch(compiled=False), "compiled": in_torch(compiled=True)}
    if arguments.device != "cpu":
        on_gpu(pairs, arguments.device)
    for estimate in methods.values():
        estimate(pairs[0])  # What is compiled or allocated once is not measured.

    flows: dict[str, list[np.ndarray]] = {}
    seconds: dict[str, list[float]] = {name: [] for name in methods}
    for pair in chunks(pairs, arguments.threads):
        for name, estimate in methods.items():
            start = time.perf_counter()
            with ThreadPoolExecutor(arguments.threads) as pool:
                answers = list(pool.map(estimate, pair))
            seconds[name].append((time.perf_counter() - start) / len(pair))
            flows.setdefault(name, []).extend(answer[0] for answer in answers)

    print("method        ms a pair   pairs/s   OpenCV's TV-L1 over it   error to it, px (longest)")
    for name in methods:
        ratios = [a / b for a, b in zip(seconds["tvl1-opencv"], seconds[name], strict=True)]
        errors = [
            float(np.hypot(*(one - two).transpose(2, 0, 1)).mean())
            for one, two in zip(flows["tvl1-opencv"], flows[name], strict=True)
        ]
        mean = statistics.mean(seconds[name])
        print(
            f"{name:12} {1e3 * mean:10.1f} {1 / mean:9.1f} {statistics.median(ratios):12.1f} "
            f"({min(ratios):.1f} to {max(ratios):.1f}) {np.mean(errors):14.4f} ({max(errors):.3f})"
        )


def pairs_of(video: Path, count: int) -> list[np.ndarray]:
    """Return frames and their successors, evenly spread over a video, at the size of flow."""
    with open_video(video) as reader:
        places = np.linspace(0, len(reader) - 2, count).round().astype(int)
        frames = [reader.frames_at([place, place + 1]) for place in places]
    return [scaled(pair) for pair in frames]


def scaled(frames: np.ndarray) -> np.ndarray:
    """Return frames scaled to 340 x 256."""
    pictures = torch.from_numpy(frames).permute(0, 3, 1, 2)
    pictures = torch.nn.functional.interpolate(pictures, _SIZE, mode="bilinear", antialias=True)
    return pictures.permute(0, 2, 3, 1).contiguous().numpy()


def in_torch(*, compiled: bool) -> Callable[[np.ndarray], np.ndarray]:
    """Return TV-L1 in torch, as on a GPU; compiled means the step that it repeats."""
    from marey.flow import _tvl1_torch as room
    from marey.flow._methods import grey_levels

    step = torch.compile(room._iterated, dynamic=False) if compiled else room._iterated

    def estimate(frames: np.ndarray) -> np.ndarray:
        plain, room._iterated = room._iterated, step
        try:
            grey = torch.from_numpy(grey_levels(frames)).float()
            return room.tvl1_pairs(grey[:1], grey[1:]).permute(0, 2, 3, 1).numpy()
        finally:
            room._iterated = plain

    return estimate


def on_gpu(pairs: list[np.ndarray], device: str) -> None:
    """Print pairs per second on a GPU; dense_flow publishes 14 to 30."""
    estimate = flow_estimator("tvl1", device=device)
    many = np.concatenate([pair for pair in pairs for _ in range(16)])
    estimate(many)
    start = time.perf_counter()
    estimate(many)
    rate = (len(many) - 1) / (time.perf_counter() - start)
    print(f"tvl1 on {device}: {rate:.0f} pairs a second; dense_flow's published 14 to 30")


def chunks(pairs: list[np.ndarray], size: int) -> list[list[np.ndarray]]:
    """Return the pairs in groups of a size; a smaller rest is left out."""
    groups = [pairs[at : at + size] for at in range(0, len(pairs) - size + 1, size)]
    if not groups:
        sys.exit(f"{len(pairs)} pairs are too few for {size} at a time; raise --pairs")
    return groups


if __name__ == "__main__":
    main()
