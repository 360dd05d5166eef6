"""Runs of commands that are broken, and what they leave."""

import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

Tree = dict[str, str]

TESTS = Path(__file__).parents[1]

# With the time in their names.
_TIMED = "tensorboard"


@dataclass(frozen=True)
class Ended:
    """What became of a command."""

    code: int
    said: str
    named: tuple[Path, ...]
    """Files and folders that it gave their names."""

    @property
    def killed(self) -> bool:
        return self.code == -signal.SIGKILL


class Started:
    """A command that runs."""

    def __init__(self, server: "Server", pid: int, said: Path) -> None:
        self.pid = pid
        self._server = server
        self._said = said
        self._code: int | None = None

    def runs(self) -> bool:
        if self._code is None:
            answer = self._server.ask(pid=self.pid)
            self._code = None if answer == "runs" else int(answer)
        return self._code is None

    def kill(self) -> None:
        if self.runs():
            os.killpg(self.pid, signal.SIGKILL)

    def ended(self, seconds: float = 120.0) -> Ended:
        """Wait for the end, which a hang would not come to."""
        deadline = time.monotonic() + seconds
        while self.runs():
            if time.monotonic() > deadline:
                self.kill()
            time.sleep(0.005)
        assert self._code is not None
        names = Path(f"{self._said}.names")
        named = names.read_text(encoding="utf-8").splitlines() if names.exists() else []
        said = self._said.read_text(encoding="utf-8")
        return Ended(self._code, said, tuple(map(Path, named)))


class Server:
    """Starts commands without the seconds that `marey` takes to load."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._count = 0
        paths = (TESTS, TESTS / "training")
        self._process = subprocess.Popen(
            [sys.executable, str(Path(__file__).with_name("breaking_marey.py"))],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=os.environ
            | {
                "PYTHONPATH": os.pathsep.join([*map(str, paths), os.environ.get("PYTHONPATH", "")]),
                "OMP_NUM_THREADS": "1",
                "MAREY_BACKEND": "torch",
                "XDG_CACHE_HOME": str(folder / "cache"),
            },
            text=True,
        )

    def ask(self, **request: Any) -> str:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(request) + "\n")
        self._process.stdin.flush()
        return self._process.stdout.readline().strip()

    def start(
        self,
        *words: str | Path,
        at: Path,
        fault: str | None = None,
        shared_memory: int | None = None,
    ) -> Started:
        """Start a command in a folder, which is made.

        Args:
            words: The command.
            at: The folder.
            fault: What breaks it.
            shared_memory: Bytes of `/dev/shm`, for root alone; without root its exit code is 77.
        """
        at.mkdir(parents=True, exist_ok=True)
        self._count += 1
        said = self._folder / f"said{self._count}.txt"
        words = tuple(map(str, words))
        request = {"words": words, "at": str(at), "said": str(said), "fault": fault}
        pid = int(self.ask(**request, shared_memory=shared_memory))
        return Started(self, pid, said)

    def run(self, *words: str | Path, at: Path, **how: Any) -> Ended:
        """Start a command and wait for its end."""
        return self.start(*words, at=at, **how).ended()

    def close(self) -> None:
        with self._process as process:
            assert process.stdin is not None
            process.stdin.close()


def tree(folder: Path) -> Tree:
    """Return a hash of all that is below a folder, but of locks and of logs with times in them."""
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        if path.is_file()
        else "folder"
        for path in sorted(folder.rglob("*"))
        if path.name != "lock" and _TIMED not in path.parts
    }


def half_files(folder: Path) -> list[str]:
    return [str(path) for path in folder.rglob("*") if ".partial" in path.name]
