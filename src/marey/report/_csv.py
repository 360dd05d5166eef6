"""Tables for spreadsheets."""

import csv
import io
from collections.abc import Iterable, Sequence

_FORMULA = ("=", "+", "-", "@", "\t", "\r")

Cell = str | int | float | None


def csv_text(header: Sequence[str], rows: Iterable[Sequence[Cell]]) -> str:
    """Return a table as CSV (RFC 4180, but for plain newlines).

    A text that a spreadsheet would take for a formula gets an apostrophe before it.
    """
    return "".join(_line([_cell(cell) for cell in cells]) for cells in (header, *rows))


def _line(cells: Sequence[str]) -> str:
    text = io.StringIO()
    # The writer quotes the characters that end its lines, and both must be.
    csv.writer(text, lineterminator="\r\n").writerow(cells)
    return text.getvalue().removesuffix("\r\n") + "\n"


def _cell(value: Cell) -> str:
    if value is None:
        return ""
    if isinstance(value, str):
        return f"'{value}" if value.startswith(_FORMULA) else value
    return str(value) if isinstance(value, int) else f"{value:.6f}"
