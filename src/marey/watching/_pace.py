"""Recordings played in real time."""

_LATE = 1.0  # Seconds. Whoever is so late goes on from there, and does not hurry after.
_GAP = 10.0  # Seconds. Longer gaps between time stamps are taken for errors, and skipped.


class Pace:
    """Says when parts of a recording are due, so that it plays as a camera would send it."""

    def __init__(self) -> None:
        self._start: float | None = None
        self._last = 0.0

    def due(self, time: float, now: float) -> float:
        """Return the moment at which a part is due.

        Args:
            time: Its time stamp, in seconds.
            now: The moment at which this is asked, in seconds of the caller's clock.
        """
        jumps = not -_LATE <= time - self._last <= _GAP
        if self._start is None or jumps or now > self._start + time + _LATE:
            self._start = now - time
        self._last = time
        return self._start + time
