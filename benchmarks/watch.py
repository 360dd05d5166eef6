"""Watch a file in real time for a while: frames per second, latency, and memory.

    python benchmarks/watch.py                          # one minute
    python benchmarks/watch.py clip.mp4 --minutes 30
    python benchmarks/watch.py --minutes 30 --lose 60   # the source dies every minute

Unless a file is given, it is a bundled clip, enlarged to 640 x 480, there and back for ten seconds
at 25 frames a second, in H.264. It is looped as a camera would send it, and with a window of one
second the network looks at all 25. Memory is the resident set of this process, which captures,
decodes and runs the network. Latencies run from a frame's arrival, before it is decoded, to its
answer.
"""

import argparse
import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack
from importlib.resources import files
from pathlib import Path

import numpy as np
import torch
from torch.utils.flop_counter import FlopCounterMode

from marey.data import resize_short_side
from marey.errors import VideoError
from marey.isolation import Isolated
from marey.streaming import Stream
from marey.video import open_video, write_video
from marey.watching import Back, Feed, Latencies, Lost, Piece, Seen, Source, Watch, source_of

WARM_SECONDS = 10.0
_COMPARED = 5  # minutes


def resident() -> float:
    """Return the memory that this process has, in megabytes."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def cost(stream: Stream) -> str:
    """Return what a frame of 640 x 480 costs, its scaling included, once the window is full."""
    frame = np.random.default_rng(0).integers(0, 256, (480, 640, 3), np.uint8)
    seconds = []
    for number in range(80):
        begin = time.perf_counter()
        stream.push(frame, number * stream.spacing)
        seconds.append(time.perf_counter() - begin)
    with FlopCounterMode(display=False) as counted:
        stream.push(frame, 80 * stream.spacing)
    stream.forget()
    return f"{1e3 * np.median(seconds[40:]):.1f} ms and {counted.get_total_flops() / 1e9:.2f} GFLOP"


def film(folder: Path) -> Path:
    """Make a film like that of a small camera."""
    with open_video(str(files("marey") / "clips" / "golf.avi")) as video:
        frames = video.frames_at(range(len(video)))
    large = resize_short_side(torch.from_numpy(frames).movedim(-1, 1), 480).movedim(1, -1).numpy()
    there_and_back = np.concatenate([large, large[::-1]] * 4)[:250]
    write_video(folder / "golf.mp4", there_and_back, fps=25.0)
    return folder / "golf.mp4"


def dying(source: Source, seconds: float) -> Source:
    """Return a live source that plays a file over and over, and dies every so often."""

    def pieces() -> Iterator[Piece]:
        end = time.monotonic() + seconds
        start = 0.0
        while True:
            feed = source.open()
            last = 0.0
            for piece in feed.pieces:
                if time.monotonic() > end:
                    feed.close()
                    raise VideoError(f"{source.name}: died, as it should")
                last = max(last, piece.time)
                yield Piece(start + piece.time, piece.frames)
            feed.close()
            start += last

    return Source(source.name, live=True, open=lambda: Feed(pieces(), lambda: None, recorded=True))


class Report:
    """Collects what a run shows, and prints a line a minute."""

    def __init__(self, watch: Watch) -> None:
        self.watch = watch
        self.start = time.monotonic()
        self.memory = {"start": resident()}
        self.minutes: list[Latencies] = []

    def take(self, event: Seen | Lost | Back | None) -> None:
        """Count an event, and tell of each minute that ends."""
        now = time.monotonic() - self.start
        if now > WARM_SECONDS and "warm" not in self.memory:
            self.memory["warm"] = resident()
        while len(self.minutes) <= now / 60:
            if self.minutes:
                self.tell()
            self.minutes.append(Latencies())
        if isinstance(event, Seen):
            self.minutes[-1].add(event.latency, now)
        elif event is not None:
            print(f"  {now:7.1f} s  {event}", flush=True)

    def tell(self) -> None:
        """Print the minute that has ended."""
        latencies, summary = self.minutes[-1], self.watch.summary()
        print(
            f"minute {len(self.minutes):3}: {len(latencies):5} looked at, "
            f"p50 {1e3 * latencies.percentile(50.0):4.0f} ms, "
            f"p99 {1e3 * latencies.percentile(99.0):4.0f} ms, "
            f"{summary.dropped} dropped so far, {resident():.1f} MB, "
            f"load {os.getloadavg()[0]:.1f}",
            flush=True,
        )

    def end(self) -> None:
        """Print what came of it."""
        summary = self.watch.summary()
        self.memory["end"] = resident()
        seconds = summary.seconds
        print(
            f"{summary.frames} frames, {summary.frames / seconds:.2f} a second; "
            f"{summary.looked_at} looked at, {summary.looked_at / seconds:.2f} a second; "
            f"{summary.dropped} dropped; {summary.reconnects} reconnects\n"
            f"latency p50 {1e3 * summary.latency_p50:.0f} ms, p99 {1e3 * summary.latency_p99:.0f} "
            f"ms, max {1e3 * summary.latency_max:.0f} ms\n"
            "memory "
            + ", ".join(f"{name} {value:.1f} MB" for name, value in self.memory.items())
            + f" ({self.memory['end'] / self.memory.get('warm', self.memory['start']) - 1:+.1%} "
            "since warm)"
        )
        whole = self.minutes[: int(seconds // 60)]
        if len(whole) >= 2 * _COMPARED:
            early, late = (
                np.mean([minute.percentile(99.0) for minute in part])
                for part in (whole[:_COMPARED], whole[-_COMPARED:])
            )
            print(f"p99 of the last {_COMPARED} minutes is {late / early:.2f} times the first's")


def main() -> None:
    """Run the benchmark from the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("video", nargs="?", help="a file (one made from a bundled clip)")
    parser.add_argument("--model", default="off-lite0-jhmdb")
    parser.add_argument("--minutes", type=float, default=1.0)
    parser.add_argument("--window", type=float, default=1.0, help="seconds (1)")
    parser.add_argument("--threads", type=int, default=max((os.cpu_count() or 1) - 1, 1))
    parser.add_argument("--lose", type=float, help="seconds after which the source dies")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    stream = Stream(arguments.model, window=arguments.window)
    print(f"a frame takes {cost(stream)}")
    with ExitStack() as block:
        video = arguments.video
        if video is None:
            folder = Path(block.enter_context(tempfile.TemporaryDirectory()))
            # In a process of its own, so that the frames leave no trace in our memory.
            maker = Isolated()
            video = maker.call(film, 120.0, folder)
            maker.close()
        source = source_of(str(video))
        if arguments.lose:
            source = dying(source, arguments.lose)
        print(f"{source.name}, {arguments.model}, {arguments.threads} of {os.cpu_count()} threads")
        watch = block.enter_context(Watch(stream, source, loop=True))
        report = Report(watch)
        for event in watch.events():
            report.take(event)
            if time.monotonic() - report.start > 60 * arguments.minutes:
                break
        report.end()


if __name__ == "__main__":
    main()
