"""A report: a page to read, and its tables and charts as files of their own."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
from jaxtyping import Int64

from marey.durable import complete_file
from marey.errors import UsageError
from marey.models import Network

from ._answers import Answers, answers_of, class_rows, confusion_of, worst_videos
from ._charts import accuracy_axis, cells_of, plots_of
from ._exhibits import exhibits_of, path_of
from ._facts import facts_of, unscored, warnings_of
from ._figures import accuracy_png, confusion_png, curves_png
from ._files import classes_csv, confusion_csv, streams_csv, worst_csv
from ._flow import FlowAt, wheel
from ._footage import Footage
from ._page import Curves, Page, render
from ._results import Result
from ._runs import Run
from ._streams import Stream, Streams, streams_of

PAGE = "report.html"
_FILES = (
    "streams.csv",
    "confusion.csv",
    "classes.csv",
    "worst.csv",
    "accuracy.png",
    "confusion.png",
    "curves.png",
    PAGE,
)
"""In the order they are written: where the page is, all else is."""


@dataclass(frozen=True, slots=True)
class Report:
    """What a report consists of."""

    files: Mapping[str, bytes]
    summary: Mapping[str, Any]
    """The figures, as plain values."""

    problems: Mapping[str, str]
    """Videos that could not be used for it, and why."""


def build_report(
    results: Sequence[Result],
    footage: Footage | None,
    *,
    title: str,
    worst: int = 20,
    draws: int = 1000,
    seed: int = 0,
    networks: Mapping[str, Network] = MappingProxyType({}),
    flow: FlowAt | None = None,
    flow_words: str = "",
    runs: Sequence[Run] = (),
    each: Callable[[int, int], None] = lambda done, total: None,
) -> Report:
    """Return a report on results; the same inputs give the same bytes.

    Args:
        results: What `load_results` gave; the last is the main one.
        footage: The videos of the main result, for pictures.
        title: Heading of the page.
        worst: How many of the worst videos to show.
        draws: Resamples for the intervals.
        seed: Of the resamples.
        networks: OFF networks by name, to draw the maps of.
        flow: Gives the flow of videos.
        flow_words: How flow was found, or why it is not shown.
        runs: Training runs, to draw the curves of.
        each: Is told how many videos have been looked at, and of how many.
    """
    main = results[-1]
    groups = footage.groups if footage else {}
    streams = streams_of(results, groups, times=draws, seed=seed)
    answers = answers_of(main.logits, main.scores.labels)
    confusion = confusion_of(answers)
    exhibits = exhibits_of(
        main, answers, footage, worst=worst, networks=networks, flow=flow, each=each
    )
    problems = dict(footage.problems) if footage else {}
    page = Page(
        title=title,
        version=version("marey"),
        classes=main.scores.classes,
        streams=streams,
        axis=accuracy_axis(streams.rows),
        facts=facts_of(main, streams, footage, times=draws, seed=seed),
        warnings=warnings_of(results, streams, footage),
        cells=cells_of(confusion),
        rows=class_rows(confusion),
        confusions=exhibits.confusions,
        worst=exhibits.worst,
        motions=exhibits.motions,
        flow=flow_words,
        wheel=wheel() if flow else None,
        has_maps=bool(networks),
        curves=[Curves(run.name, tuple(plots_of(run, runs))) for run in runs],
        problems=[*problems.items(), *_left_out(results)],
        has_index=footage is not None,
        draws=draws,
    )
    files = _tables(main, streams, answers, confusion, footage, worst)
    files |= {"accuracy.png": accuracy_png(streams)}
    files |= {"confusion.png": confusion_png(confusion, main.scores.classes)}
    files |= {"curves.png": curves_png(runs)} if runs else {}
    files |= {PAGE: _encoded(render(page))}
    return Report(files=files, summary=_summary(streams, page), problems=problems)


def write_report(report: Report, folder: Path) -> None:
    """Write a report's files, the page last; each appears complete or not at all.

    Files of an earlier report that this one has not are removed.

    Raises:
        UsageError: There is a file where the folder should be.
    """
    if folder.exists() and not folder.is_dir():
        raise UsageError(f"{folder} is a file; --out takes a folder")
    for name in _FILES:
        if name not in report.files:
            (folder / name).unlink(missing_ok=True)
            continue
        with complete_file(folder / name) as temporary:
            temporary.write_bytes(report.files[name])


def _left_out(results: Sequence[Result]) -> list[tuple[str, str]]:
    """Return the videos that have no scores though they should, and in which file."""
    return [(video, f"not scored in {one.file}") for one in results for video in unscored(one)]


def _tables(
    main: Result,
    streams: Streams,
    answers: Answers,
    confusion: Int64[np.ndarray, "Y Y"],
    footage: Footage | None,
    worst: int,
) -> dict[str, bytes]:
    classes = main.scores.classes
    rows = worst_videos(answers, at_most=worst)
    paths = [path_of(main, footage, row) for row in rows]
    texts = {
        "streams.csv": streams_csv(streams),
        "confusion.csv": confusion_csv(confusion, classes),
        "classes.csv": classes_csv(class_rows(confusion), classes),
        "worst.csv": worst_csv(rows, paths, answers, classes),
    }
    return {name: _encoded(text) for name, text in texts.items()}


def _summary(streams: Streams, page: Page) -> dict[str, Any]:
    return {
        "title": page.title,
        "result": _stream_summary(streams.main),
        "streams": [_stream_summary(stream) for stream in streams.rows],
        "bootstrap": {
            "draws": page.draws,
            "of": "recordings" if streams.grouped else "videos",
            "groups": streams.groups,
        },
        "warnings": list(page.warnings),
        "unusable": [{"video": path, "reason": reason} for path, reason in page.problems],
    }


def _stream_summary(stream: Stream) -> dict[str, Any]:
    def ends(interval: Any) -> list[float] | None:
        return [interval.low, interval.high] if interval else None

    return {
        "scores": stream.result,
        "head": stream.head,
        **asdict(stream.metrics),
        "top1_interval": ends(stream.top1),
        "mean_class_interval": ends(stream.mean_class),
        "result_ahead_by": stream.ahead,
        "result_ahead_by_interval": ends(stream.ahead_interval),
    }


def _encoded(text: str) -> bytes:
    """Return UTF-8; a name that is not text all through keeps a mark where it is not."""
    return text.encode("utf-8", errors="backslashreplace")
