"""Flow of every video of an index, on all cores, resumable.

Each video is a task of its own, done in a process that a broken file may bring down without
harm. Its flow appears whole or not at all; then a line in `ledger.jsonl` says what became of
it. A run that was stopped does no video twice: it believes the ledger, and flow that is there.
"""

import os
import shutil
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import as_completed
from contextlib import closing
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from marey.addresses import fetched
from marey.durable import alone_in, append_line, write_text
from marey.errors import UsageError, VideoError
from marey.flow import SETTINGS
from marey.index import Index
from marey.isolation import CrashError, Isolated, IsolatedPool, Workers, own_process

from ._ledger import LEDGER, claim, known, line_of, read_ledger, refuse_others
from ._task import NOT_SEEN, Extracted, Extraction, Task, bytes_of, extract_video

# A damaged file can hold a decoder for ever; flow itself takes long in a long video.
_SECONDS, _SECONDS_PER_MEGABYTE = 3600.0, 600.0


def extract(
    index: Index,
    extraction: Extraction,
    folder: Path,
    *,
    workers: int | None = None,
    each: Callable[[Extracted, bool], None] = lambda done, kept: None,
    cluster: Workers | None = None,
    fetch: Sequence[str] = (),
) -> list[Extracted]:
    """Compute the flow of all videos of an index and return what became of each, in its order.

    Args:
        index: The videos.
        extraction: Which flow.
        folder: Where flow, ledger and settings go. One of other settings is refused.
        workers: Processes; one for each processor core unless given.
        each: Called after each video, with whether it was there already.
        cluster: Other computers that work, instead; the folder must be theirs, too.
        fetch: Protocols of videos that a cluster fetches; see `fetched`.

    Raises:
        UsageError: The folder holds other flow, or videos would have theirs in one place.
    """
    if workers is not None and workers < 1:
        raise UsageError(f"extracting flow needs at least 1 worker, got {workers}")
    cores = os.cpu_count() or 1
    tasks = _tasks(index, extraction, folder)
    refuse_others(folder, extraction)  # Before anything of ours is in it.
    with alone_in(folder):
        claim(folder, extraction)
        ledger = read_ledger(folder / LEDGER)
        kept = {task.video: old for task in tasks if (old := known(task, ledger))}
        for old in kept.values():
            each(old, True)
            if ledger.get(old.video) != old:
                append_line(folder / LEDGER, line_of(old))
        rest = [task for task in tasks if task.video not in kept]
        done = dict(kept)
        ready = _there(rest, cluster, fetch) if cluster else _here(rest, workers or cores)
        with closing(ready):
            for result in ready:
                append_line(folder / LEDGER, line_of(result))
                done[result.video] = result
                each(result, False)
        results = [done[task.video] for task in tasks]
        # In the order of the index, whichever was done first.
        others = [row for video, row in sorted(ledger.items()) if video not in done]
        write_text(folder / LEDGER, "".join(f"{line_of(row)}\n" for row in [*results, *others]))
    return results


def _here(tasks: Sequence[Task], workers: int) -> Generator[Extracted, None, None]:
    """Do tasks in processes of this computer; yield each as it is done."""
    count = max(min(workers, len(tasks)), 1)
    # Where videos are fewer than cores, pairs of one video go side by side.
    threads = max(workers // count, 1)
    with IsolatedPool(count) as pool:
        futures = [
            pool.submit(partial(_isolated, replace(task, threads=threads))) for task in tasks
        ]
        for future in as_completed(futures):
            yield future.result()


def _there(
    tasks: Sequence[Task], cluster: Workers, fetch: Sequence[str]
) -> Generator[Extracted, None, None]:
    """Do tasks by the workers of a cluster; yield each as it is done."""
    for number, result in cluster.each(partial(_apart, fetch=fetch), tasks):
        if isinstance(result, Extracted):
            yield result
        else:
            yield Extracted(tasks[number].video, "unusable", str(result), 0, 0, NOT_SEEN)


def _apart(task: Task, *, fetch: Sequence[str]) -> Extracted:
    """Return what becomes of a video at a worker of a cluster."""
    try:
        with fetched(task.video, task.file, protocols=fetch) as file:
            return _isolated(replace(task, file=file), own_process())
    except VideoError as error:
        reason = str(error).removeprefix(f"{task.video}: ")
        return Extracted(task.video, "unusable", reason, 0, 0, NOT_SEEN)


def _tasks(index: Index, extraction: Extraction, folder: Path) -> list[Task]:
    stretches: dict[str, list[tuple[float | None, float | None]]] = {}
    for entry in index.entries:
        stretches.setdefault(entry.path, []).append((entry.start, entry.end))
    tasks = [
        Task(
            extraction=extraction,
            video=path,
            file=index.root / path,
            stretches=tuple(parts),
            folder=folder,
            threads=1,
        )
        for path, parts in stretches.items()
    ]
    _require_places(tasks, folder)
    return tasks


def _require_places(tasks: Sequence[Task], folder: Path) -> None:
    """Refuse videos whose flow would lie where that of others, or what we need, does."""
    places = {folder / name: "" for name in ("lock", LEDGER, SETTINGS)}
    for task in tasks:
        other = places.setdefault(task.target, task.video)
        if other == "":
            raise UsageError(
                f"{task.video!r} would have its flow in {task.target}, which is needed for other "
                "things; rename the video"
            )
        if other != task.video:
            raise UsageError(
                f"{other!r} and {task.video!r} would have their flow in one place, {task.target}; "
                "make an index of each and give them folders of their own"
            )
    for task in tasks:
        above = [places[path] for path in task.target.parents if path in places]
        if above:
            raise UsageError(
                f"{task.video!r} would have its flow within that of {above[0]!r}; "
                "make an index of each and give them folders of their own"
            )


def _isolated(task: Task, process: Isolated) -> Extracted:
    """Return what becomes of a video, whatever it does to the process."""
    size = bytes_of(task.file)
    try:
        return process.call(extract_video, _SECONDS + _SECONDS_PER_MEGABYTE * size / 1e6, task)
    except VideoError as error:
        reason = str(error)
    except CrashError as error:
        reason = f"the decoder {error}"
    if size and task.target.exists():
        # Flow of another video, which was there before this one.
        shutil.rmtree(task.target) if task.target.is_dir() else task.target.unlink()
    reason = reason.removeprefix(str(task.file)).lstrip(": ")
    return Extracted(task.video, "unusable", reason, 0, 0, size)


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
