"""From a video to the frames of its snippets."""

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

import numpy as np
import torch
from jaxtyping import UInt8
from torch import Tensor

from ._sampling import Places, frames_of

# Frames that one snippet covers. Flow's are its pairs of x and y.
SPANS = {"rgb": 1, "rgbdiff": 6, "flow": 5}


@runtime_checkable
class FrameSource(Protocol):
    """What is read from: a video file, a folder of frames, or part of either."""

    def __len__(self) -> int:
        """Count the frames."""
        ...

    def frames_at(self, indices: Sequence[int], /) -> UInt8[np.ndarray, "T H W C"]:
        """Return the frames at `indices`, in that order."""
        ...


def read_snippets(video: FrameSource, places: Places, *, span: int) -> UInt8[Tensor, "K C H W"]:
    """Return the snippets that start at `places`, the frames of each stacked along C.

    Every frame is decoded once, however many snippets want it.
    """
    frames = frames_of(places, frames=len(video), span=span)
    wanted, where = np.unique(frames, return_inverse=True)
    pictures = torch.from_numpy(video.frames_at(wanted.tolist()))[where.reshape(-1)]
    # [K * span, H, W, 3] -> [K, span * 3, H, W]
    stacked = pictures.unflatten(0, frames.shape).permute(0, 1, 4, 2, 3)
    snippets: Tensor = stacked.flatten(1, 2)
    return snippets
