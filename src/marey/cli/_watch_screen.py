"""What `marey watch` prints while it watches."""

import json
import time
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from rich.console import Console
from rich.live import Live
from rich.text import Text

from ._printable import printable

if TYPE_CHECKING:
    from marey.watching import Back, Lost, Seen, Summary, Watch

_HOLD = 0.5  # Seconds that a label must have been the first before it is told.
_PERCENTS = (50.0, 99.0)
_SINCE_1970 = 1e8  # Seconds; times above are those of the computer's clock.


@runtime_checkable
class Screen(Protocol):
    """Tells what is seen."""

    def shown(self) -> AbstractContextManager[object]:
        """Return the block in which there is something to be told."""

    def seen(self, seen: "Seen") -> None:
        """Take an answer."""

    def news(self, news: "Lost | Back") -> None:
        """Take news of the source."""

    def end(self, summary: "Summary") -> None:
        """Take what came of it all."""


class _Chosen:
    """Chooses the answers to be told: one every so many seconds, or settled changes."""

    def __init__(self, every: float | None) -> None:
        from marey.watching import Settled

        self._every = every
        self._settled = Settled(_HOLD)
        self._last: float | None = None
        self._pending: Seen | None = None

    def tells(self, seen: "Seen") -> bool:
        if self._every is None:
            told = self._settled.told(seen.prediction.labels[0], seen.time)
        else:
            last = self._last
            told = last is None or not last <= seen.time < last + self._every - 1e-9
        if told:
            self._last = seen.time
        self._pending = None if told or self._last is not None else seen
        return told

    def forget(self) -> None:
        self._settled.forget()

    @property
    def pending(self) -> "Seen | None":
        """The latest answer if none was ever told, because all was over in a moment."""
        return self._pending


class Lines:
    """One line for each answer that is told, for pipes and simple terminals."""

    def __init__(self, every: float | None) -> None:
        self._chosen = _Chosen(every)

    def shown(self) -> AbstractContextManager[object]:
        """Return an empty block."""
        return nullcontext()

    def seen(self, seen: "Seen") -> None:
        """Print the label if it has changed, or if it is time."""
        if self._chosen.tells(seen):
            self._print(seen)

    def news(self, news: "Lost | Back") -> None:
        """Tell the label anew when the source is back."""
        self._chosen.forget()

    def end(self, summary: "Summary") -> None:
        """Print the only label of a source that was soon over."""
        if self._chosen.pending is not None:
            self._print(self._chosen.pending)

    def _print(self, seen: "Seen") -> None:
        label, probability = seen.prediction.labels[0], seen.prediction.probabilities[0]
        print(f"{_moment(seen.time)}  {probability:6.1%}  {printable(label)}", flush=True)


class JsonLines:
    """One JSON object a line for each answer that is told, for news, and for the end."""

    def __init__(self, watch: "Watch", every: float | None, top: int) -> None:
        self._watch = watch
        self._chosen = _Chosen(every)
        self._top = top

    def shown(self) -> AbstractContextManager[object]:
        """Return an empty block."""
        return nullcontext()

    def seen(self, seen: "Seen") -> None:
        """Print the answer if its label has changed, or if it is time."""
        if self._chosen.tells(seen):
            self._print(seen)

    def news(self, news: "Lost | Back") -> None:
        """Print the news."""
        from marey.watching import Lost

        self._chosen.forget()
        if isinstance(news, Lost):
            _print_json("lost", time.time(), {"reason": news.reason})
        else:
            _print_json("back", time.time(), {"seconds": round(news.seconds, 3)})

    def end(self, summary: "Summary") -> None:
        """Print what came of it."""
        if self._chosen.pending is not None:
            self._print(self._chosen.pending)
        values = {
            "frames": summary.frames,
            "looked_at": summary.looked_at,
            "dropped": summary.dropped,
            "reconnects": summary.reconnects,
            "latency_p50_ms": _milliseconds(summary.latency_p50),
            "latency_p99_ms": _milliseconds(summary.latency_p99),
            "latency_max_ms": _milliseconds(summary.latency_max),
            "seconds": round(summary.seconds, 3),
        }
        _print_json("summary", time.time(), values)

    def _print(self, seen: "Seen") -> None:
        half, most = self._watch.recent_latencies(_PERCENTS)
        predictions = seen.prediction.as_json(top=self._top)["predictions"]
        values = {
            **predictions[0],
            "predictions": predictions,
            "latency_ms": _milliseconds(seen.latency),
            "latency_p50_ms": _milliseconds(half),
            "latency_p99_ms": _milliseconds(most),
            "frames": self._watch.frames,
            "dropped": self._watch.dropped,
        }
        _print_json("action", seen.time, values)


class OneLine:
    """One line of a terminal that is written over and over."""

    def __init__(self, watch: "Watch", console: Console) -> None:
        self._watch = watch
        # What is printed to stderr meanwhile goes above the line.
        self._live = Live(console=console, auto_refresh=False)
        self._counted = (time.monotonic(), 0)
        self._rate = 0.0

    def shown(self) -> AbstractContextManager[object]:
        """Return the block in which the line is there."""
        return self._live

    def seen(self, seen: "Seen") -> None:
        """Write the line anew."""
        half, most = (round(1e3 * value) for value in self._watch.recent_latencies(_PERCENTS))
        label, probability = seen.prediction.labels[0], seen.prediction.probabilities[0]
        self._write(
            f"{probability:4.0%} {printable(label)}  {self._fps():.0f} fps  "
            f"{half}/{most} ms  {self._watch.dropped} dropped"
        )

    def news(self, news: "Lost | Back") -> None:
        """Say that there is nothing to say, or nothing yet."""
        from marey.watching import Lost

        self._write("lost" if isinstance(news, Lost) else "back")

    def end(self, summary: "Summary") -> None:
        """Leave the line as it is."""

    def _write(self, text: str) -> None:
        self._live.update(Text(text, no_wrap=True, overflow="ellipsis"), refresh=True)

    def _fps(self) -> float:
        """Return the frames per second that came, measured once a second."""
        since, frames = self._counted
        now, count = time.monotonic(), self._watch.frames
        if now - since >= 1 or not self._rate:
            self._rate = (count - frames) / max(now - since, 0.05)
            self._counted = now, count
        return self._rate


def _moment(seconds: float) -> str:
    """Return a time of day, or a place in a recording."""
    if seconds >= _SINCE_1970:
        return time.strftime("%H:%M:%S", time.localtime(seconds))
    return f"{seconds:8.2f}"


def _milliseconds(seconds: float) -> float:
    return round(1e3 * seconds, 1)


def _print_json(event: str, moment: float, values: dict[str, Any]) -> None:
    print(json.dumps({"event": event, "time": round(moment, 3), **values}), flush=True)
