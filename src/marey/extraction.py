"""Flow of every video of an index, on all cores, resumable.

Each video is a task of its own, done in a process that a broken file may bring down without
harm. Its flow appears whole or not at all; then a line in `ledger.jsonl` says what became of
it. A run that was stopped does no video twice: it believes the ledger, and flow that is there.
"""

import json
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import asdict, dataclass, replace
from functools import cache
from pathlib import Path
from queue import SimpleQueue
from typing import Any, Literal

import numpy as np

from marey.allocator import keep_freed_memory
from marey.data import SPANS, frames_of, part_of, segment_centres
from marey.durable import alone_in, append_line, write_text
from marey.errors import UsageError, VideoError
from marey.flow import (
    SETTINGS,
    ComputedFlow,
    Estimator,
    FlowFolderWriter,
    FlowReader,
    FlowWriter,
    flow_estimator,
    flow_file,
    flow_folder,
    making_of,
)
from marey.index import Index
from marey.isolation import CrashError, Isolated
from marey.video import open_video

LEDGER = "ledger.jsonl"

_TEST_SNIPPETS = 25
# A damaged file can hold a decoder for ever; flow itself takes long in a long video.
_SECONDS, _SECONDS_PER_MEGABYTE = 3600.0, 600.0


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
class _Task:
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


