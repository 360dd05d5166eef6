"""A folder per class, with or without `train`, `val` and `test` above them."""

import re
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from marey.errors import UsageError

from ._found import VIDEO_SUFFIXES, Prepared, require_folder, videos_below
from ._index import Entry, Index

_SPLITS = {
    "train": "train",
    "training": "train",
    "val": "val",
    "valid": "val",
    "validation": "val",
    "test": "test",
    "testing": "test",
}
# `_c01`, `-clip3`, `_part2`, `_000010_000020`: which clip of a recording this is.
_COUNTER = re.compile(r"[ _-]+(c|clip|part|seg|segment|shot|scene)?[ _-]?\d+([_-]\d+)?", re.I)


def prepare_folder(root: Path) -> Prepared:
    """Return the index of `<class>/<video>` or `<split>/<class>/<video>` below `root`.

    A video is a file with a usual suffix or a folder of numbered images. Videos at any other
    depth are extra. Clips are grouped by the recording that their names tell of.
    """
    require_folder(root)
    found = videos_below(root)
    by_split = _has_splits(root, found)
    entries: list[Entry] = []
    extra: list[str] = []
    for path in found:
        folders = path.split("/")[:-1]
        if len(folders) != 1 + by_split:
            extra.append(path)
            continue
        split = _SPLITS[folders[0].casefold()] if by_split else None
        entries.append(Entry(path, folders[-1], split))
    if not entries:
        layout = "<split>/<class>/<video>" if by_split else "<class>/<video>"
        suffixes = " ".join(sorted(VIDEO_SUFFIXES))
        raise UsageError(
            f"{root}: no video at {layout}; make one folder per class, with videos in it "
            f"({suffixes}, or a folder of images like img_00001.jpg)"
        )
    classes = tuple(sorted({entry.label for entry in entries}))
    return Prepared(Index(root, with_groups(entries), classes), (), tuple(extra))


def with_groups(entries: Sequence[Entry]) -> tuple[Entry, ...]:
    """Return the entries, each with the recording that its file name tells of.

    The recording is the name without the number at its end. That is believed only of a
    class in which it gives several recordings and some with several clips: `walk_1` to
    `walk_9` would otherwise pass for one recording.
    """
    sources: dict[str, list[str]] = defaultdict(list)
    for entry in entries:
        sources[entry.label].append(_source(entry))
    believed = {label for label, names in sources.items() if 1 < len(set(names)) < len(names)}
    return tuple(
        Entry(
            entry.path,
            entry.label,
            entry.split,
            f"{entry.label}/{_source(entry)}" if entry.label in believed else None,
            entry.start,
            entry.end,
        )
        for entry in entries
    )


def _source(entry: Entry) -> str:
    path = PurePosixPath(entry.path)
    stem = path.stem if path.suffix.lower() in VIDEO_SUFFIXES else path.name
    counters = list(_COUNTER.finditer(stem))
    at_end = counters and counters[-1].end() == len(stem) and counters[-1].start() > 0
    return stem[: counters[-1].start()] if at_end else stem


def _has_splits(root: Path, found: Sequence[str]) -> bool:
    """Say whether the top folders are splits rather than classes."""
    tops = {path.split("/")[0] for path in found if "/" in path}
    splits = {top for top in tops if top.casefold() in _SPLITS}
    if splits and tops == splits:
        return True
    # A class may be called `test`; then its videos lie right in it.
    nested = sorted({p.split("/")[0] for p in found if p.count("/") > 1} & splits)
    if nested:
        raise UsageError(
            f"{root}: {nested[0]!r} holds class folders, but {min(tops - splits)!r} beside it "
            "is no split; move the classes into train, val and test"
        )
    return False
