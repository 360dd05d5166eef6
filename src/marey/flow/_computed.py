"""Flow of a video computed when it is asked for, with nothing kept on the disk.

Axes: P pairs of a frame and the next, T of them wanted, H rows, W columns.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from types import TracebackType

import numpy as np
import torch
from jaxtyping import UInt8
from torch.nn import functional as F

from marey.errors import VideoError
from marey.flow._codec import to_bytes
from marey.flow._file import Making
from marey.flow._methods import Estimator
from marey.video import FrameFolder, Verdict, VideoReader

_PAIRS_AT_ONCE = 16


class ComputedFlow:
    """The flow of a video, in bytes, at the size of stored flow.

    Args:
        video: Is closed with this.
        estimator: Computes the flow of consecutive frames.
        making: Says how, and the size.

    Raises:
        VideoError: The video has a single frame, so nothing moves.
    """

    def __init__(
        self, video: VideoReader | FrameFolder, estimator: Estimator, making: Making
    ) -> None:
        self._video = video
        self._estimator = estimator
        self.making = making
        if len(video) < 2:
            video.close()
            raise VideoError(f"{video.path} has a single frame; flow needs two")

    @property
    def path(self) -> Path:
        """Where the video lies."""
        return self._video.path

    @property
    def fps(self) -> float:
        """Frames per second of the video."""
        return self._video.fps

    def __len__(self) -> int:
        """Count the pairs."""
        return len(self._video) - 1

    def frames_at(self, indices: Iterable[int], /) -> UInt8[np.ndarray, "T H W 2"]:
        """Return the flow of the pairs with these numbers, in that order."""
        wanted = list(indices)
        spots: dict[int, list[int]] = {}
        for spot, pair in enumerate(wanted):
            if not 0 <= pair < len(self):
                raise IndexError(f"{self.path}: no pair {pair} in a video of {len(self)} pairs")
            spots.setdefault(pair, []).append(spot)
        out = np.empty((len(wanted), self.making.height, self.making.width, 2), np.uint8)
        pairs = sorted(spots)
        for pair, flow in zip(pairs, self.in_order(pairs), strict=True):
            out[spots[pair]] = flow
        return out

    def in_order(self, pairs: Sequence[int]) -> Iterator[UInt8[np.ndarray, "H W 2"]]:
        """Yield the flow of pairs with rising numbers; a frame is decoded once."""
        frames = self._video.in_order(sorted({*pairs, *(pair + 1 for pair in pairs)}))
        for first, last in _runs(pairs):
            ahead = [next(frames)]
            for start in range(first, last + 1, _PAIRS_AT_ONCE):
                count = min(_PAIRS_AT_ONCE, last + 1 - start)
                ahead += [next(frames) for _ in range(count)]
                scaled = _scaled(np.stack(ahead), self.making.height, self.making.width)
                yield from to_bytes(self._estimator(scaled))
                del ahead[:-1]

    def verdict(self) -> Verdict:
        """Return whether the video is whole."""
        return self._video.verdict()

    def close(self) -> None:
        """Let go of the video."""
        self._video.close()

    def __enter__(self) -> ComputedFlow:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def _runs(pairs: Sequence[int]) -> Iterator[tuple[int, int]]:
    """Yield the first and last of each stretch of consecutive numbers.

    Stretches with a single pair between them are apart too, though they share no frame.
    """
    first = last = None
    for pair in pairs:
        if last is not None and pair == last + 1:
            last = pair
            continue
        if first is not None and last is not None:
            yield first, last
        first = last = pair
    if first is not None and last is not None:
        yield first, last


def _scaled(
    frames: UInt8[np.ndarray, "T h w 3"], height: int, width: int
) -> UInt8[np.ndarray, "T H W 3"]:
    """Return frames at the size that flow is computed at, whatever their shape was."""
    if frames.shape[1:3] == (height, width):
        return frames
    pictures = torch.from_numpy(frames).permute(0, 3, 1, 2)
    pictures = F.interpolate(pictures, (height, width), mode="bilinear", antialias=True)
    scaled: UInt8[np.ndarray, "T H W 3"] = pictures.permute(0, 2, 3, 1).contiguous().numpy()
    return scaled
