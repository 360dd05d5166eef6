"""Looking at a source while it goes on. Axes: H rows, W columns."""

import time
from collections.abc import Callable, Iterator, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Protocol, runtime_checkable

import numpy as np
from jaxtyping import UInt8

from ._capture import Capture
from ._handover import Handover, Shot
from ._latency import Latencies
from ._news import Back, Lost, Seen, Summary
from ._pictures import SmallPictures
from ._source import Source

if TYPE_CHECKING:
    from marey.predictor import Prediction

_WAITING = 4  # Frames. At 25 a second the oldest is as old as what is told of it may be.
_MOMENT = 0.1  # Seconds after which one who waits for frames may do something else.


@runtime_checkable
class Recogniser(Protocol):
    """What is shown the frames: `marey.Stream` is one."""

    short_side: int

    def wants(self, time: float) -> bool:
        """Return whether the next frame, if shown at this time, is needed."""

    def skip(self, time: float) -> None:
        """Let a frame pass that is not needed."""

    def push(self, frame: UInt8[np.ndarray, "H W 3"], time: float) -> "Prediction | None":
        """Take the next frame; return what is done now, if the frame was looked at."""

    def forget(self) -> None:
        """Begin a new stream."""


class Watch:
    """Watches a source; use it in a `with` block, which ends the capture.

    A thread captures and decodes. Frames that the recogniser does not need are not changed to
    RGB. Those that come while it is busy wait, but only the latest few.

    Args:
        recogniser: What is shown the frames.
        source: What is watched.
        give_up: Seconds after which a source that is lost is given up; never if None.
        loop: Play a recording again when it has ended.
        clock: Seconds that only grow.
    """

    def __init__(
        self,
        recogniser: Recogniser,
        source: Source,
        *,
        give_up: float | None = None,
        loop: bool = False,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._recogniser = recogniser
        self._clock = clock
        self._handover = Handover(_WAITING)
        self._capture = Capture(source, self._handover, give_up=give_up, loop=loop, clock=clock)
        self._latencies = Latencies()
        self._reconnects = 0
        self._start = clock()
        # Moments of the clock as those that people know.
        self._offset = time.time() - time.monotonic()
        self._connection: int | None = None
        self._pictures: SmallPictures | None = None

    def __enter__(self) -> "Watch":
        self._capture.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._capture.stop()

    def events(self) -> Iterator[Seen | Lost | Back | None]:
        """Yield what happens, until the source ends; None when nothing has for a moment.

        Raises:
            MareyError: The source cannot be used, or has been away for too long.
        """
        while True:
            item = self._handover.take(_MOMENT)
            if item is None and self._handover.over:
                break
            if isinstance(item, Shot):
                if (seen := self._look(item)) is not None:
                    yield seen
                continue
            self._reconnects += isinstance(item, Back)
            yield item
        if self._capture.error is not None:
            raise self._capture.error

    @property
    def dropped(self) -> int:
        """Frames that were dropped so far."""
        return self._handover.dropped

    @property
    def frames(self) -> int:
        """Frames that the source gave so far."""
        return self._handover.offered

    def recent_latencies(self, percents: Sequence[float]) -> list[float]:
        """Return percentiles of the latencies of the last ten seconds, in seconds."""
        return self._latencies.recent(percents)

    def summary(self) -> Summary:
        """Return what came of it so far."""
        return Summary(
            frames=self._handover.offered,
            looked_at=len(self._latencies),
            dropped=self._handover.dropped,
            reconnects=self._reconnects,
            latency_p50=self._latencies.percentile(50.0),
            latency_p99=self._latencies.percentile(99.0),
            latency_max=self._latencies.largest,
            seconds=self._clock() - self._start,
        )

    def _look(self, shot: Shot) -> Seen | None:
        """Show a frame to the recogniser, if it needs it."""
        recogniser = self._recogniser
        if shot.connection != self._connection:
            recogniser.forget()
            self._connection, self._pictures = shot.connection, None
        if not recogniser.wants(shot.time):
            recogniser.skip(shot.time)
            return None
        if self._pictures is None:
            self._pictures = SmallPictures(shot.frame, recogniser.short_side)
        picture = self._pictures.of(shot.frame)
        prediction = recogniser.push(picture, shot.time)
        if prediction is None:
            return None
        now = self._clock()
        latency = now - shot.captured
        self._latencies.add(latency, now)
        shown = shot.time + self._offset if self._capture.live else shot.time
        return Seen(shown, prediction, picture, latency)
