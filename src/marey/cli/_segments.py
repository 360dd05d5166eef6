"""`marey predict --segments`: when what is done, on the terminal and in files."""

import json as json_module
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from marey.errors import UsageError

from ._progress import progress_bar

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

    from marey.predictor import Prediction
    from marey.streaming import Segmenter

_SUBTITLES = (".srt", ".vtt")
SUFFIXES = (".json", ".csv", *_SUBTITLES)


def check_files(files: Sequence[Path], videos: Sequence[str]) -> None:
    """Raise UsageError if a file to write has no known format, or cannot hold all videos."""
    for file in files:
        if file.suffix.lower() not in SUFFIXES:
            raise UsageError(f"--save writes {', '.join(SUFFIXES)} files, got {file.name!r}")
        if file.suffix.lower() in _SUBTITLES and len(videos) > 1:
            raise UsageError(
                f"subtitles are of one video, and {file} would be of {len(videos)}; save .json or "
                ".csv, or name one video"
            )


def segmented(
    segmenter: "Segmenter", videos: Sequence[str], *, quiet: bool
) -> Iterator["Prediction"]:
    """Yield what is done in each film, and when, with a bar of the moments looked at."""
    with progress_bar(quiet=quiet) as bar:
        for video in videos:
            task = bar.add_task(Path(video).name, total=None)
            yield segmenter(video, each=partial(_advance, bar, task))


def _advance(bar: "Progress", task: "TaskID", done: int, of: int) -> None:
    bar.update(task, completed=done, total=of)


def save(files: Sequence[Path], predictions: Sequence["Prediction"], *, top: int) -> None:
    """Write segments in the format of each file's suffix, complete or not at all."""
    if not files:
        return
    from marey.annotation import csv_of, srt_of, vtt_of
    from marey.durable import write_text
    from marey.streaming import NONE

    for file in files:
        suffix = file.suffix.lower()
        if suffix == ".json":
            documents = [prediction.as_json(top=top) for prediction in predictions]
            text = json_module.dumps(documents[0] if len(documents) == 1 else documents, indent=2)
            write_text(file, text + "\n")
            continue
        if suffix == ".csv":
            rows = [(p.video, segment) for p in predictions for segment in p.segments]
            write_text(file, csv_of(rows))
            continue
        shown = [s for p in predictions for s in p.segments if s.label != NONE]
        write_text(file, srt_of(shown) if suffix == ".srt" else vtt_of(shown))


def show(prediction: "Prediction") -> None:
    """Print the segments of a film, a line each."""
    print(prediction.video)
    for segment in prediction.segments:
        start, end = _clock(segment.start), _clock(segment.end)
        print(f"  {start} - {end}  {segment.probability:6.1%}  {segment.label}")


def _clock(seconds: float) -> str:
    minutes, tenths = divmod(round(10 * seconds), 600)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{tenths // 10:02}.{tenths % 10}"
