"""One task of an extraction, what becomes of it, and the work itself, in a process of its own."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Literal

import numpy as np

from marey.allocator import keep_freed_memory
from marey.data import SPANS, WholeVideo, frames_of, part_of, segment_centres
from marey.errors import UsageError, VideoError
from marey.flow import (
    ComputedFlow,
    Estimator,
    FlowFolderWriter,
    FlowWriter,
    flow_estimator,
    flow_file,
    flow_folder,
    making_of,
)
from marey.video import open_video

_TEST_SNIPPETS = 25

NOT_SEEN = -1
"""Size of a video that did not come, or whose workers were lost: it is tried again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Extraction:
    """What flow to compute, and how to keep it."""

    method: str = "tvl1"
    weights: Path | None = None
    """Of RAFT."""

    device: str = "cpu"
    pairs: Literal["all", "test"] = "all"
    """All pairs of a video, or those that testing reads, 5 in each of 25 places."""

    form: Literal["video", "tsn"] = "video"
    """One lossless file for each video, or folders of JPEG images as TSN's tools write them."""

    def __post_init__(self) -> None:
        if self.pairs == "test" and self.form == "tsn":
            raise UsageError(
                "--for test needs --format video: TSN's images are numbered without gaps, so "
                "pairs cannot be left out"
            )


@dataclass(frozen=True, slots=True)
class Extracted:
    """What became of one video."""

    video: str
    """Path as the index has it."""

    status: Literal["ok", "damaged", "unusable"]
    reason: str
    pairs: int
    bytes: int
    """Of its flow on the disk."""

    source_bytes: int
    """Of the video, by which a changed one is known."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    extraction: Extraction
    video: str
    file: Path
    stretches: tuple[tuple[float | None, float | None], ...]
    folder: Path
    threads: int

    @property
    def target(self) -> Path:
        where = flow_file if self.extraction.form == "video" else flow_folder
        return where(self.folder, self.video)


def extract_video(task: Task) -> Extracted:
    """Compute and write the flow of one video; runs in a process of its own.

    Raises:
        VideoError: The video has no flow.
    """
    import torch

    keep_freed_memory()
    torch.set_num_threads(1)
    extraction = task.extraction
    estimator = _estimator(extraction.method, extraction.weights, extraction.device, task.threads)
    making = making_of(extraction.method)
    with open_video(task.file) as video:
        verdict = video.verdict()
        with ComputedFlow(video, estimator, making) as flow:
            pairs = wanted(flow, task)
            writer: FlowWriter | FlowFolderWriter
            if extraction.form == "tsn":
                writer = FlowFolderWriter(task.target)
            else:
                writer = FlowWriter(
                    task.target,
                    making,
                    pairs=pairs,
                    of=len(flow),
                    fps=flow.fps,
                    source_bytes=bytes_of(task.file),
                    reason=verdict.reason,
                )
            with writer:
                for field in flow.in_order(pairs):
                    writer.write(field[None])
    return result_of(task, verdict.reason, len(pairs))


def wanted(flow: WholeVideo, task: Task) -> Sequence[int]:
    """Return the pairs to compute.

    Raises:
        VideoError: The video is over before all its stretches.
    """
    if task.extraction.pairs == "all":
        return range(len(flow))
    span = SPANS["flow"]
    pairs: set[int] = set()
    missing: VideoError | None = None
    for start, end in task.stretches:
        try:
            part = part_of(flow, start=start, end=end)
        except VideoError as error:
            missing = error
            continue
        places = segment_centres(len(part), segments=_TEST_SNIPPETS, span=span)
        frames = frames_of(places, frames=len(part), span=span) + part.first
        pairs.update(np.unique(frames).tolist())
    if missing and not pairs:
        raise missing
    return sorted(pairs)


@cache
def _estimator(method: str, weights: Path | None, device: str, threads: int) -> Estimator:
    return flow_estimator(method, weights=weights, device=device, threads=threads)


def bytes_of(video: Path) -> int:
    """Return the size of a video's file, or of its images; 0 if it is not there."""
    try:
        files = video.iterdir() if video.is_dir() else [video]
        return sum(file.stat().st_size for file in files if file.is_file())
    except (OSError, ValueError):  # The latter of a name that cannot be one.
        return 0


def result_of(task: Task, reason: str, pairs: int) -> Extracted:
    """Return what became of a video whose flow is there."""
    target = task.target
    files = [target] if target.is_file() else sorted(target.iterdir())
    return Extracted(
        video=task.video,
        status="damaged" if reason else "ok",
        reason=reason,
        pairs=pairs,
        bytes=sum(file.stat().st_size for file in files),
        source_bytes=bytes_of(task.file),
    )