def extract(
    index: Index,
    extraction: Extraction,
    folder: Path,
    *,
    workers: int | None = None,
    each: Callable[[Extracted, bool], None] = lambda done, kept: None,
) -> list[Extracted]:
    """Compute the flow of all videos of an index and return what became of each, in its order.

    Args:
        index: The videos.
        extraction: Which flow.
        folder: Where flow, ledger and settings go. One of other settings is refused.
        workers: Processes; one for each processor core unless given.
        each: Called after each video, with whether it was there already.

    Raises:
        UsageError: The folder holds other flow, or two videos would share one place.
    """
    if workers is not None and workers < 1:
        raise UsageError(f"extracting flow needs at least 1 worker, got {workers}")
    cores = os.cpu_count() or 1
    tasks = _tasks(index, extraction, folder)
    with alone_in(folder):
        _claim(folder, extraction)
        ledger = _read_ledger(folder / LEDGER)
        kept = {task.video: old for task in tasks if (old := _known(task, ledger))}
        for old in kept.values():
            each(old, True)
            if ledger.get(old.video) != old:
                append_line(folder / LEDGER, _line(old))
        rest = [task for task in tasks if task.video not in kept]
        count = max(min(workers or cores, len(rest)), 1)
        # Where videos are fewer than cores, pairs of one video go side by side.
        threads = max((workers or cores) // count, 1)
        done = dict(kept)
        for result in _in_processes([replace(task, threads=threads) for task in rest], count):
            append_line(folder / LEDGER, _line(result))
            done[result.video] = result
            each(result, False)
        results = [done[task.video] for task in tasks]
        # In the order of the index, whichever was done first.
        others = [row for video, row in sorted(ledger.items()) if video not in done]
        write_text(folder / LEDGER, "".join(f"{_line(row)}\n" for row in [*results, *others]))
    return results


def _tasks(index: Index, extraction: Extraction, folder: Path) -> list[_Task]:
    stretches: dict[str, list[tuple[float | None, float | None]]] = {}
    for entry in index.entries:
        stretches.setdefault(entry.path, []).append((entry.start, entry.end))
    tasks = [
        _Task(
            extraction=extraction,
            video=path,
            file=index.root / path,
            stretches=tuple(parts),
            folder=folder,
            threads=1,
        )
        for path, parts in stretches.items()
    ]
    places: dict[Path, str] = {}
    for task in tasks:
        other = places.setdefault(task.target, task.video)
        if other != task.video:
            raise UsageError(
                f"{other!r} and {task.video!r} would have their flow in one place, {task.target}; "
                "make an index of each and give them folders of their own"
            )
    return tasks


def _claim(folder: Path, extraction: Extraction) -> None:
    """Write whose folder it is, or refuse one of other flow."""
    settings = {
        "flow": making_of(extraction.method).as_json(),
        "pairs": extraction.pairs,
        "form": extraction.form,
    }
    text = json.dumps(settings, indent=2, sort_keys=True) + "\n"
    file = folder / SETTINGS
    if not file.exists():
        if any(path.name != "lock" for path in folder.iterdir()):
            raise UsageError(
                f"{folder} holds something that `marey flow` did not write; give another --out"
            )
        write_text(file, text)
        return
    if file.read_text(encoding="utf-8") != text:
        raise UsageError(
            f"{folder} holds other flow (see {file}); give another --out, or its own method, "
            "--for and --format"
        )


def _read_ledger(file: Path) -> dict[str, Extracted]:
    """Return what earlier runs say of each video; a line cut short by a crash says nothing."""
    rows: dict[str, Extracted] = {}
    if not file.exists():
        return rows
    for line in file.read_text(encoding="utf-8", errors="replace").splitlines():
        try:
            row = Extracted(**json.loads(line))
        except (ValueError, TypeError):
            continue
        rows[row.video] = row
    return rows


def _line(row: Extracted) -> str:
    return json.dumps(asdict(row))


def _known(task: _Task, ledger: dict[str, Extracted]) -> Extracted | None:
    """Return what became of a video earlier, if its flow is still there and it is the same."""
    try:
        now = task.file.stat().st_size
    except OSError:
        now = 0
    row = ledger.get(task.video)
    if row is not None and row.source_bytes == now:
        if row.status == "unusable" or task.target.exists():
            return row
        return None
    if task.extraction.form != "video" or not task.target.exists():
        return None
    # Stopped between the two: the file is whole, but the ledger does not know yet.
    try:
        flow = FlowReader(task.target)
    except VideoError:
        return None
    if flow.making != making_of(task.extraction.method) or flow.source_bytes != now:
        return None
    return _row(task, flow.reason, flow.written)


def _row(task: _Task, reason: str, pairs: int) -> Extracted:
    target = task.target
    files = [target] if target.is_file() else sorted(target.iterdir())
    return Extracted(
        video=task.video,
        status="damaged" if reason else "ok",
        reason=reason,
        pairs=pairs,
        bytes=sum(file.stat().st_size for file in files),
        source_bytes=task.file.stat().st_size,
    )


def _in_processes(tasks: Sequence[_Task], count: int) -> Iterator[Extracted]:
    """Yield results as they come, each task done in one of `count` processes."""
    idle: SimpleQueue[Isolated] = SimpleQueue()
    processes = [Isolated() for _ in range(count)]
    for process in processes:
        idle.put(process)

    def run(task: _Task) -> Extracted:
        process = idle.get()
        try:
            return _isolated(process, task)
        finally:
            idle.put(process)

    threads = ThreadPoolExecutor(count)
    try:
        for future in as_completed([threads.submit(run, task) for task in tasks]):
            yield future.result()
    finally:
        threads.shutdown(wait=False, cancel_futures=True)
        for process in processes:
            process.close()
        threads.shutdown()


def _isolated(process: Isolated, task: _Task) -> Extracted:
    """Return what becomes of a video, whatever it does to the process."""
    try:
        size = task.file.stat().st_size
    except OSError:
        size = 0
    try:
        return process.call(extract_video, _SECONDS + _SECONDS_PER_MEGABYTE * size / 1e6, task)
    except VideoError as error:
        reason = str(error)
    except CrashError as error:
        reason = f"the decoder {error}"
    return Extracted(task.video, "unusable", reason, 0, 0, size)


def extract_video(task: _Task) -> Extracted:
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
            pairs = _wanted(flow, task)
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
                    source_bytes=task.file.stat().st_size,
                    reason=verdict.reason,
                )
            with writer:
                for field in flow.in_order(pairs):
                    writer.write(field[None])
    return _row(task, verdict.reason, len(pairs))


def _wanted(flow: ComputedFlow, task: _Task) -> Sequence[int]:
    """Return the pairs to compute."""
    if task.extraction.pairs == "all":
        return range(len(flow))
    span = SPANS["flow"]
    wanted: set[int] = set()
    for start, end in task.stretches:
        part = part_of(flow, start=start, end=end)
        places = segment_centres(len(part), segments=_TEST_SNIPPETS, span=span)
        frames = frames_of(places, frames=len(part), span=span) + part.first
        wanted.update(np.unique(frames).tolist())
    return sorted(wanted)


@cache
def _estimator(method: str, weights: Path | None, device: str, threads: int) -> Estimator:
    return flow_estimator(method, weights=weights, device=device, threads=threads)


def summary(results: Sequence[Extracted]) -> dict[str, Any]:
    """Return counts of what became of videos, as plain values."""
    return {
        "videos": len(results),
        **{
            status: sum(row.status == status for row in results)
            for status in ("ok", "damaged", "unusable")
        },
        "pairs": sum(row.pairs for row in results),
        "bytes": sum(row.bytes for row in results),
    }
