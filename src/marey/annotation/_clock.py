"""Time stamps that go on rising, whatever those of a stream do."""

_CUT_SECONDS = 1.0
"""Stamps that fall back further are those of a recording that was cut and joined."""


class Clock:
    """Gives each frame or packet of one stream a stamp behind that of the one before.

    Stamps that rise are kept. Where one is missing, time goes on by a step; where one repeats,
    by a tick; and where they begin anew, the rest is moved to follow.

    Args:
        second: Ticks in a second.
    """

    def __init__(self, second: float) -> None:
        self._cut = _CUT_SECONDS * second
        self._last: int | None = None
        self._moved = 0

    def stamp(self, said: int | None, step: int) -> int:
        """Return the next stamp, in ticks.

        Args:
            said: The stamp that the file gives, if any.
            step: Ticks from this one to the next, usually; at least 1.
        """
        if self._last is None:
            stamp = said or 0
        elif said is None:
            stamp = self._last + step
        else:
            stamp = said + self._moved
            if stamp <= self._last - self._cut:
                self._moved += self._last + step - stamp
                stamp = self._last + step
            stamp = max(stamp, self._last + 1)
        self._last = stamp
        return stamp
