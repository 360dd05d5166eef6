"""A video on its way from a request to a file."""

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import BinaryIO, Protocol

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header
from starlette.requests import ClientDisconnect, Request

from ._refusal import Refusal

_FIELD = b"video"
_MOST_PARTS = 16
_PATIENCE = 30.0  # Seconds without a byte.
_SLOWEST = 8192  # Bytes a second, once the patience is over.
_LONGEST_NAME = 200


class _Taker(Protocol):
    """Takes the bytes of a body as they come, and knows the name that they gave."""

    name: str

    def write(self, data: bytes) -> None:
        """Take more."""

    def finish(self) -> None:
        """Raise Refusal unless there was a video."""


async def receive(request: Request, file: Path, most: int) -> str:
    """Write the video of a request's body to a file, and return its name.

    The body is the video, or multipart/form-data with one in the field `video`. Bytes are
    counted as they come, whatever the headers say.

    Raises:
        Refusal: The body is too long, too slow, compressed, or has no video.
    """
    if request.headers.get("content-encoding", "identity").lower() != "identity":
        raise Refusal(415, "encoding", "send the video as it is, without Content-Encoding")
    length = request.headers.get("content-length", "")
    if length.isascii() and length.isdecimal() and int(length) > most + 4096:
        raise _too_long(most)
    kind, options = parse_options_header(request.headers.get("content-type", ""))
    if kind == b"application/json":
        raise Refusal(415, "address", "send the video itself; videos are never fetched")
    with file.open("xb") as out:
        taker: _Taker
        try:
            if kind == b"multipart/form-data":
                taker = _Form(out, options.get(b"boundary", b""), most)
            else:
                taker = _Raw(out, request.query_params.get("name", ""), most)
            async for chunk in _patiently(request):
                taker.write(chunk)
            taker.finish()
        except TimeoutError:
            raise Refusal(408, "slow", "the upload came too slowly") from None
        except ClientDisconnect:
            raise Refusal(400, "cut", "the upload was cut short") from None
        except FormParserError:
            raise Refusal(400, "form", "the form cannot be read") from None
    return plain_name(taker.name)


def plain_name(name: str) -> str:
    """Return a file's name without folders and without characters that cannot be seen."""
    last = name.replace("\\", "/").rsplit("/", 1)[-1]
    shown = "".join(letter for letter in last if letter.isprintable()).strip()
    return shown.encode(errors="replace").decode()[:_LONGEST_NAME] or "video"


async def _patiently(request: Request) -> AsyncIterator[bytes]:
    """Yield what comes, unless it comes so slowly that it would keep others out of the queue."""
    stream = aiter(request.stream())
    clock = asyncio.get_running_loop().time
    begun, count = clock(), 0
    while True:
        patience = min(_PATIENCE, begun + _PATIENCE + count / _SLOWEST - clock())
        try:
            async with asyncio.timeout(patience):
                chunk = await anext(stream)
        except StopAsyncIteration:
            return
        count += len(chunk)
        yield chunk


def _too_long(most: int) -> Refusal:
    return Refusal(413, "too_long", f"a video has at most {most:,} bytes here")


class _Counted:
    """A file that does not grow beyond a limit."""

    def __init__(self, out: BinaryIO, most: int) -> None:
        self._out, self._most = out, most
        self.count = 0

    def write(self, data: bytes) -> None:
        self.count += len(data)
        if self.count > self._most:
            raise _too_long(self._most)
        self._out.write(data)


class _Raw:
    def __init__(self, out: BinaryIO, name: str, most: int) -> None:
        self.name = name
        self._out = _Counted(out, most)

    def write(self, data: bytes) -> None:
        self._out.write(data)

    def finish(self) -> None:
        if self._out.count == 0:
            raise Refusal(422, "empty", "the body is empty; send a video")


class _Form:
    """The field `video` of a form; what else there is passes by, counted."""

    def __init__(self, out: BinaryIO, boundary: bytes, most: int) -> None:
        self.name = ""
        self._out = _Counted(out, most)
        self._most = most
        self._all = 0
        self._parts = 0
        self._videos = 0
        self._taken = False
        self._done = False
        self._header = b""
        self._value = b""
        self._disposition = b""
        if not boundary:
            raise Refusal(400, "form", "the form has no boundary")
        handlers: dict[str, Callable[..., None]] = {
            "on_part_begin": self._on_part,
            "on_part_data": self._on_data,
            "on_header_field": self._on_name,
            "on_header_value": self._on_value,
            "on_header_end": self._on_header,
            "on_headers_finished": self._on_headers,
            "on_end": self._on_end,
        }
        self._parser = MultipartParser(boundary, handlers)  # type: ignore[arg-type]

    def write(self, data: bytes) -> None:
        self._all += len(data)
        if self._all > self._most + (1 << 16):
            raise _too_long(self._most)
        self._parser.write(data)

    def finish(self) -> None:
        if not self._done:
            raise Refusal(400, "cut", "the form ends too early")
        if self._videos == 0:
            raise Refusal(400, "form", 'the form has no file in its field "video"')
        if self._out.count == 0:
            raise Refusal(422, "empty", "the file is empty; send a video")

    def _on_part(self) -> None:
        self._parts += 1
        if self._parts > _MOST_PARTS:
            raise Refusal(400, "form", f"a form has at most {_MOST_PARTS} parts here")
        self._header = self._value = self._disposition = b""
        self._taken = False

    def _on_name(self, data: bytes, start: int, end: int) -> None:
        self._header += data[start:end]

    def _on_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]

    def _on_header(self) -> None:
        if self._header.lower() == b"content-disposition":
            self._disposition = self._value
        self._header = self._value = b""

    def _on_headers(self) -> None:
        _, options = parse_options_header(self._disposition)
        if options.get(b"name") != _FIELD:
            return
        self._videos += 1
        if self._videos > 1:
            raise Refusal(400, "form", 'send one file in the field "video"')
        self._taken = True
        self.name = options.get(b"filename", b"").decode(errors="replace")

    def _on_data(self, data: bytes, start: int, end: int) -> None:
        if self._taken:
            self._out.write(data[start:end])

    def _on_end(self) -> None:
        self._done = True
