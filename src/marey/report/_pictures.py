"""Pictures inside the page. Axes: T frames, H rows, W columns."""

import base64
import io
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, UInt8
from matplotlib.image import imsave

from marey.data import FrameSource, resize_short_side, segment_centres

from ._footage import Footage

_SHORT_SIDE = 168
_QUALITY = {"quality": 84, "optimize": True}


@dataclass(frozen=True, slots=True)
class Picture:
    """A picture as the page holds it, and what it shows in words."""

    uri: str
    width: int
    height: int
    words: str


def picture_of(frame: UInt8[np.ndarray, "H W 3"], words: str) -> Picture:
    """Return a frame as a JPEG in a data: URI; the same frame gives the same bytes."""
    file = io.BytesIO()
    imsave(file, np.ascontiguousarray(frame), format="jpeg", pil_kwargs=_QUALITY)
    text = base64.b64encode(file.getvalue()).decode("ascii")
    return Picture(f"data:image/jpeg;base64,{text}", frame.shape[1], frame.shape[0], words)


def small(
    frames: UInt8[np.ndarray, "T H W 3"], side: int = _SHORT_SIDE
) -> UInt8[np.ndarray, "T h w 3"]:
    """Return frames with a short side of so many pixels."""
    planes = torch.from_numpy(frames).permute(0, 3, 1, 2)
    scaled = resize_short_side(planes, side).permute(0, 2, 3, 1)
    answer: UInt8[np.ndarray, "T h w 3"] = scaled.contiguous().numpy()
    return answer


def as_bytes(pictures: Float[np.ndarray, "*T H W 3"]) -> UInt8[np.ndarray, "*T H W 3"]:
    """Return pictures from 0 to 1 as bytes."""
    answer: UInt8[np.ndarray, "*T H W 3"] = (255 * pictures).round().clip(0, 255).astype(np.uint8)
    return answer


def stills(footage: Footage, row: int, *, count: int) -> tuple[Picture, ...]:
    """Return frames evenly spread over a video, each once; none if it cannot be used."""

    def look(video: FrameSource) -> tuple[Picture, ...]:
        places = np.unique(segment_centres(len(video), segments=count)).tolist()
        return tuple(
            picture_of(frame, f"frame {place + 1} of {len(video)}")
            for place, frame in zip(places, small(video.frames_at(places)), strict=True)
        )

    return footage.ask(row, look) or ()
