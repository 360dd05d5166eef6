"""What is done with one video, in a worker's process."""

import io
import os
from bisect import bisect_right
from collections.abc import Callable, Sequence
from contextlib import closing, suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from marey.annotation import annotate
from marey.errors import MareyError, VideoError
from marey.predictor import Prediction, Predictor
from marey.streaming import NONE, MotionHeat, Segmenter, Stream, require_motion
from marey.video import VideoFile

from ._limits import Limits
from ._worker import Tell

_WINDOW = 1.5  # Seconds looked at for a moment, as `marey predict --segments` does.
_MOST_STREAMS = 64
_MOST_FPS = 240.0
# What browsers play, by the decoder's names.
_CONTAINERS = frozenset({"mov", "mp4", "matroska", "webm"})
_CODECS = {"h264": ("yuv420p", "yuvj420p"), "vp8": ("yuv420p",), "vp9": ("yuv420p",)}

ANNOTATED, MAPS, PREVIEW = "annotated.mp4", "maps.mp4", "preview.mp4"
WHY = ".why"
"""Ending of the file that says, in place of a film, why there is none."""


def ready_predictor(model: str, threads: int) -> Predictor:
    """Return what answers about whole videos, once this process is set to so many threads."""
    _prepare(threads)
    return Predictor(model)


def ready_segmenter(model: str, threads: int) -> Segmenter:
    """Return what finds when what is done, for jobs."""
    _prepare(threads)
    return Segmenter(model, window=_WINDOW)


def ready_stream(model: str, threads: int) -> Stream:
    """Return what answers frame by frame."""
    _prepare(threads)
    return Stream(model, window=_WINDOW)


def answer(
    predictor: Predictor, tell: Tell, file: str, name: str, limits: Limits
) -> dict[str, Any]:
    """Return what `marey predict --json` prints of a video.

    Raises:
        VideoError: It cannot be used, or is beyond the limits.
    """
    _check(Path(file), name, limits)
    return _named(predictor(file), file, name).as_json(top=5)


def find(
    segmenter: Segmenter,
    tell: Tell,
    file: str,
    name: str,
    limits: Limits,
    annotated: bool,
    maps: bool,
) -> dict[str, Any]:
    """Return when what is done in a video, with films of it beside its file where asked for.

    Raises:
        VideoError: The video cannot be used, or is beyond the limits.
    """
    path = Path(file)
    plays = _check(path, name, limits)
    films = [_Film(path.with_name(ANNOTATED), True, False)] if annotated else []
    films += [_Film(path.with_name(MAPS), True, True)] if maps else []
    films += [] if plays else [_Film(path.with_name(PREVIEW), False, False)]
    stages = 1 + len(films)
    found = segmenter(path, each=lambda done, of: tell(done / of / stages))
    prediction = _named(found, file, name)
    for number, film in enumerate(films, 1):
        film.make(found, name, segmenter.model, partial(_part_of, tell, number, stages))
    return prediction.as_json(top=5)


def see(stream: Stream, tell: Tell, picture: bytes, seconds: float) -> dict[str, Any] | None:
    """Return what is done now, if the frame was looked at.

    Raises:
        VideoError: The bytes are no picture of a format that is taken.
    """
    import numpy as np
    from PIL import Image

    if not stream.wants(seconds):
        stream.skip(seconds)
        return None
    try:
        with Image.open(io.BytesIO(picture), formats=("JPEG", "PNG")) as opened:
            if opened.width * opened.height > 1920 * 1088:
                raise VideoError("a frame of a stream has at most 1920 x 1088 pixels")
            frame = np.asarray(opened.convert("RGB"))
    except (OSError, SyntaxError, Image.DecompressionBombError) as error:
        raise VideoError("the message is no JPEG picture") from error
    said = stream.push(frame, seconds)
    if said is None:
        return None
    return {
        "time": round(seconds, 3),
        "labels": list(said.labels[:5]),
        "probabilities": [round(share, 6) for share in said.probabilities[:5]],
    }


def forget(stream: Stream, tell: Tell) -> tuple[str, ...]:
    """Begin a new stream, and return the classes."""
    stream.forget()
    return stream.classes


def _part_of(tell: Tell, stage: int, stages: int, share: float) -> None:
    tell((stage + share) / stages)


