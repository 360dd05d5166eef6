"""Strength at each place of a frame, drawn over it as heat.

Axes: h rows and w columns of a map, H and W those of the frame as it is stored.
"""

import numpy as np
from jaxtyping import Float, UInt8
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
        places = _resized(small, *planes[0].shape)
        kept = self._kept.take(places)
        halves = slice(None, None, 2 if self._canvas.halved else 1)
        for number, (plane, added) in enumerate(zip(planes, self._added, strict=True)):
            if number == 1:
                places, kept = places[halves, halves], kept[halves, halves]
            plane[:] = (plane * kept + added.take(places)) >> 8


def _resized(heat: UInt8[np.ndarray, "h w"], rows: int, columns: int) -> UInt8[np.ndarray, "_ _"]:
    resized = Image.fromarray(heat).resize((columns, rows), Image.Resampling.BICUBIC)
    answer: UInt8[np.ndarray, "_ _"] = np.asarray(resized)
    return answer
