"""Calls made in a process of their own, which they may bring down without harm to ours."""

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import suppress
from functools import cache
from queue import SimpleQueue
from types import TracebackType
from typing import ParamSpec, Protocol, TypeVar, runtime_checkable

from marey.errors import MareyError

_Arguments = ParamSpec("_Arguments")
_Item = TypeVar("_Item")
_Result = TypeVar("_Result")


class CrashError(Exception):
    """A call did not come back: its process died, or the time was up."""


class Isolated:
    """A process that makes one call after another, and is started anew when it dies.

    The process imports the modules of the functions it calls, and nothing else of ours. It
    ends when this process does, however that comes about.
    """

    def __init__(self) -> None:
        self._pool: ProcessPoolExecutor | None = None
        self._process = 0
        self._closed = False

    def call(
        self,
        function: Callable[_Arguments, _Result],
        seconds: float,
        /,
        *args: _Arguments.args,
        **kwargs: _Arguments.kwargs,
    ) -> _Result:
        """Return what the function returns in the other process, or raise what it raises.

        Raises:
            CrashError: The process died, or did not answer within `seconds`.
        """
        self.start()
        pool = self._pool
        if pool is None:
            raise CrashError("was closed")
        try:
            return pool.submit(function, *args, **kwargs).result(seconds)
        except TimeoutError as error:
            self._end()
            raise CrashError(f"did not end within {seconds:.0f} seconds") from error
        except BrokenProcessPool as error:
            self._end()
            raise CrashError("crashed") from error

    def close(self) -> None:
        """End the process, whatever it is doing; another thread's call ends as a crash."""
        self._closed = True
        self._end()

    def start(self) -> None:
        """Start the process, unless it runs; `call` would do so too.

        Raises:
            MareyError: It does not start.
            CrashError: It was closed meanwhile.
        """
        if self._pool is not None:
            return
        # A forked copy of a process with threads may hang, so the process starts afresh.
        context = multiprocessing.get_context("spawn")
        pool = ProcessPoolExecutor(1, mp_context=context, initializer=_prepare)
        try:
            self._process = pool.submit(os.getpid).result()
        except BrokenProcessPool as error:
            pool.shutdown()
            raise MareyError(
                "a second process did not start; a script that needs one must do its work "
                "below `if __name__ == '__main__':`"
            ) from error
        self._pool = pool
        if self._closed:
            self._end()
            raise CrashError("was closed")

    def _end(self) -> None:
        pool, self._pool = self._pool, None
        if pool is not None:
            with suppress(ProcessLookupError):
                os.kill(self._process, signal.SIGTERM)
            pool.shutdown()


class IsolatedPool:
    """Several such processes, for more work than there are of them; use it in a `with` block.

    They end with the block, whatever they are doing; work that was not begun is dropped.

    Args:
        count: Processes.
    """

    def __init__(self, count: int) -> None:
        self._processes = [Isolated() for _ in range(count)]
        self._threads = ThreadPoolExecutor(count)
        self._idle: SimpleQueue[Isolated] = SimpleQueue()
        for process in self._processes:
            self._idle.put(process)

    def submit(self, work: Callable[[Isolated], _Result]) -> Future[_Result]:
        """Let `work` have a process as soon as one is idle."""

        def run() -> _Result:
            process = self._idle.get()
            try:
                return work(process)
            finally:
                self._idle.put(process)

        return self._threads.submit(run)

    def __enter__(self) -> "IsolatedPool":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)
        for process in self._processes:
            process.close()
        self._threads.shutdown()


@runtime_checkable
class Workers(Protocol):
    """Computers that do one task after another, as those of a cluster."""

    def each(
        self, work: Callable[[_Item], _Result], items: Iterable[_Item], /
    ) -> Iterator[tuple[int, _Result | CrashError]]:
        """Yield each item's number and result, in the order in which they are done.

        The result is an error where every worker that took the item was lost.
        """
        ...

    def in_order(
        self, work: Callable[[_Item], _Result], items: Iterable[_Item], /
    ) -> Iterator[_Result | CrashError]:
        """Yield each item's result, in the order of the items."""
        ...


@cache
def own_process() -> Isolated:
    """Return the one isolated process of a worker, which does one task after another."""
    return Isolated()


def _prepare() -> None:
    """Make this process end with its parent, and leave interrupts to it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = multiprocessing.parent_process()
    assert parent is not None, "the pool started this process"

    def follow() -> None:
        parent.join()
        os._exit(1)

    threading.Thread(target=follow, daemon=True).start()
