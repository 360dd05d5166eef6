"""A process that does one task after another with a warm network, and may die of any of them."""

import multiprocessing
import os
import resource
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable
from contextlib import suppress
from multiprocessing.connection import Connection
from typing import Any, Generic, TypeVar

from marey.errors import MareyError

_Made = TypeVar("_Made")
Tell = Callable[[float], None]
"""Told which share of a task is done, from 0 to 1."""

_ROOM = 4 << 30  # Bytes that a task may take beside the network.
_START_SECONDS = 600.0  # A busy computer takes minutes to load a network.


class TooLateError(Exception):
    """A task did not end in time; its process was killed."""


class StoppedError(Exception):
    """The process of a task was killed from outside, by `Worker.interrupt` or by hand."""


class BadTaskError(Exception):
    """A task cannot be done: its video cannot be used, or brought the process down."""


class Worker(Generic[_Made]):
    """A process of its own for tasks; a new one is started when it dies.

    Threads that call it take turns; `interrupt` and `close` wait for no turn.

    Args:
        make: Called in the process, before the first task; its result is handed to each.
    """

    def __init__(self, make: Callable[[], _Made]) -> None:
        self._make = make
        self._process: multiprocessing.process.BaseProcess | None = None
        self._pipe: Connection | None = None
        self._closed = False
        self._turn = threading.RLock()

    @property
    def pid(self) -> int | None:
        """The process, if there is one."""
        return None if self._process is None else self._process.pid

    @property
    def alive(self) -> bool:
        """Whether the process runs."""
        process = self._process
        return process is not None and process.is_alive()

    def start(self) -> None:
        """Start the process, unless it runs, and wait until it is warm.

        Raises:
            MareyError: What `make` raised there, or the process died.
            StoppedError: The worker was closed.
        """
        with self._turn:
            if not self.alive:
                self._end()
                self._begin()

    def _begin(self) -> None:
        if self._closed:
            raise StoppedError
        # A forked copy of a process with threads may hang, so the process starts afresh.
        context = multiprocessing.get_context("spawn")
        ours, theirs = context.Pipe()
        process = context.Process(target=_work, args=(theirs, self._make), daemon=True)
        process.start()
        theirs.close()
        self._process, self._pipe = process, ours
        if self._closed:  # Meanwhile, so that `close` saw no process to kill.
            self._end()
            raise StoppedError
        kind, what = self._next(_START_SECONDS)
        if kind == "bad":
            self._end()
            raise MareyError(what)

    def call(
        self,
        task: Callable[..., Any],
        *arguments: Any,
        seconds: float,
        tell: Tell = lambda share: None,
    ) -> Any:
        """Return what `task(made, tell, *arguments)` returns in the process.

        Raises:
            BadTaskError: The task says that it cannot be done, or the process died of it.
            TooLateError: It took longer than `seconds`.
            StoppedError: The process was killed.
        """
        with self._turn:
            return self._called(task, arguments, seconds, tell)

    def _called(
        self, task: Callable[..., Any], arguments: tuple[Any, ...], seconds: float, tell: Tell
    ) -> Any:
        self.start()
        pipe = self._pipe
        if pipe is None:
            raise StoppedError
        with suppress(OSError):
            pipe.send((task, arguments))
        deadline = _Deadline(seconds)
        while True:
            kind, what = self._next(deadline.left())
            if kind == "share":
                tell(what)
            elif kind == "bad":
                raise BadTaskError(what)
            else:
                return what

    def interrupt(self) -> None:
        """Kill the process, whatever it does; a call that waits for it ends."""
        process = self._process
        if process is not None:
            with suppress(ValueError):  # It has ended and been closed meanwhile.
                process.kill()

    def close(self) -> None:
        """Kill the process and start no other."""
        self._closed = True
        self.interrupt()

    def _next(self, seconds: float) -> tuple[str, Any]:
        pipe, process = self._pipe, self._process
        if pipe is None or process is None:
            raise StoppedError
        try:
            if not pipe.poll(max(seconds, 0.0)):
                self._end()
                raise TooLateError
            message: tuple[str, Any] = pipe.recv()
        except (EOFError, OSError):
            process.join(5)
            code = process.exitcode
            self._end()
            if code in (-signal.SIGKILL, -signal.SIGTERM) or self._closed:
                raise StoppedError from None
            raise BadTaskError("the video could not be decoded: the decoder crashed") from None
        return message

    def _end(self) -> None:
        process, self._process = self._process, None
        pipe, self._pipe = self._pipe, None
        if process is not None:
            process.kill()
            process.join()
            process.close()
        if pipe is not None:
            pipe.close()


class _Deadline:
    """So many seconds from now."""

    def __init__(self, seconds: float) -> None:
        self._end = time.monotonic() + seconds

    def left(self) -> float:
        """Seconds that are left."""
        return self._end - time.monotonic()


def _work(pipe: Connection, make: Callable[[], Any]) -> None:
    """Do tasks until the pipe ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _end_with_parent()
    try:
        made = make()
        _limit_memory()
    except MareyError as error:
        pipe.send(("bad", str(error)))
        return
    pipe.send(("ready", None))
    while True:
        try:
            task, arguments = pipe.recv()
        except EOFError:
            return
        try:
            answer = ("done", task(made, lambda share: pipe.send(("share", share)), *arguments))
        except MareyError as error:
            answer = ("bad", str(error))
        except MemoryError:
            answer = ("bad", "the video needs more memory than a video may take here")
        except Exception:
            traceback.print_exc(file=sys.stderr)
            answer = ("bad", "the video could not be looked at")
        pipe.send(answer)


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    assert parent is not None, "a worker starts this process"

    def follow() -> None:
        parent.join()
        os._exit(1)

    threading.Thread(target=follow, daemon=True).start()


def _limit_memory() -> None:
    """Let tasks take so much more memory than the network has, and write no core files."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if not sys.platform.startswith("linux"):
        return
    with open("/proc/self/statm") as file:  # noqa: PTH123 - No path of ours.
        held = int(file.read().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (held + _ROOM, held + _ROOM))