class _Film:
    """One film that a job makes of its video."""

    def __init__(self, file: Path, captions: bool, motion: bool) -> None:
        self._file, self._captions, self._motion = file, captions, motion

    def make(self, found: Prediction, name: str, model: str, tell: Callable[[float], None]) -> None:
        """Write it, or why it cannot be made, such as a container that cannot hold its sound."""
        says = _by_segments(found) if self._captions else lambda seconds: []
        frames = max(found.frames, 1)
        count = 0

        def counted(seconds: float) -> Sequence[tuple[str, float]]:
            nonlocal count
            count += 1
            if count % 8 == 0:
                tell(min(count / frames, 1.0))
            return says(seconds)

        why = self._file.with_suffix(WHY)
        why.unlink(missing_ok=True)
        try:
            overlay = _motion(model, found) if self._motion else None
            annotate(found.video, self._file, counted, overlay=overlay)
        except MareyError as error:
            why.write_text(_without(Path(found.video), name, str(error)), encoding="utf-8")
        except OSError as error:
            with suppress(OSError):  # The disk may have no room for the reason, either.
                why.write_text(error.strerror or "it cannot be written", encoding="utf-8")


def _motion(model: str, found: Prediction) -> MotionHeat:
    from marey.models import for_inference, load_named

    network = require_motion(for_inference(load_named(model)))
    return MotionHeat(network, fps=found.frames / found.seconds, window=min(_WINDOW, found.seconds))


def _by_segments(found: Prediction) -> Callable[[float], Sequence[tuple[str, float]]]:
    """Return what tells the segment of each moment, counted from the first."""
    starts = [segment.start for segment in found.segments]
    begin: float | None = None

    def says(seconds: float) -> Sequence[tuple[str, float]]:
        nonlocal begin
        begin = seconds if begin is None else begin
        segment = found.segments[max(bisect_right(starts, seconds - begin + 1e-3) - 1, 0)]
        return [] if segment.label == NONE else [(segment.label, segment.probability)]

    return says


def _check(path: Path, name: str, limits: Limits) -> bool:
    """Return whether browsers play a video.

    Raises:
        VideoError: It is beyond the limits, or no video.
    """
    try:
        file = VideoFile(path)
    except VideoError as error:
        raise VideoError(_without(path, name, str(error))) from None
    with closing(file):
        container, stream = file.container, file.stream
        context = stream.codec_context
        pixels = context.width * context.height
        if pixels > limits.pixels:
            raise VideoError(
                f"frames of {context.width} x {context.height} pixels; at most {limits.pixels:,} "
                "pixels are taken"
            )
        if len(container.streams) > _MOST_STREAMS:
            raise VideoError(f"{len(container.streams)} streams; at most {_MOST_STREAMS} are taken")
        seconds = (container.duration or 0) / 1e6
        if seconds > limits.seconds:
            raise VideoError(
                f"a video of {seconds:.0f} seconds; at most {limits.seconds:.0f} are taken"
            )
        rate = float(stream.average_rate or 0)
        if rate > _MOST_FPS or stream.frames > limits.seconds * _MOST_FPS:
            raise VideoError(f"more frames a second than {_MOST_FPS:.0f}, which is the most taken")
        kinds = set(container.format.name.split(","))
        formats = _CODECS.get(context.name, ())
        return bool(kinds & _CONTAINERS) and str(context.pix_fmt) in formats


def _named(prediction: Prediction, file: str, name: str) -> Prediction:
    """Return a prediction that knows the upload by its own name.

    Raises:
        VideoError: The video cannot be used.
    """
    reason = _without(Path(file), name, prediction.reason)
    if prediction.status == "unusable":
        raise VideoError(reason)
    path = Path(prediction.model)
    model = path.stem if path.suffix == ".safetensors" else path.name
    return replace(prediction, video=name, reason=reason, model=model)


def _without(path: Path, name: str, text: str) -> str:
    return text.replace(str(path), name)


def _prepare(threads: int) -> None:
    import torch

    from marey.allocator import keep_freed_memory

    os.environ.setdefault("OMP_NUM_THREADS", str(threads))
    torch.set_num_threads(threads)
    keep_freed_memory()
