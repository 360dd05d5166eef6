"""The videos below a folder, and how they answer to the names in an official list."""

import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from marey.errors import UsageError

from ._index import Entry, Index, repeated
from ._problems import nearest, refuse

# fmt: off
VIDEO_SUFFIXES = frozenset((
    ".3gp", ".asf", ".avi", ".flv", ".m2ts", ".m4v", ".mkv", ".mov", ".mp4", ".mpeg", ".mpg",
    ".mts", ".mxf", ".ogv", ".ts", ".vob", ".webm", ".wmv", ".y4m",
))
# fmt: on
_NUMBERED_IMAGE = re.compile(r"img_\d{5,}\.jpg")  # as `marey.video.FrameFolder` reads them
_DEPTH = 4  # folders below the root; data sets are shallower


@dataclass(frozen=True, slots=True)
class Prepared:
    """An index made from a data set as published, and what did not fit."""

    index: Index

    missing: tuple[str, ...]
    """Listed, but not on the disk; paths as they are listed."""

    extra: tuple[str, ...]
    """Videos in no list; paths from the index's root."""


@dataclass(frozen=True, slots=True)
class Listed:
    """One line of an official list."""

    name: str
    """`<class>/<file>`."""

    label: str
    split: str | None
    """None for a video that the list leaves unused."""

    group: str | None
    where: str
    """File and line, for messages."""


def require_folder(root: Path) -> None:
    """Refuse a root that is no folder, or holds nothing."""
    if not root.is_dir():
        what = "is a file, not a folder" if root.exists() else "no such folder"
        around = root.parent.iterdir() if root.parent.is_dir() else ()
        hint = "" if root.exists() else nearest(root.name, [path.name for path in around])
        raise UsageError(f"{root}: {what}{hint}")
    if not any(root.iterdir()):
        raise UsageError(f"{root}: this folder is empty; give the one that holds the data set")


def videos_below(root: Path) -> list[str]:
    """Return the videos below `root`, as sorted posix paths from it.

    A folder of images like `img_00001.jpg` counts as one video. What is hidden does not count.
    """
    return sorted(_walk(str(root), "", _DEPTH))


def folders_below(root: Path, depth: int) -> Iterator[Path]:
    """Yield `root` and the folders up to `depth` levels below it, in order."""
    yield root
    if depth:
        for path in sorted(root.iterdir()):
            if path.is_dir() and not path.name.startswith("."):
                yield from folders_below(path, depth - 1)


def match(
    root: Path, listed: Sequence[Listed], found: Sequence[str], classes: Sequence[str]
) -> Prepared:
    """Return the index of the listed videos that were found.

    A video answers to a listed name by its folder and file name. Where no name is the same to
    the letter, upper and lower case count as equal, and then any video suffix will do: data
    sets are unpacked and converted in many ways.
    """
    named = [(i.where, Entry(i.name, i.label, i.split)) for i in listed if i.split is not None]
    refuse(str(root), list(repeated(named)))
    answers = _answers([item.name for item in listed], found)
    entries: list[Entry] = []
    missing: list[str] = []
    for item in listed:
        path = answers.get(item.name)
        if item.split is None:
            continue
        if path is None:
            missing.append(item.name)
        else:
            entries.append(Entry(path, item.label, item.split, item.group))
    if not entries:
        raise UsageError(
            f"{root}: none of the {len(missing)} listed videos is here, such as {missing[0]!r}"
            if missing
            else f"{root}: the lists name no video"
        )
    known = set(answers.values())
    extra = tuple(path for path in found if path not in known)
    return Prepared(Index(root, tuple(entries), tuple(classes)), tuple(missing), extra)


def _exact(name: str) -> str:
    return "/".join(PurePosixPath(name).parts[-2:])


def _folded(name: str) -> str:
    return _exact(name).casefold()


def _stem(name: str) -> str:
    path = PurePosixPath(_folded(name))
    return str(path.with_suffix("")) if path.suffix in VIDEO_SUFFIXES else str(path)


def _answers(names: Sequence[str], found: Sequence[str]) -> dict[str, str]:
    """Return the path that answers to each name, no path to two names."""
    answers: dict[str, str] = {}
    free = dict.fromkeys(found)
    for key in (_exact, _folded, _stem):
        pool: dict[str, str] = {}
        for path in free:
            pool.setdefault(key(path), path)
        for name in names:
            if name not in answers and key(name) in pool:
                answers[name] = pool.pop(key(name))
                del free[answers[name]]
    return answers


def list_lines(path: Path) -> list[tuple[str, str]]:
    """Return the lines of a list that are not blank, each after its place (`file line n`)."""
    if not path.is_file():
        raise UsageError(f"{path}: no such list")
    # A name that is not UTF-8 must still find its file, so it is kept as file names are.
    text = path.read_bytes().decode("utf-8-sig", errors="surrogateescape")
    lines = enumerate(text.replace("\r\n", "\n").split("\n"), start=1)
    return [(f"{path.name} line {number}", line) for number, line in lines if line.strip()]


def _walk(root: str, below: str, depth: int) -> Iterator[str]:
    """Yield the videos of one folder and those under it."""
    images = False
    with os.scandir(os.path.join(root, below)) as items:  # noqa: PTH118
        for item in items:
            if item.name.startswith("."):
                continue
            path = f"{below}/{item.name}" if below else item.name
            if item.is_dir():
                if depth:
                    yield from _walk(root, path, depth - 1)
            elif os.path.splitext(item.name)[1].lower() in VIDEO_SUFFIXES:  # noqa: PTH122
                yield path
            elif _NUMBERED_IMAGE.fullmatch(item.name):
                images = True
    if images and below:
        yield below
