"""Whether the videos of an index can be used, found out before any work depends on them."""

import os
import stat
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import Literal

from marey.addresses import fetched
from marey.errors import UsageError, VideoError
from marey.isolation import CrashError, Isolated, IsolatedPool, Workers, own_process
from marey.video import Verdict, check_video

from ._index import Entry, Index
from ._problems import refuse

_DECODE_SECONDS = 20.0  # for a video of no length; damaged files can hold a decoder for ever
_SECONDS_PER_MEGABYTE = 3.0
_NAMED = 5  # missing videos; the rest are counted


@dataclass(frozen=True, slots=True)
class Report:
    """What became of decoding one video from beginning to end."""

    video: str
    """Path as the index has it."""

    status: Literal["ok", "damaged", "unusable"]

    reason: str
    """Why it is not ok; empty if it is."""

    frames: int
    """Frames that could be decoded."""

    declared: int | None
    """Frames that the file claims to have."""


def check_index(
    index: Index,
    *,
    workers: int | None = None,
    cluster: Workers | None = None,
    fetch: Sequence[str] = (),
) -> Iterator[Report]:
    """Yield a report for every video of the index, each once, in the order of the index.

    The videos are decoded in processes of their own. One that brings its process down, or
    never ends, is unusable, and the others go on.

    Args:
        index: The videos.
        workers: How many processes; as many as there are processor cores if None.
        cluster: Other computers that decode, instead.
        fetch: Protocols of videos that a cluster fetches; see `fetched`.
    """
    if workers is not None and workers < 1:
        raise UsageError(f"checking needs at least 1 worker, got {workers}")
    paths = list(dict.fromkeys(entry.path for entry in index.entries))
    if cluster is not None:
        work = partial(_report_apart, root=index.root, fetch=fetch)
        for path, report in zip(paths, cluster.in_order(work, paths), strict=True):
            yield report if isinstance(report, Report) else _unusable(path, str(report))
        return
    count = min(workers or os.cpu_count() or 1, len(paths))
    with IsolatedPool(count) as pool:
        for future in [pool.submit(partial(_report, path, index.root / path)) for path in paths]:
            yield future.result()


def _report(path: str, file: Path, process: Isolated) -> Report:
    verdict = _verdict(process, file)
    reason = verdict.reason.removeprefix(f"{file} ")
    return Report(path, verdict.status, reason, verdict.frames, verdict.declared)


def _report_apart(path: str, *, root: Path, fetch: Sequence[str]) -> Report:
    """Return the report of a worker of a cluster."""
    try:
        with fetched(path, root / path, protocols=fetch) as file:
            return _report(path, file, own_process())
    except VideoError as error:
        return _unusable(path, str(error).removeprefix(f"{path}: "))


def _unusable(path: str, reason: str) -> Report:
    return Report(path, "unusable", reason, 0, None)


def _verdict(process: Isolated, file: Path) -> Verdict:
    """Return the verdict on the video, whatever it does to the process."""
    seconds = _DECODE_SECONDS
    with suppress(OSError, ValueError):
        seconds += _SECONDS_PER_MEGABYTE * sum(map(_size, _files(file))) / 1e6
    process.start()
    try:
        return process.call(check_video, seconds, file)
    except CrashError as error:
        reason = f"the decoder {error}"
    except Exception as error:  # a bug met by this file must not hide the others' verdicts
        reason = f"{type(error).__name__}: {error}"
    return Verdict(status="unusable", reason=reason, frames=0, declared=None)


def require_there(index: Index) -> None:
    """Refuse an index of which videos are missing.

    Raises:
        UsageError: It says how many are missing, names the first few, and says what to do.
    """
    if missing := index.missing():
        raise UsageError(_told(missing, index))


def require_any_there(index: Index) -> None:
    """Refuse an index of which all videos are missing.

    Raises:
        UsageError: As of `require_there`.
    """
    missing = index.missing()
    if len(missing) == _count(index):
        raise UsageError(_told(missing, index))


def _told(missing: Sequence[Path], index: Index) -> str:
    """Return how many videos are missing, which, and what to do."""
    count = _count(index)
    lines = [f"{len(missing)} of {count} videos are missing:"]
    lines += [f"  {str(path)!r}" for path in missing[:_NAMED]]
    if len(missing) > _NAMED:
        lines.append(
            f"  and {len(missing) - _NAMED} more; `marey check` names all that are missing"
        )
    if len(missing) == count:
        lines.append(
            "The paths in an index start from its own folder, here "
            f"{str(index.root.absolute())!r}. If the index was moved or copied, put it back, or "
            "make it anew with `marey prepare`"
        )
    else:
        lines.append("Bring them back, or make the index anew: `marey prepare` leaves them out")
    return "\n".join(lines)


def _count(index: Index) -> int:
    return len({entry.path for entry in index.entries})


def require_videos(index: Index) -> None:
    """Refuse an index whose videos are not there, or are the same bytes in two splits.

    Raises:
        IndexFileError: It lists everything that is wrong.
    """
    problems = [f"missing: {str(path)!r}" for path in index.missing()]
    problems += [
        f"{one.path!r} ({one.split}) and {other.path!r} ({other.split}) are the same video"
        for one, other in same_videos(index)
    ]
    refuse(str(index.root), problems)


def same_videos(index: Index) -> list[tuple[Entry, Entry]]:
    """Return pairs of entries in different splits whose videos hold the same bytes.

    Such as a training video that is tested on too. Videos that cannot be read match nothing.
    """
    entries = list({entry.path: entry for entry in index.entries}.values())
    by_size: dict[int, list[Entry]] = defaultdict(list)
    for entry in entries:
        with suppress(OSError, ValueError):
            by_size[sum(map(_size, _files(index.file(entry))))].append(entry)
    by_content: dict[bytes, list[Entry]] = defaultdict(list)
    for size, alike in by_size.items():
        # Reading all would take minutes; videos of equal size are few. Empty ones are no videos.
        if size and len({entry.split for entry in alike}) > 1:
            for entry in alike:
                with suppress(OSError):
                    by_content[_digest(index.file(entry))].append(entry)
    return [
        (alike[0], other)
        for alike in by_content.values()
        for other in alike[1:]
        if other.split != alike[0].split
    ]


def _files(video: Path) -> list[Path]:
    """Return the files that make up a video: itself, or its images in order."""
    return sorted(video.iterdir()) if video.is_dir() else [video]


def _size(file: Path) -> int:
    status = file.stat()
    return status.st_size if stat.S_ISREG(status.st_mode) else 0


def _digest(video: Path) -> bytes:
    """Return the SHA-256 of the video's bytes."""
    digest = sha256()
    for file in _files(video):
        if file.is_file():
            with file.open("rb") as stream:
                while block := stream.read(1 << 20):
                    digest.update(block)
    return digest.digest()
