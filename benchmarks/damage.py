"""Count how many damaged videos the reader notices: 12 kinds of damage to 8 containers.

    python benchmarks/damage.py                     # 300 files
    python benchmarks/damage.py --seeds 30          # every kind of damage ten times as often
    python benchmarks/damage.py --more              # five more containers; some hide much
    python benchmarks/damage.py --folder clips      # videos that are sound: none may be unusable

The truth is what plain PyAV decodes, going on after errors: a file is changed if its frames are
not those of the file before the damage. Prints each miss, and ends with exit code 1 if fewer than
99 % of the changed files are noticed, a sound one is called unusable, or anything else is raised.
"""

import argparse
import collections
import itertools
import random
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import av
import numpy as np
from av.video.stream import VideoStream

from marey.video import Verdict, check_video

CONTAINERS = {
    "avi": ("avi", "mpeg4", 0),
    "avi with b-frames": ("avi", "mpeg4", 1),
    "mp4": ("mp4", "libx264", 2),
    "mov": ("mov", "mpeg4", 0),
    "mkv": ("mkv", "libx264", 2),
    "webm": ("webm", "libvpx-vp9", 0),
    "transport stream": ("ts", "libx264", 2),
    "flv": ("flv", "flv1", 0),
}
MORE = {
    "webm of vp8": ("webm", "libvpx", 0),
    "windows media": ("wmv", "wmv2", 0),
    "program stream": ("mpg", "mpeg2video", 2),
    "mkv of mpeg-4": ("mkv", "mpeg4", 0),
    "avi of h.264": ("avi", "libx264", 0),
}
Damage = Callable[[bytes, random.Random], bytes]


