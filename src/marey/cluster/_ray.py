"""A cluster of Ray, which carries one task at a time to each worker and back."""

import os
import signal
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from types import TracebackType
from typing import Any, Generic, TypeVar

from marey.errors import MareyError, UsageError
from marey.isolation import CrashError

from ._stream import in_order, stream

Item = TypeVar("Item")
Result = TypeVar("Result")

TIMES_LOST = 6
"""A task is given up when this many workers that had it were lost."""

_SETTINGS = {
    "RAY_USAGE_STATS_ENABLED": "0",
    # A busy computer takes longer to start than Ray waits, and then Ray gives up.
    "RAY_agent_register_timeout_ms": "120000",
    "RAY_raylet_start_wait_time_s": "120",
}
_LOOK_AROUND_SECONDS = 5.0
_STORE_BYTES = 128 << 20  # Results are small.


class Cluster:
    """Computers that Ray has joined; use it in a `with` block.

    Each worker takes one processor core. Nothing is told to Ray's makers, and no page of Ray's is
    opened.

    Args:
        address: `HOST:PORT` of a cluster that runs, `auto` for one that this computer is part
            of, or `local` for one on this computer that ends with the block.
        workers: Of a local cluster; one for each core unless given.

    Raises:
        UsageError: Ray is not installed.
        MareyError: There is no cluster at the address.
    """

    def __init__(self, address: str, *, workers: int | None = None) -> None:
        if workers is not None and address != "local":
            raise UsageError(
                f"the number of workers is that of the cluster at {address}; leave it out"
            )
        if workers is not None and workers < 1:
            raise UsageError(f"a cluster needs at least 1 worker, got {workers}")
        self._address = address
        self._cores = workers

    def each(
        self, work: Callable[[Item], Result], items: Iterable[Item], /
    ) -> Iterator[tuple[int, Result | CrashError]]:
        """Yield each item's number and result, in the order in which they are done."""
        return stream(_Tasks[Item, Result](work), items)

    def in_order(
        self, work: Callable[[Item], Result], items: Iterable[Item], /
    ) -> Iterator[Result | CrashError]:
        """Yield each item's result, in the order of the items."""
        return in_order(_Tasks[Item, Result](work), items)

    def __enter__(self) -> "Cluster":
        for name, value in _SETTINGS.items():  # Ray looks at them when it is imported.
            os.environ.setdefault(name, value)
        try:
            import ray
        except ImportError as error:
            raise UsageError(
                "--cluster needs Ray; install it with: pip install 'marey[cluster]'"
            ) from error
        options: dict[str, Any] = {"log_to_driver": False, "logging_level": "ERROR"}
        if self._address == "local":
            options |= {
                "num_cpus": self._cores or os.cpu_count() or 1,
                "include_dashboard": False,
                "object_store_memory": _STORE_BYTES,
            }
        else:
            options["address"] = self._address
        ours = _signals()
        try:
            self._join(ray, options)
        finally:
            for number, handler in ours.items():
                signal.signal(number, handler)
        return self

    def _join(self, ray: Any, options: dict[str, Any]) -> None:
        """Join the cluster; one on a busy computer may not start at once."""
        tries = 3 if self._address == "local" else 1
        for more in reversed(range(tries)):
            try:
                ray.init(**options)
                return
            except Exception as error:  # Ray has many kinds, plain ones among them.
                with suppress(Exception):
                    ray.shutdown()
                if not more:
                    first = (str(error).strip() or type(error).__name__).splitlines()[0]
                    raise MareyError(f"no cluster at {self._address}: {first}") from error

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        import ray

        ray.shutdown()


class _Tasks(Generic[Item, Result]):
    """Ray's tasks of one kind of work."""

    def __init__(self, work: Callable[[Item], Result]) -> None:
        import ray

        self._ray = ray
        self._work = ray.put(work)
        self._task: Any = ray.remote(num_cpus=1, max_retries=TIMES_LOST - 1)(_done_in)
        self._folder = os.getcwd()  # noqa: PTH109
        self._workers = 1
        self._looked = -_LOOK_AROUND_SECONDS

    def workers(self) -> int:
        """Return how many workers there are: a cluster may grow and shrink."""
        now = time.monotonic()
        if now - self._looked >= _LOOK_AROUND_SECONDS:
            self._looked = now
            self._workers = max(int(self._ray.cluster_resources().get("CPU", 1)), 1)
        return self._workers

    def submit(self, item: Item, /) -> Any:
        """Begin a task."""
        return self._task.remote(self._folder, self._work, item)

    def done(self, handles: Sequence[Any], /) -> list[Any]:
        """Wait until at least one task is done, and return all that are."""
        handles = list(handles)
        self._ray.wait(handles, num_returns=1)
        done, _ = self._ray.wait(handles, num_returns=len(handles), timeout=0)
        return list(done)

    def result(self, handle: Any, /) -> Result | CrashError:
        """Return what came of a task; an error if all its workers were lost."""
        lost = self._ray.exceptions
        try:
            answer: Result = self._ray.get(handle)
        except (lost.WorkerCrashedError, lost.NodeDiedError, lost.OutOfMemoryError):
            return CrashError(f"its worker was lost {TIMES_LOST} times")
        except lost.RayTaskError as error:
            cause = error.cause
            raise cause if isinstance(cause, MareyError) else error from None
        return answer

    def drop(self, handle: Any, /) -> None:
        """Give up a task."""
        with suppress(Exception):
            self._ray.cancel(handle, force=True)


def _done_in(folder: str, work: Callable[[Item], Result], item: Item) -> Result:
    """Do a task where the command was given, so that paths mean what they mean there."""
    with suppress(OSError):  # A worker may lack that folder, and need none.
        os.chdir(folder)
    return work(item)


def _signals() -> dict[signal.Signals, Any]:
    """Return who answers to signals, which Ray would answer to itself."""
    if threading.current_thread() is not threading.main_thread():
        return {}
    return {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
