"""The page: everything it shows, laid out by a template, in one file.

No request leaves it: pictures are data: URIs, and its content security policy allows no other.
"""

import base64
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

from jinja2 import Environment, FunctionLoader, StrictUndefined

from ._answers import ClassRow, Pair
from ._bootstrap import Interval
from ._charts import Axis, Cell, Plot
from ._facts import Fact
from ._motion import Strip
from ._pictures import Picture
from ._streams import Streams

_NARROW_SPACE, _MINUS, _DASH = "\u202f", "\u2212", "\u2013"


@dataclass(frozen=True, slots=True, kw_only=True)
class Video:
    """A video as the page names it."""

    path: str
    """Its path in the index, and the seconds of a stretch."""

    label: str
    answer: str
    pictures: tuple[Picture, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Wrong:
    """One of the worst videos."""

    video: Video
    right: bool
    place: int
    """Of the true class among the answers, from 1."""

    answers: tuple[tuple[str, float], ...]
    """Classes and their probabilities, the most probable first, the true one among them."""


@dataclass(frozen=True, slots=True)
class Confusion:
    """Two classes that are taken for each other, and videos that show it."""

    pair: Pair
    examples: tuple[Video, ...]


@dataclass(frozen=True, slots=True)
class Motion:
    """A video and what is seen to move in it."""

    video: Video
    right: bool
    strips: tuple[Strip, ...]


@dataclass(frozen=True, slots=True)
class Curves:
    """A training run's plots."""

    run: str
    plots: tuple[Plot, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """All that the page shows."""

    title: str
    version: str
    classes: Sequence[str]
    streams: Streams
    axis: Axis
    facts: Sequence[Fact]
    warnings: Sequence[str]
    cells: Sequence[Cell]
    rows: Sequence[ClassRow]
    confusions: Sequence[Confusion]
    worst: Sequence[Wrong]
    motions: Sequence[Motion]
    flow: str
    """How flow was found, or why it is not shown; empty if nobody asked."""

    wheel: Picture | None
    """The legend of flow, where flow is shown."""

    has_maps: bool

    curves: Sequence[Curves]
    problems: Sequence[tuple[str, str]]
    """Videos that could not be shown or scored, and why."""

    has_index: bool
    draws: int


def render(page: Page) -> str:
    """Return the page as HTML. What is not ours is escaped; the same page gives the same text."""
    script = _source("page.js")
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode("ascii")
    return (
        _environment()
        .get_template("page.html")
        .render(page=page, script=script, script_hash=f"sha256-{digest}")
    )


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=FunctionLoader(_source),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"percent": _percent, "points": _points, "between": _between}
    return environment


def _source(name: str) -> str:
    return (files("marey.report") / name).read_text(encoding="utf-8")


def _percent(share: float | None, unit: bool = False) -> str:
    """Return a share in per cent, with one digit after the point."""
    if share is None or share != share:
        return _DASH
    return f"{100 * share:.1f}{_NARROW_SPACE + '%' if unit else ''}"


def _points(share: float) -> str:
    """Return a difference of shares in points, with its sign."""
    text = f"{100 * share:+.1f}"
    return "0.0" if text in ("+0.0", "-0.0") else text.replace("-", _MINUS)


def _between(interval: Interval | None, signed: bool = False) -> str:
    """Return an interval in per cent, or points."""
    if interval is None:
        return _DASH
    if signed:
        return f"{_points(interval.low)} to {_points(interval.high)}"
    return f"{_percent(interval.low)}{_DASH}{_percent(interval.high)}"
