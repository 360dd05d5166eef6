"""Sources and networks that do as a test says."""

from collections.abc import Callable, Iterator, Sequence

import av
import numpy as np

from marey.errors import VideoError
from marey.predictor import Prediction
from marey.watching import Feed, Piece, Source


def picture(level: int = 100, *, height: int = 48, width: int = 64) -> av.VideoFrame:
    """Return a grey frame."""
    pixels = np.full((height, width, 3), level, np.uint8)
    return av.VideoFrame.from_ndarray(pixels, format="rgb24")


class Clock:
    """Time that passes only when somebody waits, or a test says so."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.waits: list[float] = []

    def __call__(self) -> float:
        return self.now

    def wait(self, seconds: float) -> bool:
        self.waits.append(seconds)
        self.now += seconds
        return False


def feed(
    times: Sequence[float], *, recorded: bool, dies: bool = False, tick: Callable[[], None] = str
) -> Feed:
    """Return a feed of one frame at each of these times, which then ends or dies."""

    def pieces() -> Iterator[Piece]:
        for time in times:
            tick()
            yield Piece(time, lambda time=time: [(picture(), time)])
        if dies:
            raise VideoError("the wire was cut")

    return Feed(pieces(), lambda: None, recorded)


def source(*feeds: Callable[[], Feed] | None, live: bool = True) -> Source:
    """Return a source that gives these feeds in turn, the last one again and again.

    Where there is None, it does not open.
    """
    turns = list(feeds)

    def open_next() -> Feed:
        turn = turns.pop(0) if len(turns) > 1 else turns[0]
        if turn is None:
            raise VideoError("nobody answers")
        return turn()

    return Source("fake", live=live, open=open_next)


class Network:
    """Wants some frames, and answers each of them after a while."""

    short_side = 32

    def __init__(self, *, wants: Callable[[float], bool] = lambda time: True) -> None:
        self._wants = wants
        self.pushed: list[float] = []
        self.skipped: list[float] = []
        self.shapes: set[tuple[int, ...]] = set()
        self.forgot: list[int] = []
        self.busy: Callable[[], None] = str

    def wants(self, time: float) -> bool:
        return self._wants(time)

    def skip(self, time: float) -> None:
        self.skipped.append(time)

    def push(self, frame: np.ndarray, time: float) -> Prediction | None:
        self.busy()
        self.pushed.append(time)
        self.shapes.add(frame.shape)
        return Prediction(
            video="fake",
            status="ok",
            reason="",
            frames=len(self.pushed),
            seconds=time,
            model="none",
            labels=("walk", "run"),
            probabilities=(0.75, 0.25),
        )

    def forget(self) -> None:
        self.forgot.append(len(self.pushed))
