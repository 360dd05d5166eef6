"""Scores of several files brought together by video, never by position.

Axes: N videos, Y classes.
"""

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
from jaxtyping import Float32, Int64

from marey.errors import UsageError
from marey.index import VIDEO_SUFFIXES

from ._agreement import (
    require_each_once,
    require_same_classes,
    require_same_labels,
    require_same_split,
    require_same_views,
    views_of,
)
from ._differences import refuse_differences
from ._score_file import ScoreFile


@dataclass(frozen=True, slots=True, kw_only=True)
class Stream:
    """What one head of one file says of the videos that all streams share."""

    name: str
    """`<file>/<head>`, with as many folders before it as tell it from the others."""

    path: Path
    head: str
    scores: Float32[np.ndarray, "N Y"]
    meta: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Joined:
    """Streams whose rows are the same videos, in the order of the videos' names."""

    videos: tuple[str, ...]
    labels: Int64[np.ndarray, " N"]
    classes: tuple[str, ...]
    streams: tuple[Stream, ...]

    named: bool
    """Whether the files name the videos; otherwise `videos` only counts rows."""

    meta: Mapping[str, Any]
    """Split, views and index, as far as the files tell."""

    remarks: tuple[str, ...]
    """What a user should know of how they were read and joined."""


def join(files: Sequence[ScoreFile], *, listed: ScoreFile | None = None) -> Joined:
    """Return the heads of all files as streams of the same videos.

    Permuted rows are the same scores. Paths in our own files must agree to the letter; names
    in other files may lack folders and ending, and upper and lower case count as equal, where
    that leaves no doubt.

    Args:
        files: Files, each with the heads wanted of it.
        listed: A list that says which videos and classes there are.

    Raises:
        UsageError: The files differ in videos, labels, classes, split or views, or do not name
            their videos; the message shows the first five differences.
    """
    everyone = [*files, *([listed] if listed else [])]
    # Ours knows the paths to the letter, a list knows them nearly so.
    first = next((file for file in everyone if file.ours), everyone[-1 if listed else 0])
    _refuse_nameless(everyone)
    rows: list[Int64[np.ndarray, " N"]] = []
    remarks = [remark for file in everyone for remark in file.remarks]
    for one, other in combinations(everyone, 2):
        require_same_split(one, other)
        require_same_views(one, other)
        require_same_classes(one, other)
    for file in everyone:
        require_each_once(file)
        order, spelt = _rows(first, file)
        require_same_labels(first, file, order)
        rows.append(order)
        remarks += spelt
    videos = first.videos
    if videos is None:
        videos = tuple(f"row {row}" for row in range(len(first.labels)))
        remarks.append(f"{first.path}: has no names of videos; its heads are joined row by row")
    by_name = np.arange(len(videos))
    if first.videos is not None:
        by_name = np.array(sorted(by_name, key=videos.__getitem__))
    classes = next((file.classes for file in everyone if file.classes), None)
    return Joined(
        videos=tuple(videos[row] for row in by_name),
        labels=first.labels[by_name],
        classes=classes or tuple(map(str, range(first.class_count))),
        streams=tuple(_streams(files, [order[by_name] for order in rows[: len(files)]])),
        named=first.videos is not None,
        meta=_shared(everyone),
        remarks=tuple(dict.fromkeys(remarks)),
    )


def shared_videos(joined: Joined, other: Joined) -> list[str]:
    """Return which videos of the other are among the joined ones, however they are spelt."""
    index = joined.meta.get("index_sha256")
    if index is not None and index == other.meta.get("index_sha256"):
        known = set(joined.videos)
        return [video for video in other.videos if video in known]
    alike = defaultdict(list)
    for video in joined.videos:
        alike[_parts(video)[-1]].append(video)
    return [v for v in other.videos if any(_spelt_alike(v, one) for one in alike[_parts(v)[-1]])]


def _spelt_alike(one: str, other: str) -> bool:
    """Say whether names are the same but for case, ending and folders that one of them lacks."""
    near, far = _parts(one), _parts(other)
    common = min(len(near), len(far))
    return near[-common:] == far[-common:]


def _parts(video: str) -> tuple[str, ...]:
    path = PurePosixPath(video)
    named = path.with_suffix("") if path.suffix.lower() in VIDEO_SUFFIXES else path
    return tuple(part.casefold() for part in named.parts if part not in ("/", "..")) or ("",)


