"""Starts `marey` as a process again and again, and breaks it where it is told to.

It reads requests, a line of JSON each: to start the command line in a copy of this process, or
to tell its exit code. A fault is `CALL:NUMBER:WHAT`. The call is `open` (of a file to write),
`write`, `fsync`, `replace`, `rename` or `unlink`; what happens at that call of it is `before` or
`after` (the process kills itself there), `half` (it kills itself with half of the bytes written)
or the name of an error, `ENOSPC`; that one lasts.
"""

import builtins
import ctypes
import errno
import gc
import io
import itertools
import json
import os
import signal
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

import pytest
import torch
from killable_flow import work_here
from tiny_networks import OFF_TINY, TSN_TINY, off_tiny, tsn_tiny

import marey.evaluation
import marey.exporting
import marey.extraction
import marey.predictor
import marey.report
import marey.training
from marey.backends import onnx_graph
from marey.cli import main
from marey.models import OFF_NETWORKS, TSN_NETWORKS, load_model

CALLS = ("open", "write", "fsync", "replace", "rename", "unlink")


class Fault:
    """Happens at one call, or at none."""

    def __init__(self, text: str | None) -> None:
        self.call, number, self.what = (text or "none:0:none").split(":")
        self.number = int(number)
        self._count = itertools.count(1)

    def around(self, call: str, real: Callable[..., Any], *words: Any, **options: Any) -> Any:
        if call != self.call:
            return real(*words, **options)
        now = next(self._count)
        if now == self.number and self.what == "before":
            kill()
        if now == self.number and self.what == "half":
            real(bytes(words[0])[: len(words[0]) // 2])
            kill()
        if self.what.startswith("E") and (
            now == self.number or (self.what == "ENOSPC" and now > self.number)
        ):
            code = getattr(errno, self.what)
            raise OSError(code, os.strerror(code))
        answer = real(*words, **options)
        if now == self.number and self.what == "after":
            kill()
        return answer


def kill() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def break_at(fault: Fault, names: Path) -> None:
    """Let the fault happen, and write down what is given a name."""

    class Written(io.FileIO):
        def write(self, data: Any, /) -> int:
            return int(fault.around("write", super().write, data))

    plain_open = io.open

    def opened(file: Any, mode: str = "r", buffering: int = -1, *rest: Any, **options: Any) -> Any:
        if isinstance(file, int) or not set(mode) & set("wax+"):
            return plain_open(file, mode, buffering, *rest, **options)
        raw = fault.around("open", Written, file, mode.replace("b", "").replace("t", ""))
        if buffering == 0:
            return raw
        buffered = io.BufferedRandom(raw) if "+" in mode else io.BufferedWriter(raw)
        return buffered if "b" in mode else io.TextIOWrapper(buffered, *rest, **options)

    def patched(call: str) -> Callable[..., Any]:
        real = getattr(os, call)

        def around(*words: Any, **options: Any) -> Any:
            answer = fault.around(call, real, *words, **options)
            if call in ("replace", "rename"):
                with plain_open(names, "a", encoding="utf-8") as file:
                    file.write(f"{Path(words[1]).absolute()}\n")
            return answer

        return around

    for call in CALLS[2:]:
        setattr(os, call, patched(call))
    io.open = builtins.open = opened  # type: ignore[assignment]


def serve() -> None:
    graphs: dict[str, Any] = {}
    marey.exporting._export.onnx_graph = lambda model: graphs[model.sha256]  # type: ignore[attr-defined]
    for line in sys.stdin:
        request = json.loads(line)
        if "graph" in request:
            model = load_model(request["graph"])
            graphs[model.sha256] = onnx_graph(model)
            answer("made")
        elif "words" in request:
            pid = os.fork()
            if pid == 0:
                live(**request)
            answer(pid)
        else:
            pid, status = os.waitpid(request["pid"], os.WNOHANG)
            answer(os.waitstatus_to_exitcode(status) if pid else "runs")


def live(words: list[str], **rest: Any) -> NoReturn:
    """Be what a shell would have started, to the end."""
    code = 1
    try:
        become(**rest)
        main(words)
        code = 0
    except SystemExit as error:
        code = error.code if isinstance(error.code, int) else 1
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)  # Taking all modules down would take a second.


def answer(what: object) -> None:
    sys.stdout.write(f"{what}\n")
    sys.stdout.flush()


def become(at: str, said: str, fault: str | None, shared_memory: int | None) -> None:
    os.setsid()
    os.chdir(at)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    for stream in (1, 2):
        os.dup2(os.open(said, os.O_WRONLY | os.O_CREAT | os.O_APPEND), stream)
    if shared_memory is not None:
        shrink_shared_memory(shared_memory)
    break_at(Fault(fault), Path(f"{said}.names"))


def shrink_shared_memory(size: int) -> None:
    """Give this process, and those that it starts, a /dev/shm of so many bytes."""
    libc = ctypes.CDLL(None, use_errno=True)
    new_mounts, private = 0x20000, 0x44000
    done = libc.unshare(new_mounts) == 0
    done = done and libc.mount(None, b"/", None, ctypes.c_ulong(private), None) == 0
    options = f"size={size}".encode()
    done = done and libc.mount(b"tmpfs", b"/dev/shm", b"tmpfs", ctypes.c_ulong(0), options) == 0
    if not done:
        os._exit(77)  # Only root may.


if __name__ == "__main__":
    torch.set_num_threads(1)
    TSN_NETWORKS[TSN_TINY], OFF_NETWORKS[OFF_TINY] = tsn_tiny, off_tiny
    work_here(pytest.MonkeyPatch().setattr)
    gc.collect()
    gc.freeze()  # So that copies of this process share its memory with it.
    serve()
