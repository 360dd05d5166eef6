"""The index on disk: CSV (RFC 4180, UTF-8), its paths relative to the folder the file lies in."""

import csv
import io
import math
import os
import posixpath
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

from marey.durable import write_text
from marey.errors import IndexFileError, UsageError

from ._index import SPLITS, Entry, Index, repeated
from ._problems import nearest, refuse

COLUMNS = ("path", "label", "split", "group", "start", "end")
_CLASSES = "# classes:"


def read_index(path: Path, *, classes: Sequence[str] | None = None) -> Index:
    """Return the index in a CSV file.

    Args:
        path: The file; its columns are `path,label` and optionally `split,group,start,end`.
        classes: A model's classes. A file that states its class order must state this one; a
            file that does not may use any of these labels, and is numbered like the model.

    Raises:
        IndexFileError: The file contradicts itself; the message lists everything wrong with it.
        UsageError: There is no such file, or its classes are not the model's.
    """
    path = Path(path)
    lines = _lines(path)
    named, header = _class_line(path, lines)
    entries, problems = _entries(_rows(lines, first=header), named)
    if not entries and not problems:
        problems = ["it names no video"]
    refuse(str(path), problems)
    found = named or tuple(sorted({entry.label for entry in entries}))
    if classes is not None:
        _require_classes(path, found, tuple(classes), stated=named is not None)
        found = tuple(classes)
    return Index(path.parent, tuple(entries), found)


def write_index(index: Index, path: Path) -> None:
    """Write the index as CSV, its paths now relative to the folder of `path`.

    The same index gives the same bytes. Columns that no entry uses are left out, and so is
    the line of classes when it would say what the labels say.
    """
    path = Path(path)
    if not index.entries:
        raise UsageError(f"{path}: an index needs at least one video")
    used = [
        column
        for column in COLUMNS
        if any(getattr(entry, column) is not None for entry in index.entries)
    ]
    lines = [",".join(used)]
    if list(index.classes) != sorted({entry.label for entry in index.entries}):
        lines.insert(0, f"{_CLASSES} {','.join(map(_quoted, index.classes))}")
    rebase = _Rebase(index.root, path.parent)
    for entry in index.entries:
        cells = [_quoted(rebase(entry.path))]
        cells += [_quoted(_text(getattr(entry, column))) for column in used[1:]]
        lines.append(",".join(cells))
    text = "\n".join([*lines, ""])
    try:
        text.encode()
    except UnicodeEncodeError as error:
        line = text.count("\n", 0, error.start)
        raise IndexFileError(
            f"{lines[line]!a}: this name is not UTF-8 text, so no index can hold it; rename it"
        ) from error
    write_text(path, text)


def _lines(path: Path) -> list[str]:
    """Return the file's lines with their ends."""
    if path.is_dir():
        raise UsageError(
            f"{path} is a folder; make an index of it first: marey prepare folder {path}"
        )
    if not path.exists():
        raise UsageError(f"{path}: no such index; `marey prepare` makes one")
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise IndexFileError(
            f"{path}: not UTF-8 text (byte {error.start}); save it as CSV in UTF-8"
        ) from error
    return list(io.StringIO(text, newline=""))


def _class_line(path: Path, lines: list[str]) -> tuple[tuple[str, ...] | None, int]:
    """Return the classes stated above the header, and how many lines come before the header."""
    named: tuple[str, ...] | None = None
    at = 0
    while at < len(lines) and (lines[at].startswith("#") or not lines[at].strip()):
        if not lines[at].startswith(_CLASSES):
            at += 1
            continue
        if named is not None:
            raise IndexFileError(f"{path}: line {at + 1}: a second line of classes; keep one")
        rest = [lines[at].removeprefix(_CLASSES), *lines[at + 1 :]]
        reader = csv.reader(rest, strict=True, skipinitialspace=True)
        try:
            named = tuple(next(reader))
        except csv.Error as error:
            raise IndexFileError(f"{path}: line {at + 1}: {error}") from error
        if not named or not all(named) or len(set(named)) < len(named):
            raise IndexFileError(f"{path}: line {at + 1}: an empty class, or one named twice")
        at += reader.line_num
    return named, at


def _rows(lines: list[str], *, first: int) -> Iterator[tuple[int, list[str]]]:
    """Yield the line number and the cells of every row that is not blank."""
    reader = csv.reader(lines[first:], strict=True)
    line = first + 1
    for cells in reader:
        if cells:
            yield line, cells
        line = first + reader.line_num + 1