def _refuse_nameless(files: Sequence[ScoreFile]) -> None:
    """Refuse to join a file that does not name its videos with any other."""
    nameless = next((file for file in files if file.videos is None), None)
    paths = {file.path.resolve(): file.path for file in files}
    if nameless is not None and len(paths) > 1:
        other = next(path for real, path in paths.items() if real != nameless.path.resolve())
        raise UsageError(
            f"{nameless.path} does not name its videos, so it cannot be joined with {other}: equal "
            "labels in equal order do not tell which video is which; give the list that it "
            "follows: --list INDEX.csv"
        )


def _rows(first: ScoreFile, other: ScoreFile) -> tuple[Int64[np.ndarray, " N"], list[str]]:
    """Return the row in the other of each video of the first, and a remark if they were respelt."""
    if first.videos is None or other.videos is None:  # then both are one file
        return np.arange(len(first.labels)), []
    mine, others = first.videos, other.videos
    if set(mine) == set(others):
        return _places(mine, others), []
    pairs = {} if first.ours and other.ours else _pairs(mine, others)
    if len(pairs) == len(mine) == len(others):
        rows = _places(mine, [pairs[video] for video in others])
        return rows, [
            f"{other.path}: joined with {first.path} by file name, without folder, ending and "
            f"case, such as {others[rows[0]]!r} with {mine[0]!r}"
        ]
    if len(pairs) > len(set(mine) & set(others)):
        taken = set(pairs.values())
        mine = tuple(video for video in mine if video not in taken)
        others = tuple(video for video in others if video not in pairs)
    refuse_differences(
        f"{first.path} and {other.path} do not hold the same videos "
        f"({len(first.videos)} and {len(other.videos)})",
        [text for _, text in sorted(_alone(first, mine, other, others))],
        fix="score both with the same index and split",
    )
    raise AssertionError("videos differ, but none is alone")


def _pairs(mine: Sequence[str], others: Sequence[str]) -> dict[str, str]:
    """Return for each of the others the one of mine it is, or nothing if a file name is shared."""
    near = {_parts(video)[-1]: video for video in mine}
    far = {_parts(video)[-1]: video for video in others}
    if len(near) < len(mine) or len(far) < len(others):
        return {}
    return {
        video: near[name]
        for name, video in far.items()
        if name in near and _spelt_alike(video, near[name])
    }


def _places(wanted: Sequence[str], given: Sequence[str]) -> Int64[np.ndarray, " N"]:
    """Return where each wanted name is among the given."""
    place = {name: row for row, name in enumerate(given)}
    return np.array([place[name] for name in wanted], dtype=np.int64)


def _alone(
    one: ScoreFile, mine: Sequence[str], other: ScoreFile, others: Sequence[str]
) -> Iterator[tuple[str, str]]:
    """Yield each video that only one of two files has, and a line that says so."""
    for has, lacks, videos in (
        (one, other, set(mine) - set(others)),
        (other, one, set(others) - set(mine)),
    ):
        unusable = lacks.meta.get("unusable") or ()
        for video in videos:
            why = ", where it could not be read" if video in unusable else ""
            yield video, f"{video!r} is in {has.path}, but not in {lacks.path}{why}"


def _streams(
    files: Sequence[ScoreFile], rows: Sequence[Int64[np.ndarray, " N"]]
) -> Iterator[Stream]:
    names = _file_names([file.path for file in files])
    seen: set[str] = set()
    for file, order in zip(files, rows, strict=True):
        for head, scores in file.heads.items():
            name = f"{names[file.path.resolve()]}/{head}"
            if name in seen:
                raise UsageError(f"{file.path}: head {head} is given twice; name each head once")
            seen.add(name)
            yield Stream(name=name, path=file.path, head=head, scores=scores[order], meta=file.meta)


def _file_names(paths: Sequence[Path]) -> dict[Path, str]:
    """Return a name for each file: its stem, after as many folders as tell it from the others."""
    distinct = {path.resolve(): path for path in paths}
    deepest = max(len(path.parts) for path in paths)

    def tail(path: Path, depth: int) -> str:
        return "/".join(path.with_suffix("").parts[-depth:])

    names: dict[Path, str] = {}
    for depth in range(1, deepest + 1):
        tails = Counter(tail(path, depth) for path in distinct.values())
        for real, path in distinct.items():
            if real not in names and tails[tail(path, depth)] == 1:
                names[real] = tail(path, depth)
    return {real: names.get(real, str(path)) for real, path in distinct.items()}


def _shared(files: Sequence[ScoreFile]) -> dict[str, Any]:
    """Return what the files tell of all streams, where those that tell it agree."""
    shared: dict[str, Any] = {}
    for name in ("split", "index_sha256"):
        told = {file.meta[name] for file in files if file.meta.get(name)}
        if len(told) == 1:
            shared[name] = told.pop()
    views = {view: seen for file in files for view, seen in views_of(file).items()}
    return shared | ({"views": views} if views else {})
