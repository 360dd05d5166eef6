"""Stretches of videos as a table for spreadsheets."""

import csv
import io
from collections.abc import Iterable

from ._subtitles import Stretch

_HEADER = ("video", "start", "end", "label", "probability")
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")


def csv_of(stretches: Iterable[tuple[str, Stretch]]) -> str:
    """Return stretches, each with the name of its video, as CSV (RFC 4180, plain newlines).

    A text that a spreadsheet would take for a formula gets an apostrophe before it.
    """
    rows = [
        (
            _text(video),
            f"{stretch.start:.3f}",
            f"{stretch.end:.3f}",
            _text(stretch.label),
            f"{stretch.probability:.6f}",
        )
        for video, stretch in stretches
    ]
    return "".join(_line(cells) for cells in (_HEADER, *rows))


def _line(cells: Iterable[str]) -> str:
    text = io.StringIO()
    # The writer quotes the characters that end its lines, and both must be.
    csv.writer(text, lineterminator="\r\n").writerow(cells)
    return text.getvalue().removesuffix("\r\n") + "\n"


def _text(value: str) -> str:
    return f"'{value}" if value.startswith(_FORMULA) else value
