"""Flow as bytes, the way two-stream networks have it since TSN. Axes: T pairs, H rows, W columns.

A byte is 255 (v + 20) / 40, v in pixels cut to -20..20. So no motion is 127.5 and becomes 128,
which networks take for zero; a step is 0.157 pixels.
"""

import numpy as np
from jaxtyping import Float32, UInt8

BOUND = 20.0
"""Pixels of the longest flow along x or y that a byte tells from longer ones."""

_LEVELS = 255


def to_bytes(flow: Float32[np.ndarray, "*T H W 2"]) -> UInt8[np.ndarray, "*T H W 2"]:
    """Return flow in pixels as bytes."""
    inside = np.clip(flow, -BOUND, BOUND)
    levels = np.rint((inside + np.float32(BOUND)) * np.float32(_LEVELS / (2 * BOUND)))
    quantised: UInt8[np.ndarray, "*T H W 2"] = levels.astype(np.uint8)
    return quantised


def to_pixels(flow: UInt8[np.ndarray, "*T H W 2"]) -> Float32[np.ndarray, "*T H W 2"]:
    """Return flow in bytes as pixels, at most half a step from what it was within the bound."""
    pixels: Float32[np.ndarray, "*T H W 2"] = flow * np.float32(2 * BOUND / _LEVELS)
    pixels -= np.float32(BOUND)
    return pixels
