"""How long answers took, in memory that does not grow."""

import math
from collections import deque
from collections.abc import Sequence

import numpy as np

_BIN = 1e-3  # seconds
_BINS = 10_000
_RECENT = 1024  # Answers; more than ten seconds of any camera.


class Latencies:
    """Percentiles of all latencies, to a millisecond, and of the last seconds, exactly.

    A percentile is the smallest value that so large a share of the values does not exceed
    (nearest rank).

    Args:
        recent: Seconds that count as recent.
    """

    def __init__(self, *, recent: float = 10.0) -> None:
        self._window = recent
        self._recent: deque[tuple[float, float]] = deque(maxlen=_RECENT)
        self._counts = np.zeros(_BINS + 1, np.int64)
        self._largest = 0.0

    def add(self, latency: float, now: float) -> None:
        """Count a latency, seconds, told at the moment `now`, seconds."""
        self._recent.append((now, latency))
        while self._recent[0][0] < now - self._window:
            self._recent.popleft()
        self._largest = max(self._largest, latency)
        self._counts[min(max(math.ceil(latency / _BIN - 1e-9), 0), _BINS)] += 1

    def __len__(self) -> int:
        return int(self._counts.sum())

    @property
    def largest(self) -> float:
        """The largest of all, in seconds; 0 if there is none."""
        return self._largest

    def percentile(self, percent: float) -> float:
        """Return that of all latencies, in seconds, rounded up to a millisecond; 0 of none.

        Of those above ten seconds, the largest stands for all.
        """
        total = len(self)
        if not total:
            return 0.0
        place = int(np.searchsorted(np.cumsum(self._counts), _rank(percent, total)))
        return self._largest if place == _BINS else min(place * _BIN, self._largest)

    def recent(self, percents: Sequence[float]) -> list[float]:
        """Return percentiles of the last seconds; 0 where there is no latency."""
        values = sorted(latency for _, latency in self._recent)
        if not values:
            return [0.0 for _ in percents]
        return [values[_rank(percent, len(values)) - 1] for percent in percents]


def _rank(percent: float, count: int) -> int:
    """Return which of `count` sorted values, from 1, is the percentile."""
    return min(max(math.ceil(percent / 100 * count - 1e-9), 1), count)
