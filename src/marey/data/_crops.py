"""Which part of a frame the network sees, and from which side.

Boxes are pure functions of a frame's size in pixels; only `crop` and `mirror` touch pixels.
Axes: V views, K snippets, C channels, H rows, W columns.
"""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from jaxtyping import Float, Shaped, UInt8
from numpy.random import Generator
from torch import Tensor
from torch.nn import functional as F

# Share of the frame's short side that a training crop's sides may take.
RGB_SCALES = (1.0, 0.875, 0.75, 0.66)
FLOW_SCALES = (1.0, 0.875, 0.75)


class Box(NamedTuple):
    """A rectangle of pixels."""

    top: int
    left: int
    height: int
    width: int


def five_boxes(height: int, width: int, *, size: int) -> list[Box]:
    """Return the four corners of a frame and its centre: half of the ten crops of a test."""
    down, across = height - size, width - size
    corners = [(0, 0), (0, across), (down, 0), (down, across)]
    return [Box(top, left, size, size) for top, left in [*corners, (down // 2, across // 2)]]


def centre_box(height: int, width: int, *, size: int) -> Box:
    """Return the square of `size` pixels in the middle of a frame."""
    return five_boxes(height, width, size=size)[-1]


def multi_scale_box(
    height: int,
    width: int,
    *,
    rng: Generator,
    scales: Sequence[float] = RGB_SCALES,
    max_distort: int = 1,
) -> Box:
    """Return a random training crop: TSN's corner cropping with scale jittering.

    Both sides are shares of the frame's short side, at most `max_distort` steps of `scales`
    apart, and the place is one of 13: corners, centre, middles of the edges, and the centres
    of the four quarters.
    """
    sides = [int(min(height, width) * scale) for scale in scales]
    pairs = [
        (tall, wide)
        for i, tall in enumerate(sides)
        for j, wide in enumerate(sides)
        if abs(i - j) <= max_distort
    ]
    tall, wide = pairs[rng.integers(len(pairs))]
    row, column = _QUARTERS[rng.integers(len(_QUARTERS))]
    return Box(row * (height - tall) // 4, column * (width - wide) // 4, tall, wide)


# Thirteen places, in quarters of the way a crop can move down and across.
_QUARTERS = [(row, column) for row in (0, 2, 4) for column in (0, 2, 4)]
_QUARTERS += [(row, column) for row in (1, 3) for column in (1, 3)]


def crop(
    frames: UInt8[Tensor, "K C H W"], box: Box, *, size: int
) -> UInt8[Tensor, "K C {size} {size}"]:
    """Cut the same box from every frame and scale it to a square of `size` pixels."""
    cut = frames[..., box.top : box.top + box.height, box.left : box.left + box.width]
    return resize(cut, size, size)


def resize(frames: UInt8[Tensor, "K C H W"], height: int, width: int) -> UInt8[Tensor, "K C h w"]:
    """Scale frames bilinearly, smoothing where they shrink, as Pillow does."""
    if frames.shape[-2:] == (height, width):
        return frames
    return F.interpolate(frames, (height, width), mode="bilinear", antialias=True)


def resize_short_side(frames: UInt8[Tensor, "K C H W"], side: int) -> UInt8[Tensor, "K C h w"]:
    """Scale frames so that their short side has `side` pixels, keeping their shape.

    The original squeezes every video to 340 x 256. For 4:3 film that is the same but for one
    column; a portrait video would come out three times too wide.
    """
    height, width = frames.shape[-2:]
    scale = side / min(height, width)
    return resize(frames, max(round(height * scale), side), max(round(width * scale), side))


def mirror(snippets: Float[Tensor, "*V K C H W"], *, modality: str) -> Float[Tensor, "*V K C H W"]:
    """Turn normalised snippets left to right; what moved right then moves left.

    Flow is negated along x after its mean was taken away, which is exact; the original
    mirrors the bytes and is a grey level off.
    """
    turned = snippets.flip(-1)
    if modality == "flow":
        sign = torch.ones(snippets.shape[-3], 1, 1, device=snippets.device)
        sign[0::2] = -1  # x1 y1 x2 y2 ...
        turned = turned * sign
    return turned


def ten_crops(
    snippets: Float[Tensor, "K C H W"], *, size: int, modality: str
) -> Shaped[Tensor, "10 K C {size} {size}"]:
    """Return five crops of the snippets and their mirror images, plain ones first."""
    height, width = snippets.shape[-2:]
    turned = mirror(snippets, modality=modality)
    corners = [(box.top, box.left) for box in five_boxes(height, width, size=size)]
    views = [snippets[..., y : y + size, x : x + size] for y, x in corners]
    # Where a crop lies in a frame that was turned left to right.
    views += [turned[..., y : y + size, width - x - size : width - x] for y, x in corners]
    return torch.stack(views)
