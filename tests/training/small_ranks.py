"""Runs `marey` with tiny networks, as torchrun starts it: `torchrun small_ranks.py train ...`.

Without torchrun it loads once and becomes as many processes as `WORLD_SIZE` says; their exit codes
are the last line of stderr. `MAREY_END` kills one of the processes, or stops it so that it only
seems to live: `1:4:kill` the second when it has taken four steps, in the first start alone.
In a later one it comes late, so that the others look for it where it was before.
"""

import os
import signal
import sys
import time

import torch
from tiny_networks import OFF_TINY, TSN_TINY, off_tiny, tsn_tiny

import marey.training._loop as loop
from marey.cli import main
from marey.models import OFF_NETWORKS, TSN_NETWORKS

SIGNALS = {"kill": signal.SIGKILL, "stop": signal.SIGSTOP}


def end_at(place: str) -> None:
    rank, steps, how = place.split(":")
    if os.environ["RANK"] != rank:
        return
    if os.environ.get("TORCHELASTIC_RESTART_COUNT", "0") != "0":
        time.sleep(2.0)
        return
    real, taken = loop.add_gradients, 0

    def counted(*arguments: object, step: int, videos: int) -> object:
        nonlocal taken
        if taken == int(steps):
            os.kill(os.getpid(), SIGNALS[how])
        taken += 1
        return real(*arguments, step=step, videos=videos)  # type: ignore[arg-type]

    loop.add_gradients = counted  # type: ignore[assignment]


def fork(count: int) -> bool:
    """Become so many processes; tell whether this is one of them, when all others have ended."""
    children = []
    for rank in range(count):
        os.environ["RANK"] = str(rank)
        child = os.fork()
        if child == 0:
            return True
        children.append(child)
    codes: dict[int, int] = {}
    while len(codes) < count:
        child, status = os.waitpid(-1, 0)
        codes[child] = os.waitstatus_to_exitcode(status)
        if len(codes) == count - 1:  # What is left may be one that a test stopped.
            for left in set(children) - set(codes):
                if "stop" in os.environ.get("MAREY_END", ""):
                    os.kill(left, signal.SIGKILL)
    sys.stderr.write(" ".join(str(codes[child]) for child in children) + "\n")
    return False


if __name__ == "__main__":
    torch.set_num_threads(1)
    TSN_NETWORKS[TSN_TINY], OFF_NETWORKS[OFF_TINY] = tsn_tiny, off_tiny
    if "RANK" in os.environ or fork(int(os.environ["WORLD_SIZE"])):
        if "MAREY_END" in os.environ:
            end_at(os.environ["MAREY_END"])
        main(sys.argv[1:])
