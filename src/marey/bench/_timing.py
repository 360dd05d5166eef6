"""How long work takes."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from time import perf_counter
from typing import Any

_MIN_REPEATS = 3

Steps = Mapping[str, Callable[[Any], Any]]
"""Work in steps, by name. Each takes what the one before it returned, the first one None."""


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


def steps_in_turn(*ways: Steps, seconds: float) -> list[dict[str, list[float]]]:
    """Time each step of several ways that are to be compared, turn by turn: A B A B.

    All ways are gone once to warm up, then again and again for some seconds in all, at least
    three times.

    Returns:
        For each way the seconds of its steps, turn by turn.
    """
    for way in ways:
        _go(way)
    turns: list[list[dict[str, float]]] = []
    spent = 0.0
    while len(turns) < _MIN_REPEATS or spent < seconds:
        turns.append([_go(way) for way in ways])
        spent += sum(sum(taken.values()) for taken in turns[-1])
    return [
        {step: [turn[number][step] for turn in turns] for step in way}
        for number, way in enumerate(ways)
    ]


def _go(way: Steps) -> dict[str, float]:
    """Return the seconds that each step of a way takes."""
    taken = {}
    given: Any = None
    for step, work in way.items():
        start = perf_counter()
        given = work(given)
        taken[step] = perf_counter() - start
    return taken


def _seconds(work: Callable[[], object]) -> float:
    start = perf_counter()
    work()
    return perf_counter() - start


def _timing(taken: Sequence[float]) -> Timing:
    return Timing(median=median(taken), fastest=min(taken), repeats=len(taken))
