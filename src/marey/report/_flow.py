"""Flow beside the frames: stored, or computed for these frames alone.

Axes: P pairs of a frame and the next, H rows, W columns.
"""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Float32, UInt8

from marey.data import FrameSource, part_of
from marey.flow import (
    flow_estimator,
    flow_picture,
    open_flow,
    require_flow,
    to_pixels,
    wheel_picture,
)
from marey.index import Entry

from ._pictures import Picture, picture_of

FlowAt = Callable[[Entry, FrameSource, Sequence[int]], Float32[np.ndarray, "P H W 2"]]
"""From an entry, its frames and some places to the flow there in pixels, x then y."""

_WHEEL = 176

_SHORTEST = 1.0
"""Pixels: as in `flow_picture`, so that noise does not look like motion."""


def stored_flow(folder: Path) -> FlowAt:
    """Return what reads the flow that `marey flow` wrote, or TSN's tools.

    What it returns raises VideoError where there is no flow of a video.

    Raises:
        UsageError: There is no such folder.
    """
    require_flow(folder)

    def read(entry: Entry, video: FrameSource, places: Sequence[int]) -> np.ndarray:
        with open_flow(folder, entry.path) as flow:
            part = part_of(flow, start=entry.start, end=entry.end)
            return to_pixels(part.frames_at([min(place, len(part) - 1) for place in places]))

    return read


def computed_flow() -> FlowAt:
    """Return what computes flow by DIS, from each frame shown to the next of its video.

    Raises:
        UsageError: OpenCV is missing, whose method it is.
    """
    estimate = flow_estimator("dis")

    def compute(entry: Entry, video: FrameSource, places: Sequence[int]) -> np.ndarray:
        firsts = [min(place, len(video) - 2) for place in places]
        return np.stack([estimate(video.frames_at([first, first + 1]))[0] for first in firsts])

    return compute


def flow_pictures(flow: Float32[np.ndarray, "P H W 2"]) -> UInt8[np.ndarray, "P H W 3"]:
    """Return flow in colours, all of it on one scale."""
    length = np.hypot(flow[..., 0], flow[..., 1])
    longest = max(_SHORTEST, float(np.percentile(length, 99)))
    pictures: UInt8[np.ndarray, "P H W 3"] = np.stack(
        [flow_picture(field, longest=longest) for field in flow]
    )
    return pictures


def wheel() -> Picture:
    """Return the legend of flow's colours."""
    words = "Colour wheel: each colour lies where motion of that colour goes, the fuller the faster"
    return picture_of(wheel_picture(_WHEEL), words)
