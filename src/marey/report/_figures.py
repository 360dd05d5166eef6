"""The charts as PNG files, for slides and papers. Axes: Y classes."""

import io
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import matplotlib as mpl
import numpy as np
from jaxtyping import Int64
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure

from ._charts import PANELS, accuracy_axis, cells_of
from ._runs import Curve, Run
from ._streams import Streams

# The page's light colours.
_INK, _MUTED, _RULE = "#1c1b19", "#66625a", "#dcd7cb"
_RIGHT, _WRONG = "#1d4f7c", "#b23a18"
_LINES = (_MUTED, _RIGHT, _WRONG, "#5b7f2b", "#8a5a9e")

_DPI = 150
_WIDEST = 30.0
"""Inches."""


def accuracy_png(streams: Streams) -> bytes:
    """Return accuracies with their intervals, a row for each stream."""
    rows = streams.rows[::-1]
    axis = accuracy_axis(rows)
    several = len({row.result for row in rows}) > 1

    def draw(figure: Figure) -> None:
        axes = figure.subplots()
        for place, row in enumerate(rows):
            colour = _RIGHT if row.main else _MUTED
            if row.top1:
                ends = (100 * row.top1.low, 100 * row.top1.high)
                axes.plot(ends, (place, place), color=colour, linewidth=2, solid_capstyle="butt")
            share = 100 * row.metrics.top1
            axes.plot(share, place, "o", color=colour, markersize=6)
            axes.annotate(
                f"{share:.1f}", (share, place), (0, 6), textcoords="offset points", ha="center"
            )
        names = [f"{row.result} · {row.head}" if several else row.head for row in rows]
        axes.set_yticks(range(len(rows)), names, color=_INK)
        axes.set_xlim(axis.low, axis.high)
        axes.set_ylim(-0.6, len(rows) - 0.3)
        axes.set_xlabel("videos recognised, %, with 95 % bootstrap interval")
        axes.grid(axis="x", color=_RULE, linewidth=0.6)
        axes.tick_params(length=0)

    return _png(draw, width=7.0, height=1 + 0.42 * len(rows))


def confusion_png(confusion: Int64[np.ndarray, "Y Y"], classes: Sequence[str]) -> bytes:
    """Return the confusion matrix: right answers blue, wrong ones red, by share of the class."""
    count = len(classes)
    picture = np.ones((count, count, 3))
    for cell in cells_of(confusion):
        colour = np.array(to_rgb(_RIGHT if cell.row == cell.column else _WRONG))
        picture[cell.row, cell.column] = 1 - cell.strength * (1 - colour)
    side = min(max(4.0, 2.2 + (0.3 if count <= 40 else 0.115) * count), _WIDEST)
    size = min(8.0, 50 * (side - 2) / count)

    def draw(figure: Figure) -> None:
        axes = figure.subplots()
        axes.imshow(picture, interpolation="nearest")
        for cell in filter(lambda cell: cell.text, cells_of(confusion)):
            axes.text(
                cell.column,
                cell.row,
                cell.text,
                ha="center",
                va="center",
                fontsize=7,
                color="white" if cell.white_on_light else "black",
            )
        axes.set_xticks(range(count), classes, rotation=90, fontsize=size)
        axes.set_yticks(range(count), classes, fontsize=size)
        axes.set_xticks(np.arange(count + 1) - 0.5, minor=True)
        axes.set_yticks(np.arange(count + 1) - 0.5, minor=True)
        axes.grid(which="minor", color=_RULE, linewidth=0.4)
        axes.tick_params(which="both", length=0)
        axes.set_xlabel("answer")
        axes.set_ylabel("true class")

    return _png(draw, width=side, height=side)


def curves_png(runs: Sequence[Run]) -> bytes:
    """Return the training curves, a row for each run, their axes shared."""

    def draw(figure: Figure) -> None:
        grid = figure.subplots(len(runs), len(PANELS), squeeze=False, sharex=True, sharey="col")
        for row, run in zip(grid, runs, strict=True):
            for axes, (title, field) in zip(row, PANELS.items(), strict=True):
                curves: Sequence[Curve] = getattr(run, field)
                colours = _LINES if len(curves) > 1 else (_RIGHT,)
                for curve, colour in zip(curves, colours, strict=False):
                    marker = "" if len(curve.points) > 60 else "o"
                    steps, values = zip(*curve.points, strict=True)
                    axes.plot(
                        steps,
                        values,
                        marker=marker,
                        markersize=2.5,
                        linewidth=1.2,
                        color=colour,
                        label=curve.name,
                    )
                axes.set_title(title, loc="left", fontsize=9)
                axes.grid(color=_RULE, linewidth=0.5)
                axes.set_ylim(bottom=0)
                if len(curves) > 1:
                    axes.legend(fontsize=7, frameon=False)
            row[0].set_ylabel(run.name, color=_INK)
        for axes in grid[-1]:
            axes.set_xlabel("step")

    return _png(draw, width=10.0, height=2.8 * len(runs))


def _png(draw: Callable[[Figure], None], *, width: float, height: float) -> bytes:
    with _style():
        figure = Figure(figsize=(width, height), dpi=_DPI, layout="constrained")
        draw(figure)
        file = io.BytesIO()
        FigureCanvasAgg(figure).print_png(file, metadata={"Software": None})
    return file.getvalue()


@contextmanager
def _style() -> Iterator[None]:
    """Set the look, take names as they are, and bear with letters that the font lacks."""
    with (
        mpl.rc_context(
            {
                "axes.edgecolor": _RULE,
                "axes.labelcolor": _MUTED,
                "axes.spines.right": False,
                "axes.spines.top": False,
                "figure.constrained_layout.h_pad": 0.1,
                "figure.constrained_layout.w_pad": 0.1,
                "font.size": 9,
                "text.color": _INK,
                "text.parse_math": False,
                "xtick.color": _MUTED,
                "ytick.color": _MUTED,
            }
        ),
        warnings.catch_warnings(),
    ):
        warnings.filterwarnings("ignore", message="Glyph .* missing")
        yield
