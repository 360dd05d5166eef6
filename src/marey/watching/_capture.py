"""A thread that captures frames, and opens the source again when it is lost."""

import random
import threading
import time
from collections.abc import Callable

from marey.errors import MareyError, VideoError

from ._feed import Feed
from ._handover import Handover, Shot
from ._news import Back, Lost
from ._pace import Pace
from ._source import Source

_SHORTEST_PAUSE, _LONGEST_PAUSE = 0.5, 30.0  # seconds
_STOP_SECONDS = 0.3


def pause_before(attempt: int, chance: float) -> float:
    """Return how many seconds to wait before a source is tried again.

    The pause doubles with every attempt, and chance takes up to half of it away, so that many
    watchers do not all come back at one moment.

    Args:
        attempt: Attempts since it was lost that have failed already.
        chance: Between 0 and 1.
    """
    longest = min(2 * _SHORTEST_PAUSE * 2.0 ** min(attempt, 10), _LONGEST_PAUSE)
    return longest * (1 - chance / 2)


class Capture:
    """Hands over the frames of a source, until it ends or is stopped.

    A live source that is lost is tried again, with longer and longer pauses.

    Args:
        source: Where frames come from.
        handover: Where they go.
        give_up: Seconds after which a lost source is given up; never if None.
        loop: Play a recording again when it has ended.
        clock: Seconds that only grow.
        chance: Gives numbers between 0 and 1.
        wait: Waits for so many seconds, or until stopped: then true. The thread's own if None.

    Attributes:
        error: Why it ended, if not because the recording was over or it was stopped.
        live: Whether the frames come as they are captured; known with the first of them.
    """

    def __init__(
        self,
        source: Source,
        handover: Handover,
        *,
        give_up: float | None = None,
        loop: bool = False,
        clock: Callable[[], float] = time.monotonic,
        chance: Callable[[], float] = random.random,
        wait: Callable[[float], bool] | None = None,
    ) -> None:
        self.error: Exception | None = None
        self.live = source.live
        self._source = source
        self._handover = handover
        self._give_up = give_up
        self._loop = loop
        self._clock = clock
        self._chance = chance
        self._stop = threading.Event()
        self._wait = wait or self._stop.wait
        self._connection = 0
        self._failures = 0
        self._lost_at: float | None = None
        self._told = False
        # A read from the network may outlast the process, so the process does not wait for it.
        self._thread = threading.Thread(target=self.run, name="capture", daemon=True)

    def start(self) -> None:
        """Begin to capture, in a thread."""
        self._thread.start()

    def stop(self) -> None:
        """End the thread; one that is stuck in a read, which will time out, is left behind."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join(_STOP_SECONDS)

    def run(self) -> None:
        """Capture until the source ends; what the thread does."""
        try:
            while not self._stop.is_set() and self._once():
                pass
        except Exception as error:
            self.error = error
        finally:
            self._handover.close()

    def _once(self) -> bool:
        """Open the source and hand over what it gives; return whether to open it again."""
        if self._lost_at is None:
            self._lost_at = self._clock()
        try:
            feed = self._source.open()
            try:
                given = self._play(feed)
            finally:
                feed.close()
                self._connection += 1
            if feed.recorded and (given or self._stop.is_set()):
                return self._loop
            if not self._source.live:
                raise VideoError(f"{self._source.name}: no frame decodes")
            reason = f"{self._source.name}: " + (
                "the stream ended" if given else "no frame decodes"
            )
        except VideoError as error:
            if not self._source.live:
                raise
            reason = str(error)
        return self._stop.is_set() or self._pause(reason)

    def _play(self, feed: Feed) -> int:
        """Hand over the frames of an open source; return how many there were."""
        self.live = not feed.recorded
        pace = Pace()
        given = 0
        for piece in feed.pieces:
            arrived = self._clock()
            if feed.recorded:
                due = pace.due(piece.time, arrived)
                if due > arrived and self._wait(due - arrived):
                    break
                arrived = due
            for frame, moment in piece.frames():
                if self._lost_at is not None:
                    self._welcome()
                shown = moment if feed.recorded else arrived
                self._handover.offer(Shot(frame, shown, arrived, self._connection))
                given += 1
            if self._stop.is_set():
                break
        return given

    def _welcome(self) -> None:
        """The source gives frames: tell so if it was lost."""
        assert self._lost_at is not None
        if self._told:
            self._handover.tell(Back(self._clock() - self._lost_at))
        self._lost_at = None
        self._told = False
        self._failures = 0

    def _pause(self, reason: str) -> bool:
        """Tell of the loss, once, and wait; return true, or raise if it has been too long."""
        now = self._clock()
        if self._lost_at is None:
            self._lost_at = now
        if not self._told:
            self._handover.tell(Lost(reason))
            self._told = True
        seconds = pause_before(self._failures, self._chance())
        self._failures += 1
        if self._give_up is not None:
            left = self._lost_at + self._give_up - now
            if left <= 0:
                gone = now - self._lost_at
                raise MareyError(f"{reason}; gave up after {gone:.0f} seconds")
            seconds = min(seconds, left)
        self._wait(seconds)
        return True