def cut(data: bytes, chance: random.Random) -> bytes:
    """Lose the end."""
    return data[: chance.randrange(len(data) // 10, len(data) * 9 // 10)]


def cut_a_little(data: bytes, chance: random.Random) -> bytes:
    """Lose less than a hundredth at the end."""
    return data[: -chance.randrange(1, len(data) // 100)]


def _over(data: bytes, chance: random.Random, new: Callable[[int], bytes], size: int) -> bytes:
    place = chance.randrange(len(data) // 20, len(data) - size)
    return data[:place] + new(size) + data[place + size :]


def zeros(data: bytes, chance: random.Random) -> bytes:
    """Put a hole of 512 zeros, a sector, in."""
    return _over(data, chance, bytes, 512)


def many_zeros(data: bytes, chance: random.Random) -> bytes:
    """Put a hole of 4096 zeros, a page, in."""
    return _over(data, chance, bytes, 4096)


def ones(data: bytes, chance: random.Random) -> bytes:
    """Put a sector of 0xFF in, as erased flash memory gives."""
    return _over(data, chance, lambda size: b"\xff" * size, 512)


def noise(data: bytes, chance: random.Random) -> bytes:
    """Put a page of noise in."""
    return _over(data, chance, chance.randbytes, 4096)


def loss(data: bytes, chance: random.Random) -> bytes:
    """Leave out a page."""
    return _over(data, chance, lambda _: b"", 4096)


def repeat(data: bytes, chance: random.Random) -> bytes:
    """Repeat a page."""
    place = chance.randrange(len(data) // 20, len(data) - 4096)
    return data[: place + 4096] + data[place:]


def swap(data: bytes, chance: random.Random) -> bytes:
    """Exchange two pages."""
    first = chance.randrange(len(data) // 20, len(data) // 2 - 4096)
    other = chance.randrange(len(data) // 2, len(data) - 4096)
    page, late = data[first : first + 4096], data[other : other + 4096]
    return data[:first] + late + data[first + 4096 : other] + page + data[other + 4096 :]


def flips(data: bytes, chance: random.Random) -> bytes:
    """Turn over 200 bits anywhere behind the header."""
    hurt = bytearray(data)
    for _ in range(200):
        hurt[chance.randrange(len(data) // 20, len(data))] ^= 1 << chance.randrange(8)
    return bytes(hurt)


def no_header(data: bytes, _: random.Random) -> bytes:
    """Lose the first kilobyte."""
    return data[1024:]


def newlines(data: bytes, _: random.Random) -> bytes:
    """Turn line feeds into two bytes, as a transfer in text mode does."""
    return data.replace(b"\n", b"\r\n")


DAMAGE: tuple[Damage, ...] = (
    *(cut, cut_a_little, zeros, many_zeros, ones, noise),
    *(loss, repeat, swap, flips, no_header, newlines),
)


def films(
    folder: Path, containers: Mapping[str, tuple[str, str, int]] = CONTAINERS
) -> Iterator[tuple[str, Path]]:
    """Write a film of 100 frames into each container, and give its name."""
    chance = np.random.default_rng(0)
    rows, columns = np.mgrid[:120, :160]
    waves = [np.sin(rows / a + columns / b) for a, b in ((23, 31), (41, -17), (-29, 53))]
    still = 128 + 90 * np.stack(waves, axis=-1)
    for name, (suffix, codec, b_frames) in containers.items():
        path = folder / f"{name}.{suffix}"
        with av.open(str(path), "w") as output:
            stream = output.add_stream(codec, rate=25)
            assert isinstance(stream, VideoStream)
            stream.height, stream.width, stream.pix_fmt = 120, 160, "yuv420p"
            stream.thread_count = 1
            stream.codec_context.max_b_frames = b_frames
            for number in range(100):
                moved = np.roll(still, (number, 2 * number), (0, 1))
                grainy = moved + chance.normal(0, 4, (120, 160, 1))
                picture = grainy.clip(0, 255).astype(np.uint8)
                frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
                output.mux(stream.encode(frame))
            output.mux(stream.encode(None))
        yield name, path


def lenient(path: Path) -> list[bytes]:
    """Return the frames that plain PyAV gives, going on after packets that fail."""
    frames: list[av.VideoFrame] = []
    try:
        with av.open(str(path), metadata_errors="replace") as container:
            stream = container.streams.video[0]
            if stream.codec_context is None:  # A codec that nobody knows.
                return []
            stream.codec_context.thread_count = 1
            for packet in container.demux(stream):
                try:
                    frames += packet.decode()
                except av.FFmpegError:
                    continue
    except (av.FFmpegError, IndexError):
        pass
    return [frame.to_ndarray(format="rgb24").tobytes() for frame in frames]


def no_videos(chance: random.Random) -> Iterator[tuple[str, bytes]]:
    """Give what is no video at all: nothing, words, a page, and the start of a JPEG picture."""
    yield "empty", b""
    yield "text", b"These are words.\n" * 500
    yield "html", b"<!doctype html><title>404</title><p>Not found</p>" * 50
    yield "jpeg", b"\xff\xd8\xff\xe0\0\x10JFIF\0\1\1\0\0\1\0\1\0\0" + chance.randbytes(4000)


class Tally:
    """What was noticed, missed and called unusable, and what took longest."""

    def __init__(self) -> None:
        self.counts: collections.Counter[str] = collections.Counter()
        self.missed: list[str] = []
        self.wrong: list[str] = []
        self.longest = 0.0

    def judge(self, name: str, path: Path) -> Verdict | None:
        """Return the verdict on a file; anything raised counts as wrong."""
        start = time.perf_counter()
        try:
            return check_video(path)
        except Exception as error:  # Whatever it is, it should have been a verdict.
            self.wrong.append(f"{name}: {type(error).__name__}: {error}")
            return None
        finally:
            self.longest = max(self.longest, time.perf_counter() - start)
            self.counts["files"] += 1

    def sound(self, name: str, path: Path) -> None:
        """Judge a file that is as its writer left it."""
        verdict = self.judge(name, path)
        if verdict and verdict.status != "ok":
            self.wrong.append(f"{name}: sound, but called {verdict.status}: {verdict.reason}")

    def changed(self, name: str, path: Path, whole: list[bytes]) -> None:
        """Judge a damaged file; only if its frames changed must that be noticed."""
        verdict = self.judge(name, path)
        if verdict is None:
            return
        if lenient(path) == whole:
            self.counts[f"same frames, called {verdict.status}"] += 1
        else:
            self.counts["changed"] += 1
            self.counts["changed and noticed"] += verdict.status != "ok"
            if verdict.status == "ok":
                self.missed.append(name)
                print(f"MISSED {name}: {verdict.frames} frames", flush=True)

    def told(self) -> bool:
        """Print everything; return whether it is good enough."""
        for line in self.wrong:
            print(line)
        for name, count in self.counts.items():
            print(f"{name}: {count}")
        print(f"longest check: {self.longest:.2f} s")
        changed = self.counts["changed"]
        if changed:
            print(f"noticed: {100 * self.counts['changed and noticed'] / changed:.1f} %")
        return not self.wrong and 100 * len(self.missed) <= changed


def mutate(
    tally: Tally,
    *,
    times: int,
    damage: tuple[Damage, ...] = DAMAGE,
    containers: Mapping[str, tuple[str, str, int]] = CONTAINERS,
) -> None:
    """Judge each kind of damage to each container, `times` times, and what is no video."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        sound = [(kind, path, lenient(path)) for kind, path in films(folder, containers)]
        for kind, path, _ in sound:
            tally.sound(kind, path)
        for kind, data in no_videos(random.Random(0)):  # noqa: S311
            hurt = folder / f"{kind}.avi"
            hurt.write_bytes(data)
            tally.changed(kind, hurt, [b"frames"])
        for seed, (kind, path, whole), way in itertools.product(range(times), sound, damage):
            chance = random.Random(f"{kind} {way.__name__} {seed}")  # noqa: S311
            hurt = folder / f"hurt{path.suffix}"
            hurt.write_bytes(way(path.read_bytes(), chance))
            tally.changed(f"{kind}, {way.__name__}, {seed}", hurt, whole)


def survey(tally: Tally, folder: Path) -> None:
    """Judge videos from elsewhere, of which none may be unusable."""
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        verdict = tally.judge(path.name, path)
        if verdict is None:
            continue
        tally.counts[verdict.status] += 1
        tally.counts["frames"] += verdict.frames
        tally.counts["whose header lies"] += verdict.declared not in (None, verdict.frames)
        if verdict.status == "unusable":
            tally.wrong.append(f"{path}: {verdict.reason}")
        elif verdict.status == "damaged":
            print(f"{path.name}: {verdict.reason}")


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--folder", type=Path, help="judge these videos, damaging none")
    parser.add_argument("--seeds", type=int, default=3, help="files of each kind (3)")
    parser.add_argument("--more", action="store_true", help="take five other containers")
    arguments = parser.parse_args()
    av.logging.set_level(None)
    tally = Tally()
    if arguments.folder:
        survey(tally, arguments.folder)
    else:
        mutate(tally, times=arguments.seeds, containers=MORE if arguments.more else CONTAINERS)
    sys.exit(not tally.told())


if __name__ == "__main__":
    main()
