"""`marey predict --annotate`: videos with what is done in them."""

import sys
from bisect import bisect_right
from collections.abc import Callable, Sequence
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING

from marey.errors import MareyError, UsageError

from ._progress import progress_bar

if TYPE_CHECKING:
    from marey.annotation import Overlay, Says
    from marey.predictor import Prediction

_SUFFIXES = (".mp4", ".mkv", ".mov")


def annotated_files(out: Path, videos: Sequence[str]) -> list[Path]:
    """Return where each annotated video goes: a name for a single video, else in a folder.

    Raises:
        UsageError: The name is none of a video, is one for many, or is that of a video given.
    """
    from marey.annotation import checked_target

    named = out.suffix != "" and not out.is_dir()
    if named and len(videos) > 1 and out.suffix.lower() in _SUFFIXES:
        raise UsageError(
            f"--annotate {out} names one file, and there are {len(videos)} videos; name a folder"
        )
    if named and len(videos) == 1:
        files = [out]
    else:
        by_video = _in_folder(out, videos)
        files = [by_video[video] for video in videos]
    sources = {Path(video).resolve() for video in videos}
    for video, file in zip(videos, files, strict=True):
        checked_target(video, file)
        if file.resolve() in sources:
            raise UsageError(f"{file} is one of the videos; name another folder for --annotate")
    return files


def write_annotated(
    prediction: "Prediction",
    file: Path,
    *,
    heat: "Callable[[float, float], Overlay] | None",
    by_segments: bool,
    alone: bool,
    quiet: bool,
) -> bool:
    """Write a video with what was found in it, and return whether that went well.

    Args:
        prediction: What was found.
        file: Where to.
        heat: Makes what is laid over the frames of a video, of so many frames a second and so
            many seconds, if anything is.
        by_segments: Show what is done at each moment, not in the whole video.
        alone: This is the only video: what goes wrong is raised.
        quiet: Show no progress.
    """
    from marey.annotation import annotate

    answers = _by_segments(prediction) if by_segments else _of_the_whole(prediction)
    with progress_bar(quiet=quiet or not alone) as bar:
        task = bar.add_task("annotating", total=prediction.frames)

        def says(seconds: float) -> Sequence[tuple[str, float]]:
            bar.advance(task)
            return answers(seconds)

        overlay = None
        if heat is not None and prediction.seconds > 0:
            overlay = heat(prediction.frames / prediction.seconds, prediction.seconds)
        try:
            annotate(prediction.video, file, says, overlay=overlay)
        except MareyError as error:
            if alone:
                raise
            print(f"marey: {error}", file=sys.stderr)
            return False
    return True


def motion_of(model: str, *, device: str, window: float) -> "Callable[[float, float], Overlay]":
    """Return what makes the motion that an OFF network sees in a video, to be laid over it.

    Raises:
        UsageError: There is no such network, or it sees no motion in frames.
    """
    from marey.backends import EXPORTED
    from marey.models import choose_device, for_inference, load_named
    from marey.streaming import MotionHeat, require_motion

    if Path(model).suffix in EXPORTED:
        raise UsageError(
            f"{model} is an exported network, which shows nothing but its answers; for --overlay "
            "take the checkpoint that it came from"
        )
    network = require_motion(for_inference(load_named(model)).to(choose_device(device)))
    return lambda fps, seconds: MotionHeat(network, fps=fps, window=min(window, seconds))


def _in_folder(folder: Path, videos: Sequence[str]) -> dict[str, Path]:
    """Return a file for each video; videos of one name do not share one."""
    files: dict[str, Path] = {}
    taken: set[Path] = set()
    for video in dict.fromkeys(videos):
        stem = Path(video).stem or "video"
        names = (stem if number == 1 else f"{stem}-{number}" for number in count(1))
        file = next(f for name in names if (f := folder / f"{name}.mp4") not in taken)
        files[video] = file
        taken.add(file)
    return files


def _of_the_whole(prediction: "Prediction") -> "Says":
    answers = list(zip(prediction.labels, prediction.probabilities, strict=True))
    return lambda seconds: answers


def _by_segments(prediction: "Prediction") -> "Says":
    """Return what tells the segment of each moment."""
    from marey.streaming import NONE

    segments = prediction.segments
    starts = [segment.start for segment in segments]
    begin: float | None = None

    def says(seconds: float) -> Sequence[tuple[str, float]]:
        # Segments are counted from the first frame, wherever the file's stamps begin.
        nonlocal begin
        begin = seconds if begin is None else begin
        segment = segments[max(bisect_right(starts, seconds - begin + 1e-3) - 1, 0)]
        return [] if segment.label == NONE else [(segment.label, segment.probability)]

    return says
