"""Files that FFmpeg writes videos to."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import av
from av.container import OutputContainer


@contextmanager
def open_output(
    path: Path, *, container: str, options: Mapping[str, str]
) -> Iterator[OutputContainer]:
    """Yield a file to put a video into, whole when the block ends well.

    Raises:
        OSError: The disk does not take it.
    """
    # Not by name: FFmpeg takes what stands before a colon for a protocol.
    with path.open("wb") as file:
        output = _Output(file)
        try:
            with av.open(output, "w", format=container, options=dict(options)) as opened:
                yield opened
        except Exception:
            if output.error is None:
                raise
        if output.error is not None:
            raise output.error


class _Output:
    """A file that fails once, and from then on takes bytes and forgets them.

    FFmpeg goes on after an error, to end the file; PyAV prints a traceback for each that follows.
    """

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.name = file.name
        self.error: OSError | None = None

    def write(self, data: bytes) -> int:
        return self._once(self._file.write, data, instead=len(data))

    def seek(self, place: int, whence: int = 0) -> int:
        return self._once(self._file.seek, place, whence, instead=place)

    def tell(self) -> int:
        return self._once(self._file.tell, instead=0)

    def _once(self, call: Callable[..., int], *words: object, instead: int) -> int:
        if self.error is not None:
            return instead
        try:
            return call(*words)
        except OSError as error:
            self.error = error
            raise
