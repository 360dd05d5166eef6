"""The caption of a frame: what is done, and how sure that is.

Axes: H rows, W columns.
"""

from collections.abc import Sequence
from fractions import Fraction
from functools import lru_cache
from pathlib import Path

import matplotlib
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from ._planes import Canvas, Sheet
from ._words import one_line

# RGB and opacity. White on this ground has a contrast of 6:1 over a white frame, and more over
# any other.
_GROUND = (14, 16, 20, 176)
_TEXT = (255, 255, 255, 255)
_LESSER_TEXT = (214, 218, 224, 255)
_BAR = (255, 183, 51, 255)
_TRACK = (92, 96, 104, 220)

_TEXT_SHARE = 1 / 20
"""Height of the text in the shorter side of the frame."""

_SMALLEST_TEXT = 12.0
_WIDTH_IN_TEXTS = 17.0
_LESSER = 0.78
"""Height of the text of lesser labels in that of the first."""

_MOST_OF_FRAME = 0.45
"""Rows that a caption may take; lesser labels are left out for it."""

Answer = tuple[tuple[str, str, float], ...]
"""Labels with their probability in words and in number, the most probable first."""


class Captions:
    """Draws captions for the frames of one video, each once while it stays the same.

    Args:
        canvas: The frames.
        aspect: How many times as wide as high a stored pixel is shown.
    """

    def __init__(self, canvas: Canvas, aspect: Fraction) -> None:
        self._canvas = canvas
        self._stretch = float(1 / aspect if canvas.turn[0] else aspect)
        self._answer: Answer | None = None
        self._sheet: Sheet | None = None

    def sheet(self, answers: Sequence[tuple[str, float]]) -> Sheet | None:
        """Return the caption for labels and their probabilities; none where there is no label."""
        shown = tuple((one_line(label), f"{share:.0%}", share) for label, share in answers[:3])
        # The bar is drawn anew only when the words change, which do at each hundredth.
        if self._answer is None or _words(shown) != _words(self._answer):
            self._answer = shown
            self._sheet = self._drawn(shown) if shown else None
        return self._sheet

    def _drawn(self, answer: Answer) -> Sheet:
        rows, columns = self._canvas.upright
        shown_columns = columns * self._stretch
        size = max(min(rows, shown_columns) * _TEXT_SHARE, _SMALLEST_TEXT)
        size = min(size, rows / 4, shown_columns / 8)
        while len(answer) > 1 and _height(size, len(answer)) > _MOST_OF_FRAME * rows:
            answer = answer[:-1]
        margin = size / 2
        shown_width = min(shown_columns - 2 * margin, _WIDTH_IN_TEXTS * size)
        height = _even(_height(size, len(answer)), rows)
        width = _even(shown_width / self._stretch, columns)
        picture = _picture(answer, size, max(round(width * self._stretch), 1), height)
        if picture.width != width:
            picture = picture.resize((width, height))
        left = _even(margin / self._stretch, columns - width)
        top = max(rows - height - _even(margin, rows), 0)
        return Sheet(np.asarray(picture), top=top // 2 * 2, left=left, canvas=self._canvas)


def _words(answer: Answer) -> list[tuple[str, str]]:
    return [(label, share) for label, share, _ in answer]


def _height(size: float, labels: int) -> float:
    return size * (2.3 + 1.15 * _LESSER * (labels - 1))


def _picture(answer: Answer, size: float, width: int, height: int) -> Image.Image:
    """Return the caption in RGB and opacity."""
    picture = Image.new("RGBA", (width, height), _GROUND)
    draw = ImageDraw.Draw(picture)
    inset = 0.5 * size
    inner = max(width - 2 * inset, 1)
    baseline = 1.28 * size
    for place, (label, percent, share) in enumerate(answer):
        font = _font("DejaVuSans-Bold" if place == 0 else "DejaVuSans", _text_size(size, place))
        colour = _TEXT if place == 0 else _LESSER_TEXT
        room = inner - font.getlength(percent) - 0.6 * size
        draw.text((inset, baseline), _shortened(label, font, room), colour, font, "ls")
        draw.text((width - inset, baseline), percent, colour, font, "rs")
        if place == 0:
            top, bottom = round(1.6 * size), round(1.85 * size)
            end = inset + inner * min(max(share, 0.0), 1.0)
            draw.rectangle((round(inset), top, round(inset + inner) - 1, bottom), _TRACK)
            if round(end) > round(inset):
                draw.rectangle((round(inset), top, round(end) - 1, bottom), _BAR)
            baseline += 0.55 * size
        baseline += 1.15 * _LESSER * size
    return picture


def _text_size(size: float, place: int) -> int:
    return max(round(size if place == 0 else _LESSER * size), 1)


def _shortened(label: str, font: ImageFont.FreeTypeFont, room: float) -> str:
    """Return a label that fits, its end left out for dots where it must."""
    if font.getlength(label) <= room:
        return label
    low, high = 0, len(label)
    while low < high:
        middle = (low + high + 1) // 2
        if font.getlength(label[:middle].rstrip() + "…") <= room:
            low = middle
        else:
            high = middle - 1
    return label[:low].rstrip() + "…"


@lru_cache(maxsize=8)
def _font(name: str, size: int) -> ImageFont.FreeTypeFont:
    path = Path(matplotlib.get_data_path()) / "fonts" / "ttf" / f"{name}.ttf"
    return ImageFont.truetype(str(path), size, layout_engine=ImageFont.Layout.BASIC)


def _even(length: float, most: int) -> int:
    """Return an even number of pixels near a length, at most `most`; 1 where there is but one."""
    return min(max(round(length / 2) * 2, 2), most)
