"""How strongly things move at each place of a frame, by what OFF sees.

Axes: H and W rows and columns of a frame, h and w those of a map.
"""

from collections import deque

import numpy as np
import torch
from jaxtyping import Float, UInt8

from marey.data import normalise, resize
from marey.errors import UsageError
from marey.models import OFF, Network
from marey.nn import Maps

_LEVEL = 28
"""The finest maps: one place for eight pixels."""

_STEP = 32
"""Sides that every backbone halves five times without a rest."""

_SCALE_HALF_LIFE = 10.0
"""Seconds after which the strongest change so far counts half."""


def require_motion(network: Network) -> OFF:
    """Return a network that has motion to lay over frames.

    Raises:
        UsageError: The network has no OFF branch, or does not look at single frames.
    """
    if isinstance(network, OFF) and network.modality == "rgb":
        return network
    kind = "OFF" if isinstance(network, OFF) else "TSN"
    raise UsageError(
        f"only OFF networks on RGB have motion to lay over frames; this one is {kind} on "
        f"{network.modality}"
    )


class MotionHeat:
    """Gives the strength of OFF's temporal gradient at each place of the frames of one video.

    The whole frame is looked at, not its centre. Each frame goes through the backbone once, and
    its features are compared with those that came a share of a window before, the share that
    the network was trained with. Strengths are shares of what few places of recent frames
    exceed, so that a still frame after a lively one stays dark.

    Args:
        network: An OFF network on RGB, from `for_inference`.
        fps: Frames a second of the video.
        window: Seconds that such a network looks at; the video's own where it is shorter.

    Raises:
        UsageError: The network has no OFF branch, or does not look at single frames.
    """

    def __init__(self, network: Network, *, fps: float, window: float) -> None:
        self._network = require_motion(network)
        distance = max(round(fps * window / network.preprocessing.pace), 1)
        self._seen: deque[Maps] = deque(maxlen=distance + 1)
        self._fading = 0.5 ** (1 / max(fps * _SCALE_HALF_LIFE, 1.0))
        self._scale = 0.0

    @torch.inference_mode()
    def __call__(
        self, number: int, frame: UInt8[np.ndarray, "H W 3"]
    ) -> Float[np.ndarray, "h w"] | None:
        """Return strengths from 0 to 1 for the next frame; none for the first.

        Args:
            number: Of the frame; they come in their order.
            frame: Upright, in RGB.
        """
        network = self._network
        picture = torch.from_numpy(frame).movedim(-1, 0)[None]
        rows, columns = _sides(*frame.shape[:2], short=network.preprocessing.size)
        small = resize(picture.to(network.device), rows, columns)
        clip = normalise(small, network.preprocessing, modality=network.modality)
        self._seen.append(network.maps(clip[None]))
        if len(self._seen) < 2:
            return None
        pair = {
            size: [
                torch.cat(both)
                for both in zip(
                    self._seen[0].levels[size], self._seen[-1].levels[size], strict=True
                )
            ]
            for size in self._seen[0].levels
        }
        change = network.branch.gradients(pair, snippets=2)[_LEVEL].temporal[0, 0]
        length = change.float().norm(dim=0).cpu().numpy()
        self._scale = max(self._fading * self._scale, float(np.quantile(length, 0.995)), 1e-6)
        strength: Float[np.ndarray, "h w"] = (length / self._scale).clip(0, 1)
        return strength


def _sides(height: int, width: int, *, short: int) -> tuple[int, int]:
    """Return rows and columns of about the frame's shape that the backbone halves evenly."""
    scale = short / min(height, width)
    rows, columns = (max(round(side * scale / _STEP), 1) * _STEP for side in (height, width))
    return rows, columns
