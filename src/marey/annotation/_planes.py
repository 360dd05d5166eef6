"""Drawing on frames as they are decoded: a plane of luma and two of chroma, or less of these.

Axes: H rows and W columns of the frame as it is stored, h and w those of what is drawn.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from av.video.frame import VideoFrame
from jaxtyping import UInt8, UInt16

from marey.video import turn_of

_FULL_RANGE = 2
_USUAL_MATRIX = 6
"""BT.601: what frames without a word on it are taken for, and what RGB is turned into."""

# Weights of red and blue in luma by the number of the matrix (ITU-T H.273, table 4).
_WEIGHTS = {
    1: (0.2126, 0.0722),
    4: (0.30, 0.11),
    7: (0.212, 0.087),
    9: (0.2627, 0.0593),
    10: (0.2627, 0.0593),
}
_WEIGHTS_BT601 = (0.299, 0.114)

Planes = tuple[UInt8[np.ndarray, "H W"], UInt8[np.ndarray, "_ _"], UInt8[np.ndarray, "_ _"]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Canvas:
    """How the frames of a video are stored, and how they are shown."""

    height: int
    """Of the frame as it is stored."""

    width: int
    turn: tuple[bool, int, int]
    """As of `turn_of`."""

    halved: bool
    """Whether chroma has half the rows and columns of luma."""

    full: bool
    """Whether values go from 0 to 255, or luma from 16 to 235 and chroma from 16 to 240."""

    matrix: int
    """From RGB, by its number in ITU-T H.273."""

    @property
    def upright(self) -> tuple[int, int]:
        """Rows and columns of the frame as it is shown."""
        return (self.width, self.height) if self.turn[0] else (self.height, self.width)

    def stored(self, picture: np.ndarray) -> np.ndarray:
        """Return an upright picture as it is stored."""
        turned, down, across = self.turn
        picture = picture[::down, ::across]
        return picture.swapaxes(0, 1) if turned else picture

    def colours(self, rgb: UInt8[np.ndarray, "h w 3"]) -> UInt8[np.ndarray, "h w 3"]:
        """Return RGB as luma and the two chromas."""
        red_weight, blue_weight = _WEIGHTS.get(self.matrix, _WEIGHTS_BT601)
        red, green, blue = (rgb[..., channel] / np.float32(255) for channel in range(3))
        luma = red_weight * red + (1 - red_weight - blue_weight) * green + blue_weight * blue
        chroma = (blue - luma) / (2 - 2 * blue_weight), (red - luma) / (2 - 2 * red_weight)
        start, luma_span, chroma_span = (0, 255, 255) if self.full else (16, 219, 224)
        levels = [start + luma_span * luma, *(128 + chroma_span * c for c in chroma)]
        answer: UInt8[np.ndarray, "h w 3"] = (
            np.stack(levels, axis=-1).round().clip(0, 255).astype(np.uint8)
        )
        return answer


def canvas_of(frame: VideoFrame) -> Canvas:
    """Return how the frames of a video are that begins with this one."""
    rgb = is_rgb(frame)
    full = frame.format.name.startswith("yuvj") or frame.color_range == _FULL_RANGE
    return Canvas(
        height=frame.height,
        width=frame.width,
        turn=turn_of(frame),
        halved=frame.height % 2 == 0 and frame.width % 2 == 0,
        full=full and not rgb,
        matrix=_USUAL_MATRIX if rgb else frame.colorspace,
    )


class _Share(NamedTuple):
    """What is put into one plane, in 256ths."""

    rows: slice
    columns: slice
    kept: UInt16[np.ndarray, "h w"]
    added: UInt16[np.ndarray, "h w"]


class Sheet:
    """A picture with transparency that lies somewhere over frames, ready to be put there.

    Args:
        picture: Upright, in RGB and opacity. Sides are even where chroma is halved.
        top: Its first row in the upright frame; even likewise.
        left: Its first column.
        canvas: The frames.
    """

    def __init__(
        self, picture: UInt8[np.ndarray, "h w 4"], *, top: int, left: int, canvas: Canvas
    ) -> None:
        height, width = canvas.upright
        where = np.zeros((2, 2), int)
        where[0] = top, top + picture.shape[0]
        where[1] = left, left + picture.shape[1]
        turned, down, across = canvas.turn
        for axis, (step, length) in enumerate(((down, height), (across, width))):
            if step < 0:
                where[axis] = length - where[axis, ::-1]
        if turned:
            where = where[::-1]
        stored = canvas.stored(picture)
        opacity = (stored[..., 3] * (256 / 255)).round().astype(np.uint16)
        levels = canvas.colours(stored[..., :3])
        self._shares = []
        for channel in range(3):
            kept = 256 - opacity
            added = levels[..., channel] * opacity
            scale = 2 if channel and canvas.halved else 1
            if scale == 2:
                kept, added = _halved(kept), _halved(added)
            rows, columns = (slice(*(edges // scale).tolist()) for edges in where)
            self._shares.append(_Share(rows, columns, kept, added))

    def lay(self, planes: Planes) -> None:
        """Put the picture over a frame."""
        for plane, share in zip(planes, self._shares, strict=True):
            part = plane[share.rows, share.columns]
            part[:] = (part * share.kept + share.added + np.uint16(128)) >> 8


def planes_of(frame: VideoFrame) -> Planes:
    """Return the planes of a frame, which share its memory."""
    luma, first, second = (
        np.frombuffer(memoryview(plane), np.uint8).reshape(-1, plane.line_size)[
            : plane.height, : plane.width
        ]
        for plane in frame.planes
    )
    return luma, first, second


def _halved(values: UInt16[np.ndarray, "h w"]) -> UInt16[np.ndarray, "_ _"]:
    rows, columns = values.shape
    sums = values.astype(np.uint32).reshape(rows // 2, 2, columns // 2, 2).sum(axis=(1, 3))
    answer: UInt16[np.ndarray, "_ _"] = ((sums + 2) >> 2).astype(np.uint16)
    return answer


def is_rgb(frame: VideoFrame) -> bool:
    """Return whether a frame is in RGB."""
    return frame.format.is_rgb or frame.format.name.startswith(("pal8", "gbr"))
