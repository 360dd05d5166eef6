"""Time what a training step needs of a video, beside plain PyAV, in one run.

    python benchmarks/decode.py clip.avi
    python benchmarks/decode.py --make      # a film like those of UCF-101

Both open the file. The reader tells the length and gives 25 frames spread over the video; PyAV
turns every frame into RGB, or only those 25 when it is told beforehand how long the video is.
"""

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import av
import numpy as np

from marey.video import VideoReader, write_video


def spread(length: int, count: int) -> list[int]:
    """Return `count` frame numbers from first to last."""
    return [int(place) for place in np.linspace(0, length - 1, count)]


def with_reader(path: Path, count: int) -> np.ndarray:
    """Return the frames as the package reads them."""
    with VideoReader(path) as video:
        return video.frames_at(spread(len(video), count))


def with_pyav(path: Path, count: int) -> np.ndarray:
    """Return the frames out of all, each turned into RGB."""
    with av.open(str(path)) as container:
        container.streams.video[0].thread_type = "NONE"
        frames = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
    return np.stack([frames[number] for number in spread(len(frames), count)])


def with_foresight(path: Path, count: int, length: int) -> np.ndarray:
    """Return the frames, of which only the wanted ones are turned into RGB."""
    wanted = set(spread(length, count))
    with av.open(str(path)) as container:
        container.streams.video[0].thread_type = "NONE"
        frames = enumerate(container.decode(video=0))
        return np.stack([f.to_ndarray(format="rgb24") for number, f in frames if number in wanted])


def milliseconds(task: Callable[[], np.ndarray]) -> float:
    """Return how long one call takes."""
    start = time.perf_counter()
    task()
    return 1000 * (time.perf_counter() - start)


@contextmanager
def film() -> Iterator[Path]:
    """Make 164 frames of 320x240 in MPEG-4: a soft picture that drifts, with some grain."""
    chance = np.random.default_rng(0)
    rows, columns = np.mgrid[:240, :320]
    waves = [np.sin(rows / a + columns / b) for a, b in ((23, 31), (41, -17), (-29, 53))]
    still = 128 + 90 * np.stack(waves, axis=-1)
    moved = np.stack([np.roll(still, (t, 2 * t), (0, 1)) for t in range(164)])
    grain = chance.normal(0, 2, (164, 240, 320, 1))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "film.avi"
        write_video(path, (moved + grain).clip(0, 255).astype(np.uint8))
        yield path


def compare(path: Path, *, count: int, runs: int) -> None:
    """Check that all ways agree, then time them in turn and print the medians."""
    with VideoReader(path) as video:
        length = len(video)
        print(f"{path.name}: {length} frames of {video.width}x{video.height}, {count} wanted")
    ways: dict[str, Callable[[], np.ndarray]] = {
        "marey: open, length, frames_at": lambda: with_reader(path, count),
        "PyAV: every frame to RGB": lambda: with_pyav(path, count),
        "PyAV: only the wanted, told the length": lambda: with_foresight(path, count, length),
    }
    results = [way() for way in ways.values()]
    if not all(np.array_equal(results[0], other) for other in results[1:]):
        raise SystemExit("the ways give different frames")
    times: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(runs):
        for name, way in ways.items():
            times[name].append(milliseconds(way))
    ours = next(iter(times.values()))
    for name, taken in times.items():
        ratio = statistics.median(other / own for own, other in zip(ours, taken, strict=True))
        print(f"  {name:40} {statistics.median(taken):7.1f} ms   {ratio:5.2f} of marey's time")


def main() -> None:
    """Run the comparison from the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("video", nargs="*", type=Path)
    parser.add_argument("--make", action="store_true", help="time a film made for the purpose")
    parser.add_argument("--frames", type=int, default=25, help="how many are wanted (25)")
    parser.add_argument("--runs", type=int, default=15, help="paired runs (15)")
    arguments = parser.parse_args()
    if not arguments.video and not arguments.make:
        parser.error("give a video or --make")
    for path in arguments.video:
        compare(path, count=arguments.frames, runs=arguments.runs)
    if arguments.make:
        with film() as path:
            compare(path, count=arguments.frames, runs=arguments.runs)


if __name__ == "__main__":
    main()
