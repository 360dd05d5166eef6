"""Kill commands at random moments, start them again, and compare what they leave.

    python benchmarks/kill.py                  # each command 20 times
    python benchmarks/kill.py --kills 3 --commands test report

Each command runs once to its end; then again and again in a folder of its own, killed with
`kill -9`, all its processes at once, somewhere in the time that the first took, until a run is
over before its time is. What it leaves must be the same bytes, nothing half may be left, and no
video may be done twice. Prints a row for each command and ends with exit code 1 if one failed.
"""

import argparse
import hashlib
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from marey.video import write_video

CLASSES = ("golf", "walk")
COMMANDS = ("prepare", "flow", "train", "test", "report", "export", "predict")
MODEL = "off-lite0-jhmdb"


class Work:
    """Films, what is made of them, and each command on that."""

    def __init__(self, root: Path) -> None:
        self.root = root
        chance = np.random.default_rng(0)
        for split, count in (("train", 2), ("test", 4)):
            for label in CLASSES:
                for number in range(count):
                    path = root / "films" / split / label / f"{number}.avi"
                    path.parent.mkdir(parents=True, exist_ok=True)
                    still = chance.integers(0, 256, (15, 20, 3), np.uint8)
                    still = still.repeat(16, 0).repeat(16, 1)
                    write_video(path, np.stack([np.roll(still, 3 * t, 1) for t in range(12)]))
        for command in ("prepare", "test"):
            run(self.words(command), root)

    def words(self, command: str) -> list[str]:
        """Return a command; what it makes lies in `out` in the folder that it runs in."""
        out, film = self.root / "out", str(self.root / "films" / "test" / "golf" / "0.avi")
        index, scores = str(out / "index.csv"), str(out / "scores.npz")
        return {
            "prepare": ["prepare", "folder", str(self.root / "films"), "--out=out/index.csv"],
            "flow": ["flow", index, "--method=dis", "--out=out", "--workers=2"],
            "train": ["train", index, "--out=out", *TRAINING],
            "test": ["test", MODEL, index, "--out=out/scores.npz", "--crops=1", *TORCH],
            "report": ["report", scores, "--index", index, "--out=out"],
            "export": ["export", MODEL, "--out=out/net.onnx", "--videos", film, "--threads=1"],
            "predict": ["predict", film, "--segments", "--save=out/film.json", "--device=cpu"],
        }[command]


TORCH = ("--threads=1", "--backend=torch", "--snippets=5")
TRAINING = (
    "--model=tsn_efficientnet_lite0",
    "--epochs=2",
    "--batch=1",
    "--at-once=1",
    "--snippets=1",
    "--hold-out=0.5",
    "--workers=1",
    "--threads=1",
    "--save-minutes=0",
    "--device=cpu",
)


def start(words: Sequence[str], at: Path) -> "subprocess.Popen[str]":
    """Start a command in a folder."""
    at.mkdir(parents=True, exist_ok=True)
    return subprocess.Popen(  # noqa: S603 - Ours.
        [sys.executable, "-m", "marey", *words],
        cwd=at,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        env=os.environ | {"XDG_CACHE_HOME": str(at / "cache")},
    )


def run(words: Sequence[str], at: Path) -> float:
    """Run a command to its end and return the seconds it took."""
    begin = time.monotonic()
    with start(words, at) as process:
        said = process.communicate()[1]
    assert process.returncode == 0, said
    return time.monotonic() - begin


def killed(words: Sequence[str], at: Path, seconds: float) -> bool:
    """Kill a command after so many seconds; return False if it was over before."""
    with start(words, at) as process:
        try:
            said = process.communicate(timeout=seconds)[1]
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.communicate()
            return True
    assert process.returncode == 0, said
    return False


def tree(folder: Path) -> dict[str, str]:
    """Return a hash of each file, but of locks and of logs that have the time in their names."""
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name != "lock" and "tensorboard" not in path.parts
    }


def units(folder: Path) -> dict[Path, tuple[int, int]]:
    """Return videos that are done, and what tells each from one that is done again."""
    found = {*folder.rglob("*.unfinished/*.npz"), *folder.rglob("*.mkv")}
    states = {path: path.stat() for path in found if path.name[0] != "."}
    return {path: (state.st_ino, state.st_mtime_ns) for path, state in states.items()}


def faults(words: Sequence[str], at: Path, usual: float, left: int, whole: object) -> Iterator[str]:
    """Kill a command until it is over or was killed `left` times; yield a mark for each kill.

    The mark tells what went wrong, and is empty if all is well; it is yielded at the next start.
    """
    chance = random.Random()  # noqa: S311
    for _ in range(left):
        done = units(at)
        over = not killed(words, at, chance.uniform(0, usual))
        if over:
            break
        now = units(at)
        again = [path.name for path in done if now.get(path, done[path]) != done[path]]
        yield f"done twice: {again}" if again else ""
    else:
        run(words, at)
    if tree(at / "out") != whole:
        yield "other bytes"


def kill(work: Work, command: str, kills: int) -> bool:
    """Kill a command so many times; print a row and return whether all went well."""
    words = work.words(command)
    usual = run(words, work.root / command / "whole")
    whole = tree(work.root / command / "whole" / "out")
    count, folders, wrong = 0, 0, []
    while count < kills:
        folders += 1
        at = work.root / command / str(folders)
        for fault in faults(words, at, usual, kills - count, whole):
            count += fault != "other bytes"
            wrong += [fault] if fault else []
    print(f"{command:8} {count:6} {folders:6} {len(wrong):6} {usual:8.1f}", flush=True)
    for fault in wrong:
        print(f"  {fault}")
    return not wrong


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--commands", nargs="+", choices=COMMANDS, default=COMMANDS)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        work = Work(Path(name))
        print("command   kills   ends failed seconds", flush=True)
        results = [kill(work, command, given.kills) for command in given.commands]
    sys.exit(not all(results))


if __name__ == "__main__":
    main()
