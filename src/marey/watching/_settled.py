"""When a change of the answer is worth telling."""


class Settled:
    """Tells changes of a label that have lasted a moment, so that flicker is not told.

    Args:
        hold: Seconds that a label must have been the first before it is told.
    """

    def __init__(self, hold: float) -> None:
        self._hold = hold
        self._told = ""
        self._candidate = ""
        self._since = 0.0

    def told(self, label: str, time: float) -> bool:
        """Return whether a label, the first at this time in seconds, is to be told now."""
        if label != self._candidate or time < self._since:
            self._candidate, self._since = label, time
        if label == self._told or time < self._since + self._hold - 1e-9:
            return False
        self._told = label
        return True

    def forget(self) -> None:
        """Begin anew; even the label that was told last is told again."""
        self._told = self._candidate = ""
