"""A stretch of a video, between two times."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import UInt8

from marey.errors import VideoError


@runtime_checkable
class WholeVideo(Protocol):
    """What parts are taken of: a video, a folder of frames, or the flow of either."""

    @property
    def path(self) -> Path:
        """Where it lies."""
        ...

    @property
    def fps(self) -> float:
        """Frames per second."""
        ...

    def __len__(self) -> int:
        """Count the frames, or pairs of them."""
        ...

    def frames_at(self, indices: Sequence[int], /) -> UInt8[np.ndarray, "T H W C"]:
        """Return the frames at `indices`, in that order."""
        ...


class Part:
    """The frames of a video from one to another, numbered from zero."""

    def __init__(self, video: WholeVideo, first: int, frames: int) -> None:
        self._video = video
        self.first = first
        self._frames = frames

    def __len__(self) -> int:
        return self._frames

    def frames_at(self, indices: Sequence[int], /) -> UInt8[np.ndarray, "T H W C"]:
        """Return the frames at `indices` of the part.

        Raises:
            IndexError: A place is negative, or not within the part.
        """
        for index in indices:
            if not 0 <= index < self._frames:
                raise IndexError(
                    f"{self._video.path}: no frame {index} in a part of {self._frames} frames"
                )
        return self._video.frames_at([self.first + index for index in indices])


def part_of(video: WholeVideo, *, start: float | None, end: float | None) -> Part:
    """Return the frames shown from `start` until just before `end`, both in seconds.

    Raises:
        VideoError: The video is over before `start`.
    """
    frames = len(video)
    first = 0 if start is None else math.ceil(start * video.fps - 1e-6)
    last = frames if end is None else min(math.ceil(end * video.fps - 1e-6), frames)
    if first >= last and frames > 0:
        raise VideoError(
            f"{video.path}: nothing between {start} s and {end} s, "
            f"the video lasts {frames / video.fps:.2f} s"
        )
    return Part(video, first, last - first)
