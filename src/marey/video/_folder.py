"""Videos kept as folders of numbered images. Axes: T frames, H rows, W columns, C channels."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from operator import index as as_int
from os import PathLike
from pathlib import Path
from types import TracebackType
from typing import SupportsIndex

import av
import numpy as np
from av.packet import Packet
from av.video.codeccontext import VideoCodecContext
from av.video.frame import VideoFrame
from jaxtyping import Float, UInt8

from marey.errors import UsageError, VideoError
from marey.video._container import MAX_PIXELS, words
from marey.video._frames import checked_indices, counted_from_end, picked
from marey.video._picture import Pictures
from marey.video._verdict import Damage, Verdict

DEFAULT_PATTERN = "img_%05d.jpg"

_CODECS = {b"\xff\xd8\xff": "mjpeg", b"\x89PN": "png"}
_JPEG_END = b"\xff\xd9"


class FrameFolder:
    """The frames of a folder of numbered JPEG or PNG images, with the methods of `VideoReader`.

    Numbers start at 0 or 1. An image that is missing, empty or of another kind is left out,
    and `verdict` tells of it.

    Args:
        path: The folder.
        pattern: Name of the images, with one `%d` or `%05d` for the number.
        fps: Frames per second, which images do not tell.

    Raises:
        VideoError: The folder is missing or holds no such image.
    """

    def __init__(
        self, path: str | PathLike[str], *, pattern: str = DEFAULT_PATTERN, fps: float = 25.0
    ) -> None:
        self.path = Path(path)
        self.fps = fps
        if not self.path.is_dir():
            state = "is a file, not a folder" if self.path.exists() else "does not exist"
            raise VideoError(f"{self.path} {state}")
        numbered = numbered_images(self.path, pattern)
        self._damage = Damage()
        _note_gaps([number for number, _ in numbered], self._damage)
        self._numbers = {image: number for number, image in numbered}
        self._images = [image for _, image in numbered if self._is_image(image)]
        if not self._images:
            found = "; ".join(self._damage.reasons()) or f"nothing in it is named like {pattern}"
            raise VideoError(f"{self.path} holds no image: {found}")
        self._pictures = Pictures(self._first())

    @property
    def numbers(self) -> list[int]:
        """Number in the name of each image; one that is left out leaves a gap."""
        return [self._numbers[image] for image in self._images]

    @property
    def height(self) -> int:
        """Rows of the upright frame."""
        return self._pictures.height

    @property
    def width(self) -> int:
        """Columns of the upright frame."""
        return self._pictures.width

    def __len__(self) -> int:
        return len(self._images)

    def __getitem__(self, index: SupportsIndex) -> UInt8[np.ndarray, "H W 3"]:
        """Return one frame; a negative index counts from the end."""
        frame: UInt8[np.ndarray, "H W 3"] = self.frames_at(
            [counted_from_end(as_int(index), len(self), self.path)]
        )[0]
        return frame

    def frames_at(self, indices: Iterable[SupportsIndex]) -> UInt8[np.ndarray, "T H W 3"]:
        """Return the frames at the given places, in their order; places may repeat.

        Raises:
            IndexError: A place is negative, or not within the video.
            VideoError: An image does not decode.
        """
        return picked(checked_indices(indices, len(self), self.path), self._fetch, self._pictures)

    def in_order(self, indices: Sequence[int]) -> Iterator[UInt8[np.ndarray, "H W 3"]]:
        """Yield the frames at rising places one by one.

        Raises:
            IndexError: A place is not within the video.
            VideoError: An image does not decode.
        """
        for index in checked_indices(indices, len(self), self.path):
            yield self[index]

    def times(self) -> Float[np.ndarray, " _"]:
        """Return when each frame is shown, in seconds from the first, and when the last ends."""
        return np.arange(len(self) + 1) / self.fps

    def verdict(self) -> Verdict:
        """Return whether all images are there and whole. Decodes all of them."""
        damage = Damage()
        frames = 0
        for image in self._images:
            try:
                frame = _decode(image)
            except VideoError:
                damage.note("an image does not decode", image.name)
                continue
            frames += 1
            if frame.is_corrupt or _is_cut(image):
                damage.note("an image is cut short or patched over damage", image.name)
        reason = "; ".join(self._damage.reasons() + damage.reasons())
        return Verdict(
            status="unusable" if frames == 0 else "damaged" if reason else "ok",
            reason=reason,
            frames=frames,
            declared=None,
        )

    def close(self) -> None:
        """Do nothing: images are opened one at a time."""

    def __enter__(self) -> FrameFolder:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        size = f"{self.width}x{self.height}"
        return f"FrameFolder({str(self.path)!r}, {len(self)} frames of {size}, {self.fps:g} fps)"

    def _is_image(self, image: Path) -> bool:
        with image.open("rb") as file:
            head = file.read(3)
        if not head:
            self._damage.note("an image is empty", image.name)
        elif head not in _CODECS:
            self._damage.note("an image is neither JPEG nor PNG", image.name)
        return head in _CODECS

    def _first(self) -> VideoFrame:
        """Return the first image that decodes, and leave out those before it."""
        error: VideoError | None = None
        while self._images:
            try:
                return _decode(self._images[0])
            except VideoError as failure:
                error = error or failure
                self._damage.note("an image does not decode", self._images.pop(0).name)
        raise VideoError(f"no image of {self.path} decodes: {error}")

    def _fetch(self, wanted: Sequence[int]) -> Iterator[tuple[int, VideoFrame]]:
        for number in wanted:
            yield number, _decode(self._images[number])


def _decode(image: Path) -> VideoFrame:
    try:
        data = image.read_bytes()
        codec = VideoCodecContext.create(_CODECS[data[:3]], "r")
        assert isinstance(codec, VideoCodecContext)
        codec.thread_type = "NONE"
        codec.thread_count = 1
        codec.options = {"max_pixels": str(MAX_PIXELS)}
        # A decoder is used once: that of PNG adds a second image to the first.
        return codec.decode(Packet(data))[0]
    except (av.FFmpegError, OSError, LookupError) as error:
        why = "no picture in it" if isinstance(error, LookupError) else words(error)
        raise VideoError(f"{image} does not decode: {why}") from error


def numbered_images(folder: Path, pattern: str) -> list[tuple[int, Path]]:
    """Return the images of a folder that fit the pattern, by rising number.

    Raises:
        UsageError: The pattern has no number in it, or several.
    """
    parts = re.split(r"%(?:0(\d+))?d", pattern)
    if len(parts) != 3:
        raise UsageError(f"a pattern has one %d or %05d in it, got {pattern!r}")
    head, digits, tail = parts
    name = re.compile(f"{re.escape(head)}(\\d{{{digits or 1},}}){re.escape(tail)}")
    found = ((name.fullmatch(path.name), path) for path in folder.iterdir())
    return sorted((int(match[1]), path) for match, path in found if match and path.is_file())


def _note_gaps(numbers: Iterable[int], damage: Damage) -> None:
    expected: int | None = None
    for number in numbers:
        if expected is None and number > 1:
            damage.note("the images do not start at 0 or 1", f"image {number}")
        elif expected is not None and number != expected:
            missing = f"{expected}" if number == expected + 1 else f"{expected} to {number - 1}"
            damage.note("images are missing", f"number {missing}")
        expected = number + 1


def _is_cut(image: Path) -> bool:
    """Return whether a JPEG lacks its end; what is missing is grey then."""
    data = image.read_bytes()
    return data[:2] == b"\xff\xd8" and _JPEG_END not in data[-64:]
