"""Where the marks of the page's charts go, in per cent of the plot from the lower left."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Int64

from ._runs import Curve, Run
from ._streams import Stream

_TEXT_IN_CELLS = 40
"""With more classes than this there is no room for numbers in the confusion matrix."""

_FEW = 60
"""Points of a curve that are drawn as dots, too."""


@dataclass(frozen=True, slots=True)
class Tick:
    """A value on an axis."""

    at: float
    text: str


@dataclass(frozen=True, slots=True)
class Axis:
    """A stretch of numbers with round ones marked."""

    low: float
    high: float
    step: float

    def at(self, value: float) -> float:
        """Return where a value lies, in per cent."""
        return round(100 * (value - self.low) / (self.high - self.low), 3)

    @property
    def ticks(self) -> list[Tick]:
        """The round numbers."""
        count = round((self.high - self.low) / self.step)
        values = [self.low + number * self.step for number in range(count + 1)]
        return [Tick(self.at(value), _short(value, self.step)) for value in values]


def axis_over(low: float, high: float, *, at_most: int = 5) -> Axis:
    """Return an axis of round numbers, at most so many steps, that holds `low` and `high`."""
    span = max(high - low, 1e-9)
    size: float = 10.0 ** math.floor(math.log10(span / at_most))
    for factor in (1, 2, 5, 10, 20, 50):
        step = size * factor
        first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
        if last - first <= at_most:
            break
    return Axis(first * step, max(last, first + 1) * step, step)


def accuracy_axis(streams: Sequence[Stream]) -> Axis:
    """Return an axis, in per cent, for the accuracies of streams and their intervals."""
    values = [100 * stream.metrics.top1 for stream in streams]
    for stream in streams:
        if stream.top1:
            values += [100 * stream.top1.low, 100 * stream.top1.high]
    return axis_over(max(min(values), 0.0), min(max(values), 100.0))


@dataclass(frozen=True, slots=True)
class Line:
    """A curve as SVG writes it."""

    name: str
    points: str
    dots: str
    """A path with a dot at each point; empty where there are many."""


@dataclass(frozen=True, slots=True)
class Plot:
    """Some curves of a run over one pair of axes."""

    title: str
    x: Axis
    y: Axis
    lines: tuple[Line, ...]


def plots_of(run: Run, runs: Sequence[Run]) -> list[Plot]:
    """Return a run's plots; all runs share the axes, so that they can be compared."""
    x = axis_over(0.0, float(max(one.steps for one in runs)), at_most=4)
    plots = []
    for title, field in PANELS.items():
        curves = [curve for one in runs for curve in getattr(one, field)]
        values = [value for curve in curves for _, value in curve.points]
        if values:
            y = axis_over(min(0.0, *values), max(values))
            mine: Sequence[Curve] = getattr(run, field)
            plots.append(Plot(title, x, y, tuple(_line(curve, x, y) for curve in mine)))
    return plots


PANELS = {
    "Loss": "loss",
    "Held-out videos recognised, %": "accuracy",
    "Learning rate": "learning_rate",
}


def _line(curve: Curve, x: Axis, y: Axis) -> Line:
    points = [f"{x.at(step):g},{round(100 - y.at(value), 3):g}" for step, value in curve.points]
    few = len(points) <= _FEW
    return Line(curve.name, " ".join(points), "".join(f"M{p}h0" for p in points) if few else "")


_TURNS = {True: (0.75, 0.59), False: (0.85, 0.65)}
"""Shade at which black and white are equally easy to read on right and wrong answers, on a light
page and on a dark one: where the luminance is 0.18, either has a contrast of 4.6."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """A count in the confusion matrix that is not zero."""

    row: int
    column: int
    count: int
    videos: int
    strength: float
    """How dark, from 0 to 1."""

    text: str
    """The count, where there is room for it."""

    white_on_light: bool
    """Whether white is easier to read on it than black, where the page is light."""

    black_on_dark: bool
    """Whether black is easier to read on it than white, where the page is dark."""


def cells_of(confusion: Int64[np.ndarray, "Y Y"]) -> list[Cell]:
    """Return the cells that hold something, with a shade by their share of the row."""
    room = len(confusion) <= _TEXT_IN_CELLS
    cells = []
    for row, column in np.argwhere(confusion).tolist():
        count, videos = int(confusion[row, column]), int(confusion[row].sum())
        shade = round(shade_of(count / videos), 2)
        light, dark = _TURNS[row == column]
        cells.append(
            Cell(
                row=row,
                column=column,
                count=count,
                videos=videos,
                strength=shade,
                text=str(count) if room else "",
                white_on_light=shade > light,
                black_on_dark=shade > dark,
            )
        )
    return cells


def shade_of(share: float) -> float:
    """Return how dark a share is drawn: single mistakes must be seen among many videos."""
    return float(0.14 + 0.86 * share**0.6) if share > 0 else 0.0


def _short(value: float, step: float) -> str:
    if value == 0:
        return "0"
    if abs(value) >= 1e5 or step < 1e-3:
        return f"{value:.0e}".replace("e-0", "e-").replace("e+0", "e")
    digits = max(0, -math.floor(math.log10(step) + 1e-9))
    return f"{value:.{digits}f}"
