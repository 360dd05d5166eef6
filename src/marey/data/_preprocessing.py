"""From the bytes of frames to what a network's first convolution sees.

Axes: K snippets, C channels, H rows, W columns.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import torch
from jaxtyping import Float, UInt8
from torch import Tensor


@dataclass(frozen=True, slots=True)
class Preprocessing:
    """How a network wants its snippets; travels with its checkpoint."""

    colour: Literal["rgb", "bgr"]
    """Order of the colours of a frame; flow has none and ignores it."""

    mean: tuple[float, ...]
    """Subtracted from the bytes, one value a channel of a frame or one for all."""

    std: tuple[float, ...]
    """Divides what is left, likewise."""

    size: int = 224
    """Rows and columns of a crop, pixels."""

    short_side: int = 256
    """Frames are scaled to this short side, pixels, before they are cropped for testing."""

    pace: int = 25
    """The two snippets of an OFF pair are 1/pace of the video apart, in training and after."""

    flow: str = ""
    """Method of the flow that the network learnt from; empty if unknown, or no flow."""


def preprocessing_of(stored: Mapping[str, Any]) -> Preprocessing:
    """Return what `dataclasses.asdict` and JSON made lists of.

    Raises:
        TypeError: Names are missing, or unknown.
    """
    values: dict[str, Any] = {
        name: tuple(value) if isinstance(value, list) else value for name, value in stored.items()
    }
    return Preprocessing(**values)


def normalise(
    snippets: UInt8[Tensor, "... C H W"], preprocessing: Preprocessing, *, modality: str
) -> Float[Tensor, "... C H W"]:
    """Return snippets as floats around zero, their colours in the network's order."""
    channels, width = snippets.shape[-3], snippets.shape[-1]
    # Decoders lay frames out pixel by pixel; whole rows are quicker to go through than pixels.
    pixels = snippets.movedim(-3, -1)
    if modality != "flow" and preprocessing.colour == "bgr":
        order = torch.arange(channels).reshape(-1, 3).flip(1).flatten()
        pixels = pixels.index_select(-1, order.to(snippets.device, non_blocking=True))
    rows = pixels.to(torch.float32).flatten(-2)
    # A GPU gets these few numbers without being waited for.
    mean, std = (
        torch.tensor(values)
        .to(snippets.device, non_blocking=True)
        .repeat(channels * width // len(values))
        for values in (preprocessing.mean, preprocessing.std)
    )
    seen: Tensor = rows.sub_(mean).div_(std).unflatten(-1, (width, channels)).movedim(-1, -3)
    return seen
