"""From probabilities at every moment to stretches of one action.

Axes: T moments, Y classes.
"""

from collections.abc import Iterable, Iterator
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int

_LEAST = 1e-6  # Of a probability, so that one wild moment does not forbid a class.


class Run(NamedTuple):
    """Moments on end with one answer."""

    first: int
    """Number of the first moment."""

    end: int
    """Number of the first moment that is no longer in it."""

    state: int
    """Number of the class; one more than the last class where there is none."""

    probability: float
    """Mean of the class's probability; where there is none, of the most probable class."""


def runs(rows: Iterable[Float[np.ndarray, " Y"]], *, unsure: float, hold: float) -> Iterator[Run]:
    """Yield the most probable course of classes, in which changes are rare.

    It is the best path through a hidden Markov model (Viterbi's): a moment with class y counts
    by the logarithm of its probability, one with none by that of `unsure`, and each change
    costs so much that something twice as probable as what is around it must last `hold`
    moments to be believed. Memory grows with how long the course stays undecided, not with the
    number of moments.

    Args:
        rows: Probabilities of the classes at each moment.
        unsure: Where no class is as probable as this, there is none.
        hold: Moments.
    """
    change = hold * np.log(2) / 2
    score: Float[np.ndarray, " states"] | None = None
    back: list[Int[np.ndarray, " states"]] = []
    kept: list[Float[np.ndarray, " Y"]] = []
    joined = _Joined()
    for row in rows:
        gain = np.log(np.append(np.maximum(row, _LEAST), max(unsure, _LEAST)))
        kept.append(row)
        if score is None:
            score = gain
            back.append(np.arange(len(gain)))
            continue
        best = int(score.argmax())
        stays = score >= score[best] - change
        back.append(np.where(stays, np.arange(len(gain)), best))
        score = np.where(stays, score, score[best] - change) + gain
        score -= score.max()
        sure = _decided(back)
        if sure:
            yield from joined.add(sure, kept)
            del back[: len(sure)], kept[: len(sure)]
    if score is not None:
        path = [int(score.argmax())]
        for pointers in reversed(back[1:]):
            path.append(int(pointers[path[-1]]))
        yield from joined.add(path[::-1], kept)
        yield from joined.rest()


def _decided(back: list[Int[np.ndarray, " states"]]) -> list[int]:
    """Return the states that all paths share from the first moment on, of those kept.

    To look back at every moment would take long, so it is done when their number doubles.
    """
    count = len(back)
    if count < 64 or count & (count - 1):
        return []
    states = np.arange(len(back[0]))
    path: list[int] = []
    for number in range(count - 1, 0, -1):
        states = np.unique(back[number][states])
        if len(states) == 1 or path:
            path.append(int(states[0]))
    return path[::-1]


class _Joined:
    """Moments of one state on end become runs."""

    def __init__(self) -> None:
        self._first = 0
        self._end = 0
        self._state = -1
        self._total = 0.0

    def add(self, path: list[int], rows: list[Float[np.ndarray, " Y"]]) -> Iterator[Run]:
        for state, row in zip(path, rows, strict=False):
            if state != self._state:
                yield from self.rest()
                self._first, self._state, self._total = self._end, state, 0.0
            self._total += float(row[state] if state < len(row) else row.max())
            self._end += 1

    def rest(self) -> Iterator[Run]:
        if self._end > self._first:
            mean = self._total / (self._end - self._first)
            yield Run(self._first, self._end, self._state, mean)
