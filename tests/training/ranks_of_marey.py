"""Starts `marey` in several processes that work together."""

import json
import os
import socket
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path

from marey.settings import Training

PROGRAM = Path(__file__).with_name("small_ranks.py")


def recipe(settings: Training, file: Path) -> Path:
    """Write settings as a recipe."""
    given = {
        name: value
        for name, value in asdict(settings).items()
        if value is not None and name != "optim"
    }
    lines = ["[train]"]
    lines += [f"{name} = {json.dumps(value, default=str)}" for name, value in given.items()]
    lines += ["[train.optim]", f"lr = {settings.optim.lr}"]
    file.write_text("\n".join(lines))
    return file


def environment(**more: str) -> dict[str, str]:
    """Return the environment of a process that finds the tiny networks."""
    found = [str(PROGRAM.parent), *filter(None, sys.path)]
    return os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": os.pathsep.join(found)} | more


def together(words: list[str], *, count: int, **more: str) -> tuple[str, str, list[int]]:
    """Run so many processes to their end; return what they printed, and their exit codes.

    Not by torchrun, which takes seconds to load.
    """
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    more |= {"WORLD_SIZE": str(count), "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
    done = subprocess.run(
        [sys.executable, str(PROGRAM), *words],
        env=environment(**more),
        capture_output=True,
        text=True,
        timeout=600,
        check=True,
    )
    *said, codes = done.stderr.splitlines()
    return done.stdout, "\n".join(said), [int(code) for code in codes.split()]


def torchrun(words: list[str], *options: str, count: int, **more: str) -> subprocess.Popen[str]:
    """Start so many processes by torchrun."""
    command = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", str(count)]
    command += ["--rdzv-backend", "c10d", "--rdzv-endpoint", "localhost:0", *options]
    return subprocess.Popen(
        [*command, str(PROGRAM), *words],
        env=environment(**more),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
