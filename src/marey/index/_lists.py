"""Lists that others use: CSV tables, and the `path frames label` lines of TSN and mmaction."""

import os
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from marey.errors import UsageError

from ._folder import with_groups
from ._found import VIDEO_SUFFIXES, Prepared, list_lines
from ._index import Entry, Index, repeated
from ._index_file import read_index
from ._problems import refuse

_MOST_DIGITS = 18
_MOST_CLASSES = 1_000_000


def prepare_csv(table: Path, *, root: Path | None = None) -> Prepared:
    """Return the index of the videos in a CSV table that are there.

    Args:
        table: Its columns are those of an index: `path,label`, optionally `split` and so on.
        root: The folder that the paths start from; without it, the table's own.
    """
    index = read_index(table)
    return _present(replace(index, root=root) if root else index)


def prepare_tsn_list(
    train: Path, *, test: Path | None = None, root: Path | None = None, classes: Path | None = None
) -> Prepared:
    """Return the index of lists of `path frames label`, labels counting from zero.

    The numbers of frames must make sense but are not relied on. A path without a suffix also
    finds the video of that name.

    Args:
        train: The list. If there is no list for testing, its videos are in no split.
        test: The list for testing.
        root: The folder that the paths start from; without it, the list's own.
        classes: File of class names, one a line; without it the classes are called 0, 1, ...
    """
    problems: list[str] = []
    lines = [(where, line, "train" if test else None) for where, line in list_lines(train)]
    if test:
        lines += [(where, line, "test") for where, line in list_lines(test)]
    parsed = list(_parsed(lines, problems))
    numbers = [number for _, number, _ in parsed]
    names = _names(classes) if classes else tuple(map(str, range(max(numbers, default=-1) + 1)))
    if numbers and min(numbers) > 0 and (not classes or max(numbers) == len(names)):
        problems.append(
            f"labels begin at {min(numbers)}, but count from 0 in such a list; "
            "subtract 1, or give the names of all classes if some have no video"
        )
    problems += [
        f"{where}: label {number} is beyond the {len(names)} classes (0 to {len(names) - 1})"
        for where, number, _ in parsed
        if number >= len(names)
    ]
    problems += repeated((where, entry) for where, _, entry in parsed)
    refuse(str(train), problems)
    if not parsed:
        raise UsageError(f"{train}: this list is empty")
    entries = with_groups([replace(entry, label=names[n]) for _, n, entry in parsed])
    return _present(Index(root or train.parent, entries, names))


def _parsed(
    lines: list[tuple[str, str, str | None]], problems: list[str]
) -> Iterator[tuple[str, int, Entry]]:
    """Yield place, label and entry of every good line; add the others to `problems`."""
    for where, line, split in lines:
        # The path may hold spaces, so the numbers are taken from the right.
        path, frames, label = ["", "", *line.strip().rsplit(None, 2)][-3:]
        if not path or not _is_number(frames) or not _is_number(label):
            problems.append(f"{where}: expected `path frames label`, got {line!r}")
        elif int(frames) < 1:
            problems.append(f"{where}: {path!r} has {frames} frames; a video has at least 1")
        elif int(label) < 0:
            problems.append(f"{where}: label {label}; labels count from 0")
        elif int(label) >= _MOST_CLASSES:
            problems.append(f"{where}: label {label}; labels go up to {_MOST_CLASSES - 1}")
        else:
            yield where, int(label), Entry(path.replace("\\", "/"), label, split)


def _is_number(text: str) -> bool:
    # Python converts no more than some thousand digits.
    return text.isascii() and text.removeprefix("-").isdigit() and len(text) <= _MOST_DIGITS


def _names(path: Path) -> tuple[str, ...]:
    names = tuple(line.strip() for _, line in list_lines(path))
    again = [name for name, count in Counter(names).items() if count > 1]
    refuse(str(path), [f"class {name!r} is named twice" for name in again])
    return names


def _present(index: Index) -> Prepared:
    """Part the videos that are there from those that are not."""
    entries: list[Entry] = []
    missing: dict[str, None] = {}
    for entry in index.entries:
        path = _on_disk(index.root, entry.path)
        if path is None:
            missing[entry.path] = None
        else:
            entries.append(replace(entry, path=path))
    if not entries:
        raise UsageError(
            f"{index.root}: none of the {len(missing)} listed videos is here, such as "
            f"{index.entries[0].path!r}; do the paths start from another folder?"
        )
    return Prepared(replace(index, entries=tuple(entries)), tuple(missing), ())


def _on_disk(root: Path, path: str) -> str | None:
    """Return the path, or that of the video whose name without suffix it is."""
    for suffix in ("", *sorted(VIDEO_SUFFIXES)):
        if os.path.exists(root / f"{path}{suffix}"):  # noqa: PTH110 (raises on no name)
            return path + suffix
    return None
