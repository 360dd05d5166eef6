"""Starts `marey` as a process again and again, without the seconds that it takes to load.

It reads requests, a line of JSON each: to start the command line in a copy of this process, in
a session of its own, or to tell its exit code. There the command line knows tiny networks.
The point `replace:5:before` makes it kill itself before its fifth call of `os.replace`, and
`replace:5:before:interrupt` send itself and its workers what Ctrl-C sends.
"""

import itertools
import json
import os
import signal
import sys
from typing import Any

import torch
from tiny_networks import OFF_TINY, TSN_TINY, off_tiny, tsn_tiny

import marey.training  # noqa: F401 - likewise
from marey.cli import main
from marey.models import OFF_NETWORKS, TSN_NETWORKS


def serve() -> None:
    for line in sys.stdin:
        request = json.loads(line)
        if "arguments" in request:
            pid = os.fork()
            if pid == 0:
                become(**request)
                main(request["arguments"])
                sys.exit(0)
            answer(pid)
        else:
            pid, status = os.waitpid(request["pid"], os.WNOHANG)
            answer(os.waitstatus_to_exitcode(status) if pid else "runs")


def answer(what: object) -> None:
    sys.stdout.write(f"{what}\n")
    sys.stdout.flush()


def become(arguments: list[str], said: str, point: str | None) -> None:
    """Turn the copy of this process into what a shell would have started."""
    os.setsid()
    # What runs in the background of a shell is born deaf to it.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    for stream in (1, 2):
        os.dup2(os.open(said, os.O_WRONLY | os.O_CREAT | os.O_APPEND), stream)
    if point is not None:
        kill_at(point)


def kill_at(point: str) -> None:
    name, number, when, *rest = point.split(":")
    signal_sent = signal.SIGINT if rest == ["interrupt"] else signal.SIGKILL
    real = getattr(os, name)
    calls = itertools.count(1)

    def call(*arguments: Any) -> Any:
        now = next(calls) == int(number)
        if now and when == "before":
            os.killpg(0, signal_sent)
        answer = real(*arguments)
        if now and when == "after":
            os.killpg(0, signal_sent)
        return answer

    setattr(os, name, call)


if __name__ == "__main__":
    torch.set_num_threads(1)
    TSN_NETWORKS[TSN_TINY], OFF_NETWORKS[OFF_TINY] = tsn_tiny, off_tiny
    serve()
