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
        TypeError: Names are missing, or unknown, or values of another kind.
    """
    if not isinstance(stored, Mapping):
        raise TypeError(f"the preprocessing is {stored!r:.50}")
    values: dict[str, Any] = {
        name: tuple(value) if isinstance(value, list) else value for name, value in stored.items()
    }
    preprocessing = Preprocessing(**values)
    wrong = [name for name, value in values.items() if not _is_possible(name, value)]
    if wrong:
        raise TypeError(f"the {wrong[0]} of the preprocessing is {values[wrong[0]]!r:.50}")
    return preprocessing


def _is_possible(name: str, value: Any) -> bool:
    if name == "colour":
        return value in ("rgb", "bgr")
    if name == "flow":
        return isinstance(value, str)
    if name in ("mean", "std"):
        numbers = value if isinstance(value, tuple) else ()
        return bool(numbers) and all(isinstance(number, int | float) for number in numbers)
    return isinstance(value, int) and value > 0


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
