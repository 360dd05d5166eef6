"""Find the segments of a film of an hour, stopped with kill -9 on the way: time and memory.

    python benchmarks/film.py                         # a film made from a bundled clip
    python benchmarks/film.py --hours 0.1 --unbroken  # and once more without the stop, compared

The film is the bundled clip, 320 x 240 at 25 frames a second in H.264, over and over; its packets
are copied, so making it takes a second. `marey predict --segments --json` runs as users run it. It
is killed after a share of the time that it would need, and the same words are given again. Memory
is the resident set of the command.
"""

import argparse
import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path
from tempfile import TemporaryDirectory

import av
import numpy as np
import torch

from marey.data import resize
from marey.video import open_video, write_video

FPS = 25
HEIGHT, WIDTH = 240, 320
ROUND = 500
"""Frames of the film before it repeats."""


def film(path: Path, seconds: float) -> None:
    """Write a film of about this length."""
    with open_video(str(files("marey") / "clips" / "golf.avi")) as video:
        frames = torch.from_numpy(video.frames_at(range(len(video)))).movedim(-1, 1)
    small = resize(frames, HEIGHT, WIDTH).movedim(1, -1).numpy()
    there_and_back = np.concatenate([small, small[::-1]])
    once = path.with_name("once.mp4")
    write_video(once, np.resize(there_and_back, (ROUND, HEIGHT, WIDTH, 3)), fps=float(FPS))
    with av.open(str(path), "w") as output:
        with av.open(str(once)) as source:
            target = output.add_stream_from_template(source.streams.video[0])
        for number in range(max(round(seconds * FPS / ROUND), 1)):
            with av.open(str(once)) as source:
                for packet in source.demux(video=0):
                    if packet.size:
                        assert packet.pts is not None
                        assert packet.dts is not None
                        moved = round(number * ROUND / FPS / packet.time_base)
                        packet.pts, packet.dts = packet.pts + moved, packet.dts + moved
                        packet.stream = target
                        output.mux(packet)


@dataclass
class Run:
    """One run of the command."""

    seconds: float = 0.0
    output: bytes = b""
    megabytes: list[float] = field(default_factory=list)


def run(film: Path, out: Path, *, cache: Path, stop_after: float | None = None) -> Run:
    """Run the command to its end, or kill it after some seconds."""
    command = [sys.executable, "-m", "marey", "predict", str(film), "--segments", "--json", "-q"]
    environment = os.environ | {"XDG_CACHE_HOME": str(cache)}
    made = Run()
    begin = time.perf_counter()
    with out.open("wb") as output:
        process = subprocess.Popen(command, stdout=output, env=environment)  # noqa: S603
        while process.poll() is None:
            made.seconds = time.perf_counter() - begin
            if stop_after is not None and made.seconds > stop_after:
                process.send_signal(signal.SIGKILL)
                process.wait()
                break
            made.megabytes.append(_resident(process.pid))
            time.sleep(0.5)
    if stop_after is None and process.returncode != 0:
        sys.exit(f"predict ended with {process.returncode}")
    made.output = out.read_bytes()
    return made


def _resident(process: int) -> float:
    try:
        pages = int(Path(f"/proc/{process}/statm").read_text(encoding="ascii").split()[1])
    except (FileNotFoundError, ProcessLookupError, IndexError):
        return 0.0
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def memory(made: Run) -> str:
    """Return the most that each tenth of a run took."""
    parts = np.array_split(np.asarray(made.megabytes), 10)
    return " ".join(f"{part.max():.0f}" for part in parts if len(part))


def main() -> None:
    """Run the benchmark from the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--hours", type=float, default=1.0)
    parser.add_argument("--stop-after", type=float, help="seconds (a tenth of the film's)")
    parser.add_argument("--unbroken", action="store_true", help="compare with a run not stopped")
    arguments = parser.parse_args()
    with TemporaryDirectory() as name:
        folder = Path(name)
        path = folder / "film.mp4"
        film(path, arguments.hours * 3600)
        with open_video(path) as video:
            length = len(video) / video.fps
        print(f"{length:.0f} s of film, {path.stat().st_size / 1e6:.0f} MB", flush=True)
        stop = arguments.stop_after or length / 10
        first = run(path, folder / "first", cache=folder / "cache", stop_after=stop)
        print(f"killed after {first.seconds:.0f} s; MB by tenths: {memory(first)}", flush=True)
        second = run(path, folder / "second", cache=folder / "cache")
        print(f"again: {second.seconds:.0f} s; MB by tenths: {memory(second)}", flush=True)
        found = json.loads(second.output)
        both = first.seconds + second.seconds
        print(
            f"{len(found['segments'])} segments, {found['frames']} frames; both runs together "
            f"{length / both:.1f} times as fast as real time"
        )
        if arguments.unbroken:
            whole = run(path, folder / "whole", cache=folder / "other")
            print(
                f"not stopped: {whole.seconds:.0f} s, {length / whole.seconds:.1f} times as fast; "
                f"same answer: {whole.output == second.output}"
            )


if __name__ == "__main__":
    main()
