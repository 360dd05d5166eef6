"""Flow as colours: the hue says where, the saturation how far.

The colour wheel of Baker et al., "A Database and Evaluation Methodology for Optical Flow", IJCV
2011. To the right is red; clockwise, as y points down, follow yellow, green, blue and magenta.

Axes: H rows, W columns, S sides of a square; a flow is x, then y.
"""

import numpy as np
from jaxtyping import Float, Float32, UInt8

from marey.errors import UsageError

_ARCS = ((15, 0, 1), (6, 1, 0), (4, 1, 2), (11, 2, 1), (13, 2, 0), (6, 0, 2))
"""Steps from each primary or secondary hue to the next, that the eye sees as equal: how many,
which channel of RGB is full in both, and which one changes. The changes go up and down by turns."""
_SHORTEST = 1.0
"""Pixels: where all of a picture moves less, noise must not look like motion."""
_TOO_LONG = 0.75
"""Brightness of what moves further than the scale goes."""


def flow_picture(
    flow: Float32[np.ndarray, "H W 2"], *, longest: float | None = None
) -> UInt8[np.ndarray, "H W 3"]:
    """Return the flow in colours: white where still, darker where longer than `longest`.

    Args:
        flow: Pixels.
        longest: Pixels of motion that get the full colour; unless given, what 99 of 100 pixels
            do not exceed, and at least 1.

    Raises:
        UsageError: `longest` is not above 0.
    """
    length = np.hypot(flow[..., 0], flow[..., 1])
    if longest is None:
        longest = max(_SHORTEST, float(np.percentile(length, 99)))
    elif not longest > 0:
        raise UsageError(f"longest must be above 0 pixels, got {longest}")
    share = (length / np.float32(longest))[..., None]
    hue = _hue(np.arctan2(flow[..., 1], flow[..., 0]))
    colour = np.where(share <= 1, 1 - share * (1 - hue), _TOO_LONG * hue)
    picture: UInt8[np.ndarray, "H W 3"] = np.rint(255 * colour).astype(np.uint8)
    return picture


def wheel_picture(size: int) -> UInt8[np.ndarray, "S S 3"]:
    """Return the legend: a disc on white, in which each point has the colour of moving there.

    Raises:
        UsageError: `size` has no pixels.
    """
    if size < 1:
        raise UsageError(f"a colour wheel needs at least 1 pixel a side, got {size}")
    along = ((2 * np.arange(size) + 1) / size - 1).astype(np.float32)
    flow = np.stack(np.meshgrid(along, along), axis=2)
    flow[np.hypot(flow[..., 0], flow[..., 1]) > 1] = 0
    return flow_picture(flow, longest=1.0)


def _hue(angle: Float[np.ndarray, "H W"]) -> Float[np.ndarray, "H W 3"]:
    """Return the full colour of directions, between two hues of the wheel in proportion.

    The released code leaves no step between the last hue and the first, so that the colour
    jumps where the motion turns past the right; here the circle is closed.
    """
    wheel = _wheel()
    position = angle / (2 * np.pi) % 1 * len(wheel)
    before = position.astype(int)
    after = (position - before)[..., None]
    before %= len(wheel)
    hue: Float[np.ndarray, "H W 3"]
    hue = (1 - after) * wheel[before] + after * wheel[(before + 1) % len(wheel)]
    return hue


def _wheel() -> Float[np.ndarray, "hues 3"]:
    """Return the 55 hues from red on, each with channels from 0 to 1."""
    arcs = []
    for number, (steps, full, changing) in enumerate(_ARCS):
        arc = np.zeros((steps, 3))
        arc[:, full] = 1
        rising = np.arange(steps) / steps
        arc[:, changing] = rising if number % 2 == 0 else 1 - rising
        arcs.append(arc)
    return np.concatenate(arcs)
