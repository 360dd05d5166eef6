"""Where processes that start together find each other, apart from those of an earlier start.

torchrun keeps one store for all its starts. What a process that has ended left there, such as where
it listened, would be taken for what the one in its place says, and the count of starts that
torchrun tells is not the same on all computers (github.com/pytorch/pytorch/issues/135712).
"""

import secrets
import time
from collections.abc import Callable
from datetime import timedelta

from torch.distributed.distributed_c10d import PrefixStore, Store

_START = "start"
_LOOK_SECONDS = 0.05


def part_of_this_start(store: Store, rank: int, count: int, *, timeout: timedelta) -> Store:
    """Return the same part of a store in each process, in which no earlier start has written.

    The first process draws its name, and says that it holds when all others have answered to it.
    A name that held before it was answered to is that of an earlier start.

    Args:
        store: That of torchrun.
        rank: Of this process.
        count: How many processes there are.
        timeout: The others come within this time.

    Raises:
        RuntimeError: They do not.
    """
    until = time.monotonic() + timeout.total_seconds()
    meet = _inviting(store, count) if rank == 0 else _answering(store, rank)
    while (name := meet()) is None:
        if time.monotonic() > until:
            raise RuntimeError(f"not all of {count} processes came within {timeout}")
        time.sleep(_LOOK_SECONDS)
    return PrefixStore(name, store)


def _inviting(store: Store, count: int) -> Callable[[], str | None]:
    name = secrets.token_hex(8)
    store.set(_START, name)

    def meet() -> str | None:
        if not store.check([_answer(name, rank) for rank in range(1, count)]):
            return None
        store.set(_holds(name), "yes")
        return name

    return meet


def _answering(store: Store, rank: int) -> Callable[[], str | None]:
    answered = set()

    def meet() -> str | None:
        if not store.check([_START]):
            return None
        name = store.get(_START).decode()
        holds = store.check([_holds(name)])
        if name in answered:
            return name if holds else None
        if not holds:
            store.set(_answer(name, rank), "yes")
            answered.add(name)
        return None

    return meet


def _answer(name: str, rank: int) -> str:
    return f"{name} answered by {rank}"


def _holds(name: str) -> str:
    return f"{name} holds"
