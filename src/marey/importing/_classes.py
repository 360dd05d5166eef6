"""The names of the classes, in the order of a network's answers."""

import re
from collections import Counter
from pathlib import Path

from marey.errors import UsageError
from marey.index import read_index

_NUMBERED = re.compile(r"([0-9]{1,18})\s+(\S.*)")


def read_classes(path: Path) -> tuple[str, ...]:
    """Return the class names of a file.

    It has a name a line, or a number and a name, as UCF101's `classInd.txt`; or it is an index of
    videos, whose classes are returned.

    Raises:
        UsageError: There is no such file, or it names a class twice or none.
    """
    if not path.is_file():
        raise UsageError(f"there is no list of classes {path}; is the path right?")
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except UnicodeDecodeError as error:
        raise UsageError(f"{path}: not a list of classes, its text is not UTF-8") from error
    names = [line.strip() for line in lines if line.strip()]
    if path.suffix.lower() == ".csv" or (names and names[0].startswith(("path,", "# classes:"))):
        return read_index(path).classes
    if not names:
        raise UsageError(f"{path} names no class; write one a line, in the network's order")
    names = _without_numbers(path, names)
    twice = [name for name, count in Counter(names).items() if count > 1]
    if twice:
        raise UsageError(f"{path} names {len(twice)} classes twice, such as {twice[0]!r}")
    return tuple(names)


def _without_numbers(path: Path, lines: list[str]) -> list[str]:
    """Return the names alone where every line begins with a number, from 0 or 1 on."""
    parts = [_NUMBERED.fullmatch(line) for line in lines]
    found = [(int(part[1]), part[2]) for part in parts if part]
    if len(found) < len(lines):
        return lines
    for expected, (number, name) in enumerate(found, start=min(found[0][0], 1)):
        if number != expected:
            raise UsageError(
                f"{path}: the class {name!r} has number {number} where {expected} was expected; "
                "number all classes from 0 or 1 on in the network's order, or none"
            )
    return [name for _, name in found]
