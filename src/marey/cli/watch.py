"""`marey watch`."""

import os
import signal
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from types import FrameType
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter
from rich.console import Console

from marey.errors import UsageError

from .predict import DEFAULT_MODEL

if TYPE_CHECKING:
    from marey.streaming import Stream
    from marey.watching import Back, Lost, Summary, Watch

    from ._watch_screen import Screen
    from ._window import Window


def watch(
    source: Annotated[str, Parameter(allow_leading_hyphen=False)],
    *,
    model: Annotated[str, Parameter(alias="-m")] = DEFAULT_MODEL,
    window: float = 2.0,
    half_life: float | None = None,
    top: int = 5,
    every: float | None = None,
    jsonl: bool = False,
    show: bool = False,
    loop: bool = False,
    give_up: float | None = None,
    device: str = "auto",
    threads: int | None = None,
    quiet: Annotated[bool, Parameter(alias="-q")] = False,
) -> None:
    """Recognise actions live: from a camera, an address, or a file played in real time.

    Example: `marey watch 0`

    A terminal shows one line: what is done, frames per second, the latency from a frame's
    arrival to its answer (half of the last ten seconds' answers, and 99 in 100, took no longer),
    and how many frames were dropped because the computer was busy. A pipe gets a line when the
    action changes. A camera or an address that is lost is opened again. Ctrl-C ends.

    Args:
        source: A camera (0, /dev/video0), a video file, or an address (rtsp://, http://,
            https://).
        model: A bundled network (see `marey models`) or a checkpoint file.
        window: Seconds that an answer looks back.
        half_life: Seconds after which what a frame says counts half; half the window unless
            given.
        top: Classes of each answer in --jsonl.
        every: Print an answer every so many seconds, 0 for each one, and not on changes alone.
        jsonl: Print one JSON object a line: "action", "lost", "back", and a "summary" at the end.
            Times are seconds since 1970, those of actions in a recording since its beginning.
        show: Show the frames that are looked at in a window.
        loop: Play a file again and again.
        give_up: Seconds after which a source that is lost is given up; never unless given.
        device: auto, cpu or cuda.
        threads: CPU threads of the network; all cores but one, which decodes, unless given.
        quiet: Say nothing on stderr.
    """
    if top < 1:
        raise UsageError(f"--top must be at least 1, got {top}")
    if threads is not None and threads < 1:
        raise UsageError(f"--threads must be at least 1, got {threads}")
    for name, value in (("--every", every), ("--give-up", give_up)):
        if value is not None and not value >= 0:
            raise UsageError(f"{name} must be some seconds, got {value}")
    from marey.watching import Watch, source_of

    watched = source_of(source)
    with ExitStack() as block:
        frame = None
        if show:
            from ._window import Window

            frame = block.enter_context(Window(watched.name))
        block.enter_context(_threads(threads))
        from marey.streaming import Stream

        stream = Stream(
            model, window=window, half_life=half_life, device=device, source=watched.name
        )
        _warm_up(stream)
        watch = Watch(stream, watched, give_up=give_up, loop=loop)
        screen = _screen(watch, jsonl=jsonl, every=every, top=top)
        _follow(watch, screen, frame, name=watched.name, quiet=quiet)


def _follow(
    watch: "Watch", screen: "Screen", window: "Window | None", *, name: str, quiet: bool
) -> None:
    """Tell all that happens until the end, and then what came of it."""
    from marey.watching import Seen

    with _signals_end():
        try:
            with watch, screen.shown():
                for event in watch.events():
                    if isinstance(event, Seen):
                        screen.seen(event)
                    elif event is not None:
                        if not quiet:
                            print(_said(event, name), file=sys.stderr, flush=True)
                        screen.news(event)
                    if window is not None:
                        window.show(event if isinstance(event, Seen) else None)
                        if window.closed:
                            break
        finally:
            summary = watch.summary()
            screen.end(summary)
            if not quiet:
                print(_summed_up(summary), file=sys.stderr, flush=True)


def _screen(watch: "Watch", *, jsonl: bool, every: float | None, top: int) -> "Screen":
    from ._watch_screen import JsonLines, Lines, OneLine

    if jsonl:
        return JsonLines(watch, every, top)
    console = Console()
    if console.is_terminal and not console.is_dumb_terminal and every is None:
        return OneLine(watch, console)
    return Lines(every)


@contextmanager
def _threads(count: int | None) -> Iterator[None]:
    """Let the network have so many threads, or leave one core to the decoder."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(count or max(min(before, (os.cpu_count() or 1) - 1), 1))
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _warm_up(stream: "Stream") -> None:
    """Let the network answer once; the first answer of all takes long."""
    import numpy as np

    black = np.zeros((stream.short_side, stream.short_side, 3), np.uint8)
    time = 0.0
    while stream.push(black, time) is None:
        time += stream.spacing
    stream.forget()


@contextmanager
def _signals_end() -> Iterator[None]:
    """Let Ctrl-C and SIGTERM end the block: 130 and 143 are the exit codes, as everywhere."""

    def end(number: int, frame: FrameType | None) -> None:
        sys.exit(128 + number)

    before = {number: signal.signal(number, end) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _said(news: "Lost | Back", name: str) -> str:
    from marey.watching import Lost

    if isinstance(news, Lost):
        return f"marey: {news.reason}; trying again"
    return f"marey: {name} is back after {news.seconds:.1f} seconds"


def _summed_up(summary: "Summary") -> str:
    return (
        f"marey: {summary.frames} frames in {summary.seconds:.1f} seconds, "
        f"{summary.looked_at} looked at, {summary.dropped} dropped, "
        f"{summary.reconnects} reconnects, latency p50 {1e3 * summary.latency_p50:.0f} ms, "
        f"p99 {1e3 * summary.latency_p99:.0f} ms"
    )
