"""Rows of numbers on the disk, more of them than memory should hold."""

import os
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryFile
from types import TracebackType
from typing import BinaryIO

import numpy as np
from jaxtyping import Float32

_AT_ONCE = 4096  # Rows that are read at once.


class Rows:
    """Rows of as many 32-bit floats each, added at the end; a torn last row does not count.

    Args:
        path: The file, which is taken up again; a nameless one unless given.
        width: Numbers of a row.
    """

    def __init__(self, path: Path | None, *, width: int) -> None:
        self._path = path
        self._width = width
        if path is None:
            self._file: BinaryIO = TemporaryFile()  # noqa: SIM115 - closed by the block.
            return
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file = path.open("a+b")

    def __len__(self) -> int:
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
        self._file.truncate(4 * self._width * count)
        self._file.seek(0, os.SEEK_END)

    def add(self, row: Float32[np.ndarray, " Y"]) -> None:
        """Write a row behind the others."""
        self._file.write(row.astype(np.float32).tobytes())

    def flush(self) -> None:
        """Hand the rows to the disk."""
        self._file.flush()
        if self._path is not None:
            os.fsync(self._file.fileno())

    def remove(self) -> None:
        """Delete the file."""
        if self._path is not None:
            self._path.unlink()

    def __enter__(self) -> "Rows":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._file.close()
