"""When what happens in a film of any length.

Axes: B snippets, C channels, H rows, W columns, Y classes.
"""

import hashlib
import json
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float32, UInt8
from torch import Tensor

from marey.data import SPANS, resize_short_side
from marey.errors import UsageError, VideoError
from marey.evaluation import clips_of
from marey.models import Network, choose_device, for_inference, load_named
from marey.predictor import Prediction, Segment
from marey.video import FrameFolder, VideoReader, open_video

from ._evidence import Evidence
from ._ledger import Rows
from ._sight import Watcher
from ._smoothing import runs
from ._stream import SNIPPETS, require_seconds, require_streamable

NONE = "none"
"""Label of stretches in which no class is probable enough."""

_BATCH = 16  # Snippets in the network at once.


class Segmenter:
    """Finds the stretches of a film in which something is done.

    At every moment the frames of the window around it are summed up, as `Stream` sums up those
    before it. Of these answers the most probable course is taken, in which changes are rare.
    Memory does not grow with the film.

    Args:
        model: Name of a bundled network, or a checkpoint file.
        window: Seconds around a moment; about as long as the videos that the network learnt
            from.
        unsure: Where no class is as probable as this, the answer is "none".
        hold: Seconds that something must last to be believed, if it is twice as probable as
            what is around it.
        device: `auto`, `cpu`, `cuda`.
        unfinished: Folder in which what was seen of a film is kept until it is over, so that an
            interrupted run goes on; nothing is kept unless given.

    Attributes:
        classes: Names of the classes.

    Raises:
        UsageError: There is no such model or device, or it looks at flow.
    """

    def __init__(
        self,
        model: str | Path,
        *,
        window: float = 1.5,
        unsure: float = 0.35,
        hold: float = 1.0,
        device: str = "auto",
        unfinished: Path | None = None,
    ) -> None:
        require_seconds("window", window)
        require_seconds("hold", hold)
        if not 0 < unsure < 1:
            raise UsageError(f"unsure is a probability between 0 and 1, got {unsure}")
        trained = load_named(model)
        require_streamable(trained, model)
        self.model = str(model)
        self.classes = trained.classes
        self._network = for_inference(trained).to(choose_device(device))
        self._fusion = trained.fusion
        self._sha256 = trained.sha256
        self._window, self._unsure, self._hold = window, unsure, hold
        self._unfinished = unfinished

    def __call__(
        self, video: str | Path, *, each: Callable[[int, int], None] = lambda done, of: None
    ) -> Prediction:
        """Return what is done in a film, and when. One that cannot be used is an answer, too.

        Args:
            video: The film.
            each: Told how many moments of how many were looked at.
        """
        try:
            with open_video(video) as reader:
                return self._found(video, reader, each)
        except VideoError as error:
            return Prediction(
                video=str(video),
                status="unusable",
                reason=str(error),
                frames=0,
                seconds=0.0,
                model=self.model,
            )

    def _found(
        self,
        video: str | Path,
        reader: VideoReader | FrameFolder,
        each: Callable[[int, int], None],
    ) -> Prediction:
        fps, frames = reader.fps, len(reader)
        places = moments(frames, fps=fps, window=self._window, span=self._span)
        look = _Look(self._network, places, fps=fps, window=self._window, fusion=self._fusion)
        kept = Rows(self._file(video, places, fps), width=len(self.classes))
        with kept:
            first = len(kept) // _BATCH * _BATCH
            kept.cut(first)
            for number, row in look.rows(reader, first=first):
                kept.add(row)
                if number % _BATCH == _BATCH - 1:
                    kept.flush()
                each(number + 1, len(places))
            whole = np.zeros(len(self.classes))
            for row in kept:
                whole += row
            shown = reader.times()
            times = [float(shown[place]) for place in places] + [float(shown[-1])]
            hold = self._hold * len(places) / times[-1]
            found = tuple(
                self._segment(run.state, times[run.first], times[run.end], run.probability)
                for run in runs(kept, unsure=self._unsure, hold=hold)
            )
            verdict = reader.verdict()
            kept.remove()
        order = np.argsort(-whole, kind="stable")
        return Prediction(
            video=str(video),
            status=verdict.status,
            reason=verdict.reason,
            frames=verdict.frames,
            seconds=times[-1],
            model=self.model,
            labels=tuple(self.classes[number] for number in order),
            probabilities=tuple(float(whole[number]) / len(places) for number in order),
            segments=found,
        )

    @property
    def _span(self) -> int:
        return SPANS[self._network.modality]

    def _segment(self, state: int, start: float, end: float, probability: float) -> Segment:
        label = self.classes[state] if state < len(self.classes) else NONE
        return Segment(start if start > 0 else 0.0, end, label, probability)

    def _file(self, video: str | Path, places: Sequence[int], fps: float) -> Path | None:
        """Return where the answers wait; another film, network or way of looking has another."""
        if self._unfinished is None:
            return None
        path = Path(video).absolute()
        told = path.stat()
        question: dict[str, Any] = {
            "video": [str(path), told.st_size, told.st_mtime_ns],
            "weights": self._sha256,
            "preprocessing": asdict(self._network.preprocessing),
            "fusion": self._fusion,
            "moments": [len(places), places[-1], fps, self._window],
        }
        name = hashlib.sha256(json.dumps(question, sort_keys=True).encode()).hexdigest()
        return self._unfinished / f"{name}.rows"


