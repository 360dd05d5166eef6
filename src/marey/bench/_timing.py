"""How long work takes."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import median
from time import perf_counter

_MIN_REPEATS = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Timing:
    """Seconds that some work took."""

    median: float
    fastest: float
    repeats: int


def timed(work: Callable[[], object], *, seconds: float) -> Timing:
    """Do work once to warm up, then again and again for some seconds, at least three times."""
    work()
    taken: list[float] = []
    while len(taken) < _MIN_REPEATS or sum(taken) < seconds:
        taken.append(_seconds(work))
    return _timing(taken)


def timed_in_turn(*works: Callable[[], object], repeats: int) -> list[Timing]:
    """Time several works that are to be compared, turn by turn: A B A B.

    Whatever else the machine does meanwhile then slows all of them alike.
    """
    for work in works:
        work()
    taken = [[_seconds(work) for work in works] for _ in range(repeats)]
    return [_timing(column) for column in zip(*taken, strict=True)]


def _seconds(work: Callable[[], object]) -> float:
    start = perf_counter()
    work()
    return perf_counter() - start


def _timing(taken: Sequence[float]) -> Timing:
    return Timing(median=median(taken), fastest=min(taken), repeats=len(taken))
