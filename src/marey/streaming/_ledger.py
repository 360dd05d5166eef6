"""Rows of numbers on the disk, more of them than memory should hold."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from tempfile import TemporaryFile, gettempdir
from types import TracebackType
from typing import BinaryIO

import numpy as np
from jaxtyping import Float32

from marey.durable import naming

_AT_ONCE = 4096  # Rows that are read at once.


class Rows:
    """Rows of as many 32-bit floats each, added at the end; a torn last row does not count.

    Args:
        path: The file, which is taken up again; a nameless one unless given, and where another
            process has it.
        width: Numbers of a row.
    """

    def __init__(self, path: Path | None, *, width: int) -> None:
        self._width = width
        self._path, self._file = _taken_up(path)

    def __len__(self) -> int:
        with self._writing():  # For seeking writes what waits.
            return self._file.seek(0, os.SEEK_END) // (4 * self._width)

    def __iter__(self) -> Iterator[Float32[np.ndarray, " Y"]]:
        """Yield the rows from the first on; none may be added meanwhile."""
        size, count = 4 * self._width, len(self)
        for first in range(0, count, _AT_ONCE):
            self._file.seek(first * size)
            data = self._file.read(min(_AT_ONCE, count - first) * size)
            yield from np.frombuffer(data, np.float32).reshape(-1, self._width)

    def cut(self, count: int) -> None:
        """Keep the first rows alone."""
        with self._writing():
            self._file.truncate(4 * self._width * count)
            self._file.seek(0, os.SEEK_END)

    def add(self, row: Float32[np.ndarray, " Y"]) -> None:
        """Write a row behind the others."""
        with self._writing():
            self._file.write(row.astype(np.float32).tobytes())

    def flush(self) -> None:
        """Hand the rows to the disk."""
        with self._writing():
            self._file.flush()
            if self._path is not None:
                os.fsync(self._file.fileno())

    def _writing(self) -> AbstractContextManager[None]:
        return naming(self._path or Path(gettempdir()))

    def remove(self) -> None:
        """Delete the file."""
        if self._path is not None:
            self._path.unlink(missing_ok=True)

    def __enter__(self) -> "Rows":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        with self._writing():
            self._file.close()


def _taken_up(path: Path | None) -> tuple[Path | None, BinaryIO]:
    """Return a file for this process alone, and its path if it has one."""
    if path is None:
        return None, TemporaryFile()
    path.parent.mkdir(parents=True, exist_ok=True)
    file = path.open("a+b")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        file.close()
        return None, TemporaryFile()
    except OSError:  # Some file systems know no locks.
        pass
    return path, file
