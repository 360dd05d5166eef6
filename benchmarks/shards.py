"""Videos a second from single files and from tar shards, in one run and in one random order.

    marey prepare jhmdb data/jhmdb --split 1
    python benchmarks/shards.py jhmdb-split1.csv

Reads every byte of each video, and then decodes what a training sample needs. Before a cold
round the system is asked to forget the files; the two ways take turns, round by round.
"""

import argparse
import os
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from statistics import median

import numpy as np
from jaxtyping import Shaped

from marey.data import Key, Preprocessing, SnippetDataset, segment_draws, write_shards
from marey.index import Index, read_index
from marey.video import holding, open_bytes


def forget(index: Index) -> None:
    """Have the system read the files from the disk when they are read next."""
    os.sync()
    for file in {holding(index.file(entry)) for entry in index.entries}:
        handle = os.open(file, os.O_RDONLY)
        os.posix_fadvise(handle, 0, 0, os.POSIX_FADV_DONTNEED)
        os.close(handle)


def read_whole(index: Index, order: Shaped[np.ndarray, " N"]) -> None:
    """Read the bytes of the videos."""
    for number in order:
        with open_bytes(index.file(index.entries[number])) as file:
            file.readall()


def read_samples(index: Index, order: Shaped[np.ndarray, " N"]) -> None:
    """Decode three snippets of each video, crop and scale them."""
    clips = SnippetDataset(
        index,
        modality="rgb",
        preprocessing=Preprocessing(colour="rgb", mean=(127.0,), std=(128.0,)),
        draw=partial(segment_draws, segments=3),
        seed=0,
    )
    for number in order:
        clips[Key(0, int(number))]


def main() -> None:
    """Take turns and print medians."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("index", type=Path)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--videos", type=int, default=200, help="decoded in a round")
    parser.add_argument("--megabytes", type=float, default=64.0, help="of a shard")
    options = parser.parse_args()
    files = read_index(options.index)
    with tempfile.TemporaryDirectory(dir=".") as folder:
        start = time.perf_counter()
        shards = write_shards(files, Path(folder), megabytes=options.megabytes)
        sizes = [file.stat().st_size for file in Path(folder).glob("*.tar")]
        print(
            f"{len(files.entries)} videos in {len(sizes)} shards of {sum(sizes) / 1e6:.0f} MB, "
            f"written in {time.perf_counter() - start:.1f} s"
        )
        order = np.random.default_rng(0).permutation(len(files.entries))
        works: list[tuple[str, bool, Callable[..., None], Shaped[np.ndarray, " N"]]] = [
            ("bytes, cold", True, read_whole, order),
            ("bytes, warm", False, read_whole, order),
            ("samples, cold", True, read_samples, order[: options.videos]),
            ("samples, warm", False, read_samples, order[: options.videos]),
        ]
        print(f"{'videos a second':16} {'files':>9} {'shards':>9}   shards / files (rounds)")
        for name, cold, work, wanted in works:
            speeds: dict[str, list[float]] = {"files": [], "shards": []}
            for _ in range(options.rounds):
                for way, index in (("files", files), ("shards", shards)):
                    if cold:
                        forget(index)
                    start = time.perf_counter()
                    work(index, wanted)
                    speeds[way].append(len(wanted) / (time.perf_counter() - start))
            ratios = [b / a for a, b in zip(speeds["files"], speeds["shards"], strict=True)]
            print(
                f"{name:16} {median(speeds['files']):9.0f} {median(speeds['shards']):9.0f}   "
                f"{median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})"
            )


if __name__ == "__main__":
    main()
