"""Ends this process when another that it works with gives no sign of life.

A process that is killed closes its connections, which the others notice at once. One that hangs,
or whose computer is lost, does not, and they would wait for it in the middle of a sum.
"""

import os
import sys
import threading
import time
from contextlib import suppress
from types import TracebackType

from torch.distributed.distributed_c10d import Store

_BEAT_SECONDS = 3.0
_SILENCE_SECONDS = 40.0
# Loading takes one longer than another.
_FIRST_SECONDS = 600.0


class Pulse:
    """Counts up in a store that the processes share, and watches the others count.

    Args:
        store: Used by nothing else.
        rank: Of this process.
        count: How many there are.
    """

    def __init__(self, store: Store, rank: int, count: int) -> None:
        self._store = store
        self._rank = rank
        self._others = [other for other in range(count) if other != rank]
        self._left = threading.Event()
        self._limits = dict.fromkeys(self._others, time.monotonic() + _FIRST_SECONDS)

    def __enter__(self) -> "Pulse":
        for work in (self._beat, self._watch):
            threading.Thread(target=work, name="pulse", daemon=True).start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._left.set()

    def met(self) -> None:
        """All are there: from now on silence counts."""
        for other in self._others:
            self._limits[other] = time.monotonic() + _SILENCE_SECONDS

    def _beat(self) -> None:
        """Count, and see who else did; what cannot be asked for counts as silence."""
        counts = dict.fromkeys(self._others, 0)
        while not self._left.wait(_BEAT_SECONDS):
            with suppress(RuntimeError):
                self._store.add(f"pulse {self._rank}", 1)
                for other, before in counts.items():
                    counts[other] = self._store.add(f"pulse {other}", 0)
                    if counts[other] != before:
                        self._limits[other] = time.monotonic() + _SILENCE_SECONDS

    def _watch(self) -> None:
        while not self._left.wait(1.0):
            now = time.monotonic()
            silent = [other for other, limit in self._limits.items() if limit < now]
            if silent and not self._left.is_set():
                print(  # noqa: T201 - nothing else of this process may run any more
                    f"marey: process {silent[0]} of this run gives no sign of life, so process "
                    f"{self._rank} ends too; the same command goes on from the last save",
                    file=sys.stderr,
                    flush=True,
                )
                os._exit(1)
