"""Starts `marey` in several processes that work together."""

import json
import os
import socket
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

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


def start(words: list[str], *, count: int, **more: str) -> list[subprocess.Popen[str]]:
    """Start so many processes, without torchrun, which takes seconds to load."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    more |= {"WORLD_SIZE": str(count), "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
    return [
        subprocess.Popen(
            [sys.executable, str(PROGRAM), *words],
            env=environment(**more, RANK=str(rank)),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank in range(count)
    ]


def together(words: list[str], *, count: int) -> list[str]:
    """Run so many processes to their end and return what each printed."""
    said: list[Any] = [process.communicate(timeout=300) for process in start(words, count=count)]
    assert not any("Error" in err for _, err in said), said
    return [out for out, _ in said]


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