def _entries(
    rows: Iterator[tuple[int, list[str]]], classes: tuple[str, ...] | None
) -> tuple[list[Entry], list[str]]:
    """Return the entries below the header, and everything wrong with them."""
    entries: list[tuple[str, Entry]] = []
    problems: list[str] = []
    line = 0
    try:
        line, header = next(rows, (1, []))
        names = [name.strip() for name in header]
        problems = [f"line {line}: {problem}" for problem in _header_problems(names)]
        if problems:
            return [], problems
        for line, cells in rows:
            if len(cells) != len(names):
                hint = " (the classes belong above the header)" if cells[0][:1] == "#" else ""
                problems.append(f"line {line}: {len(cells)} cells below {len(names)} names{hint}")
                continue
            values = dict(zip(names, cells, strict=True))
            entry, wrong = _entry(values, classes)
            problems += [f"line {line}: {problem}" for problem in wrong]
            entries.append((f"line {line}", entry))
    except csv.Error as error:
        problems.append(f"after line {line}: {error}")
    problems += repeated((where, entry) for where, entry in entries if entry.path)
    return [entry for _, entry in entries], problems


def _header_problems(names: list[str]) -> Iterator[str]:
    for name in COLUMNS[:2]:
        if name not in names:
            yield f"no column {name!r} in the header {','.join(names)!r}; it begins path,label"
    for name, count in Counter(names).items():
        if name not in COLUMNS:
            yield f"unknown column {name!r}{nearest(name, COLUMNS)}; there are {','.join(COLUMNS)}"
        elif count > 1:
            yield f"column {name!r} {count} times"


def _entry(values: dict[str, str], classes: tuple[str, ...] | None) -> tuple[Entry, list[str]]:
    """Return the entry of one row, and what is wrong with it."""
    label, split = values["label"], values.get("split") or None
    problems = [f"empty {name}" for name in COLUMNS[:2] if not values[name]]
    if "\0" in values["path"]:
        problems.append("a zero byte in the path")
    if label and classes is not None and label not in classes:
        problems.append(f"label {label!r} is not one of the classes{nearest(label, classes)}")
    if split and split not in SPLITS:
        problems.append(
            f"unknown split {split!r}{nearest(split, SPLITS)}; there are train, val, test"
        )
    times: list[float | None] = []
    for name in ("start", "end"):
        seconds = _seconds(values.get(name, ""))
        if seconds is not None and not 0 <= seconds < math.inf:
            problems.append(f"{name} {values[name]!r} is not a number of seconds")
            seconds = None
        times.append(seconds)
    start, end = times
    if end is not None and (start or 0.0) >= end:
        problems.append(f"start {start or 0.0} is not before end {end}")
    return Entry(values["path"], label, split, values.get("group") or None, start, end), problems


def _seconds(text: str) -> float | None:
    """Return the number, None for no text, not-a-number for anything else."""
    try:
        return float(text) if text.strip() else None
    except ValueError:
        return math.nan


def _require_classes(
    path: Path, found: tuple[str, ...], wanted: tuple[str, ...], *, stated: bool
) -> None:
    """Refuse an index whose classes are not the model's, showing the first five differences."""
    if stated:
        differences = [
            f"class {number}: the index has {mine!r}, the model {other!r}"
            for number in range(max(len(found), len(wanted)))
            if (mine := _at(found, number)) != (other := _at(wanted, number))
        ]
    else:
        differences = [
            f"the model has no class {label!r}{nearest(label, wanted)}"
            for label in found
            if label not in wanted
        ]
    if differences:
        more = f"\n  and {len(differences) - 5} more" if len(differences) > 5 else ""
        raise UsageError(
            f"{path}: its classes are not the model's\n  " + "\n  ".join(differences[:5]) + more
        )


def _at(names: tuple[str, ...], number: int) -> str | None:
    return names[number] if number < len(names) else None


class _Rebase:
    """Turns paths from one folder into paths from another."""

    def __init__(self, root: Path, folder: Path) -> None:
        # `..` climbs out of the folder a link leads to, so where we climb from must be real;
        # the way down keeps the links that the user chose.
        down = os.path.abspath(root)  # noqa: PTH100 (Path.resolve would follow links)
        self._prefix = Path(os.path.relpath(down, folder.resolve())).as_posix()
        self._no_links = down == str(root.resolve())

    def __call__(self, path: str) -> str:
        if self._prefix == ".":
            return path
        joined = posixpath.join(self._prefix, path)
        return posixpath.normpath(joined) if self._no_links else joined


def _text(value: str | float | None) -> str:
    return "" if value is None else value if isinstance(value, str) else repr(value)


def _quoted(cell: str) -> str:
    """Return a CSV cell, quoted wherever a reader could take it for something else."""
    special = not cell.isprintable() or cell != cell.strip() or cell.startswith("#")
    if special or any(mark in cell for mark in ',"'):
        return '"' + cell.replace('"', '""') + '"'
    return cell