def moments(frames: int, *, fps: float, window: float, span: int) -> list[int]:
    """Return the first frames of the snippets that are looked at, `SNIPPETS` in a window.

    Args:
        frames: Frames of the film.
        fps: Frames a second.
        window: Seconds.
        span: Frames of a snippet.

    Raises:
        VideoError: The film is shorter than a snippet.
    """
    last = frames - span
    if last < 0:
        raise VideoError(f"a film needs at least {span} frames for this network, this has {frames}")
    step = max(window / SNIPPETS * fps, 1.0)
    count = math.floor(last / step + 1e-9) + 1
    return [min(math.floor(number * step + 1e-9), last) for number in range(count)]


class _Look:
    """The answers at the moments of one film."""

    def __init__(
        self,
        network: Network,
        places: Sequence[int],
        *,
        fps: float,
        window: float,
        fusion: Mapping[str, float],
    ) -> None:
        self._network = network
        self._places = places
        self._fps = fps
        self._fusion = fusion
        self._window = window
        spacing = max(window / SNIPPETS, 1 / fps)
        self._spacing = spacing
        self._distance = window / network.preprocessing.pace
        # Snippets on either side of a moment that count.
        self._reach = round(window / 2 / spacing)

    def rows(
        self, reader: VideoReader | FrameFolder, *, first: int
    ) -> Iterator[tuple[int, Float32[np.ndarray, " Y"]]]:
        """Yield the moments from `first` on and their probabilities.

        Batches begin at the same snippets whatever `first` is, so that numbers are the same.
        """
        back = self._reach + math.ceil(self._distance / self._spacing) + 2 + _BATCH
        begin = max(first - back, 0) // _BATCH * _BATCH
        watcher = Watcher(self._network, distance=self._distance, tolerance=self._spacing)
        evidence = Evidence(window=math.inf, half_life=math.inf, fusion=self._fusion)
        count, number = len(self._places), begin
        seen = begin
        for start, clips in self._clips(reader, begin):
            times = [self._places[start + i] / self._fps for i in range(len(clips))]
            for sight in watcher.see(clips, times):
                evidence.add(sight)
                seen += 1
                if seen > number + self._reach:
                    if row := self._row(evidence, number, begin, first):
                        yield row
                    number += 1
        for rest in range(number, count):
            if row := self._row(evidence, rest, begin, first):
                yield row

    def _row(
        self, evidence: Evidence, number: int, begin: int, first: int
    ) -> tuple[int, Float32[np.ndarray, " Y"]] | None:
        """Return the answer at a moment, from the snippets within reach of it."""
        oldest = max(number - self._reach, begin)
        evidence.forget_before(self._places[oldest] / self._fps)
        if number < first:
            return None
        return number, evidence.probabilities().astype(np.float32)

    def _clips(self, reader: VideoReader | FrameFolder, begin: int) -> Iterator[tuple[int, Tensor]]:
        """Yield batches of snippets as the network wants them, the next one decoding meanwhile."""
        preprocessing, modality = self._network.preprocessing, self._network.modality
        batches = self._decoded(reader, begin)
        with ThreadPoolExecutor(1) as ahead:
            coming = ahead.submit(next, batches, None)
            while (batch := coming.result()) is not None:
                coming = ahead.submit(next, batches, None)
                start, snippets = batch
                clips = clips_of(
                    snippets.to(self._network.device),
                    crops=1,
                    preprocessing=preprocessing,
                    modality=modality,
                )
                yield start, clips[0]

    def _decoded(
        self, reader: VideoReader | FrameFolder, begin: int
    ) -> Iterator[tuple[int, UInt8[Tensor, "B C H W"]]]:
        """Yield batches of snippets in bytes, each frame decoded once."""
        span = SPANS[self._network.modality]
        short = self._network.preprocessing.short_side
        places = self._places[begin:]
        wanted = sorted({place + offset for place in places for offset in range(span)})
        frames = zip(wanted, reader.in_order(wanted), strict=True)
        near: dict[int, UInt8[Tensor, "1 3 H W"]] = {}
        batch: list[Tensor] = []
        start = begin
        for place in places:
            while place + span - 1 not in near:
                number, frame = next(frames)
                picture = torch.from_numpy(frame).movedim(-1, 0)[None]
                near[number] = resize_short_side(picture, short)
            batch.append(torch.cat([near[place + offset] for offset in range(span)], dim=1))
            for number in [number for number in near if number <= place]:
                if number < place or span == 1:
                    del near[number]
            if len(batch) == _BATCH:
                yield start, torch.cat(batch)
                start, batch = start + len(batch), []
        if batch:
            yield start, torch.cat(batch)
