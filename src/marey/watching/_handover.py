"""From the thread that captures to the one that looks."""

import threading
from collections import deque
from typing import NamedTuple

from av.video.frame import VideoFrame

from ._news import Back, Lost

_NEWS = 1000  # Only somebody who never takes any has so many waiting.


class Shot(NamedTuple):
    """A frame as it was captured."""

    frame: VideoFrame
    time: float
    """When it was shown, in seconds, of its source's own clock."""

    captured: float
    """When it arrived, in seconds of the clock that latencies are told by."""

    connection: int
    """How often the source was opened before; frames of different ones are different films."""


class Handover:
    """A queue that drops the oldest frames when it is full: of live video, the newest counts.

    News are never dropped, and overtake frames.

    Args:
        length: Frames that may wait.
    """

    def __init__(self, length: int) -> None:
        self._shots: deque[Shot] = deque(maxlen=length)
        self._news: deque[Lost | Back] = deque(maxlen=_NEWS)
        self._changed = threading.Condition()
        self._closed = False
        self._offered = 0
        self._dropped = 0

    @property
    def offered(self) -> int:
        """Frames that came, dropped ones too."""
        return self._offered

    @property
    def dropped(self) -> int:
        """Frames that nobody took in time."""
        return self._dropped

    @property
    def over(self) -> bool:
        """Whether nothing waits and nothing will come."""
        with self._changed:
            return self._closed and not self._shots and not self._news

    def offer(self, shot: Shot) -> None:
        """Add a frame; drop the oldest one if there are too many."""
        with self._changed:
            self._offered += 1
            self._dropped += len(self._shots) == self._shots.maxlen
            self._shots.append(shot)
            self._changed.notify()

    def tell(self, news: Lost | Back) -> None:
        """Add news of the source."""
        with self._changed:
            self._news.append(news)
            self._changed.notify()

    def take(self, seconds: float) -> Shot | Lost | Back | None:
        """Return what comes next; None if nothing comes within `seconds`, or will ever come."""
        with self._changed:
            if not (self._news or self._shots or self._closed):
                self._changed.wait(seconds)
            if self._news:
                return self._news.popleft()
            return self._shots.popleft() if self._shots else None

    def close(self) -> None:
        """Let it be known that nothing more will come."""
        with self._changed:
            self._closed = True
            self._changed.notify()
