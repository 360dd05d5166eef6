"""The files that annotated videos are written to."""

import io
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import av
from av.container import OutputContainer

from marey.errors import MareyError
from marey.video import open_output, words

SUFFIXES = {".mp4": "mp4", ".mkv": "matroska", ".mov": "mov"}
"""Endings of names, and the container of each."""


@contextmanager
def output(temporary: Path) -> Iterator[OutputContainer]:
    """Yield a file to write to, closed at the end.

    Raises:
        MareyError: The container does not take what it is given.
    """
    container = SUFFIXES[temporary.suffix.lower()]
    options = {} if container == "matroska" else {"movflags": "+faststart"}
    try:
        with open_output(temporary, container=container, options=options) as opened:
            yield opened
    except av.FFmpegError as error:
        raise MareyError(f"the annotated video cannot be written: {words(error)}") from error


def suffixes_for(codecs: Iterable[str]) -> list[str]:
    """Return the endings of the containers that can hold all of these, by the decoder's names."""
    wanted = set(codecs)
    return [suffix for suffix, container in SUFFIXES.items() if wanted <= _held(container)]


def _held(container: str) -> set[str]:
    with av.open(io.BytesIO(), "w", format=container) as opened:
        return opened.supported_codecs
