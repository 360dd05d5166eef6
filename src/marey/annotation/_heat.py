"""Strength at each place of a frame, drawn over it as heat.

Axes: h rows and w columns of a map, H and W those of the frame as it is stored.
"""

import numpy as np
from jaxtyping import Float, UInt8, UInt16
from matplotlib import colormaps
from PIL import Image

from ._planes import Canvas, Planes

_COVER = 0.75
"""How much of a frame is covered where the heat is greatest."""


class Heat:
    """Draws maps over the frames of one video: the stronger, the brighter and the less is seen.

    So a still place stays as it is, unlike in `marey.drawing`, where there is room for the
    frame beside its map.
    """

    def __init__(self, canvas: Canvas) -> None:
        self._canvas = canvas
        scale = colormaps["inferno"](np.arange(256))[None, :, :3]
        levels = canvas.colours((255 * scale).round().astype(np.uint8))[0]
        opacity = (_COVER * np.arange(256) * 256 / 255).round().astype(np.uint16)
        self._kept = 256 - opacity
        self._added = [levels[:, channel] * opacity + np.uint16(128) for channel in range(3)]

    def lay(self, planes: Planes, strength: Float[np.ndarray, "h w"]) -> None:
        """Draw a map over a frame.

        Args:
            planes: The frame's.
            strength: From 0 to 1, of the upright frame, with any number of rows and columns.
        """
        heat = 255 * np.nan_to_num(np.asarray(strength, np.float32)).clip(0, 1)
        small = np.ascontiguousarray(self._canvas.stored(heat.round().astype(np.uint8)))
        # Two rows of luma share one of heat, which is smooth: that halves the work.
        places = _resized(small, (self._canvas.height + 1) // 2, self._canvas.width)
        kept = self._kept[places]
        for number, (plane, levels) in enumerate(zip(planes, self._added, strict=True)):
            added = levels[places]
            if number and self._canvas.halved:
                _blend(plane, kept[:, ::2], added[:, ::2])
                continue
            for first in (0, 1):
                _blend(plane[first::2], kept, added)


def _blend(
    part: UInt8[np.ndarray, "h w"],
    kept: UInt16[np.ndarray, "_ w"],
    added: UInt16[np.ndarray, "_ w"],
) -> None:
    rows = len(part)
    part[:] = (part * kept[:rows] + added[:rows]) >> 8


def _resized(heat: UInt8[np.ndarray, "h w"], rows: int, columns: int) -> UInt8[np.ndarray, "_ _"]:
    resized = Image.fromarray(heat).resize((columns, rows), Image.Resampling.BICUBIC)
    answer: UInt8[np.ndarray, "_ _"] = np.asarray(resized)
    return answer
