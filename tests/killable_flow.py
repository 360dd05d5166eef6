"""Extracts flow in a copy of this process that kills itself at a named point, again and again.

It reads requests, a line of JSON each, and answers with the exit code. The point
`replace:5:before` is before the fifth call of `os.replace`. There, and where a test says so,
videos are done in the process itself, and flow is small: both save seconds.
"""

import itertools
import json
import os
import signal
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from marey.extraction import Extraction, extract
from marey.flow import Making, flow_estimator, making_of
from marey.index import read_index
from marey.isolation import Isolated


class Here(Isolated):
    """Makes calls in this process, not in another."""

    def call(self, function: Callable[..., Any], seconds: float, /, *words: Any, **_: Any) -> Any:
        return function(*words)


def small_making(method: str) -> Making:
    return replace(making_of(method), height=96, width=128)


def work_here(patch: Callable[[str, Any], None]) -> None:
    """Do videos in this process, their flow as small as DIS takes without other scales."""
    patch("marey.isolation.Isolated", Here)
    patch("marey.extraction._ledger.making_of", small_making)
    patch("marey.extraction._task.making_of", small_making)


def serve() -> None:
    work_here(pytest.MonkeyPatch().setattr)
    flow_estimator("dis")  # Loads what copies of this process then need not.
    for line in sys.stdin:
        request = json.loads(line)
        pid = os.fork()
        if pid == 0:
            code = 1
            try:
                work(**request)
                code = 0
            finally:
                os._exit(code)
        _, status = os.waitpid(pid, 0)
        sys.stdout.write(f"{os.waitstatus_to_exitcode(status)}\n")
        sys.stdout.flush()


def work(index: str, folder: str, form: Any, point: str | None) -> None:
    if point is not None:
        kill_at(point)
    extract(read_index(Path(index)), Extraction(method="dis", form=form), Path(folder), workers=1)


def kill_at(point: str) -> None:
    name, number, when = point.split(":")
    real = getattr(os, name)
    calls = itertools.count(1)

    def call(*arguments: Any, **options: Any) -> Any:
        now = next(calls) == int(number)
        if now and when == "before":
            os.kill(os.getpid(), signal.SIGKILL)
        answer = real(*arguments, **options)
        if now and when == "after":
            os.kill(os.getpid(), signal.SIGKILL)
        return answer

    setattr(os, name, call)


if __name__ == "__main__":
    serve()
