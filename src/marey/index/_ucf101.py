"""UCF101 (https://www.crcv.ucf.edu/data/UCF101.php) with its official splits.

The lists hold traps: lines may end in CR LF, labels count from one, test lines have no label,
and the folder `HandstandPushups` holds `v_HandStandPushups_*`.
"""

import re
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from marey.errors import UsageError

from ._found import (
    Listed,
    Prepared,
    folders_below,
    list_lines,
    match,
    require_folder,
    videos_below,
)
from ._problems import nearest, refuse

_LINE = re.compile(r"\s*(?P<name>.*?\S)(?:\s+(?P<number>[0-9]{1,18}))?\s*")
_GROUP = re.compile(r"v_(?P<group>.+_g\d+)_c\d+", re.IGNORECASE)


def prepare_ucf101(root: Path, *, split: int = 1, lists: Path | None = None) -> Prepared:
    """Return the index of one official split.

    Args:
        root: Folder that holds the class folders, at any depth down to three.
        split: 1, 2 or 3.
        lists: Folder with `classInd.txt`, `trainlist0K.txt` and `testlist0K.txt`; without
            it they are looked for in `root` and two levels below.
    """
    require_folder(root)
    folder = lists or _lists_below(root)
    train, test = (folder / f"{part}list{split:02}.txt" for part in ("train", "test"))
    if not (train.is_file() and test.is_file()):
        there = sorted(path.name for path in folder.glob("*list*.txt"))
        raise UsageError(
            f"{folder}: split {split} needs {train.name} and {test.name}; "
            f"there is {', '.join(there) or 'no list'}"
        )
    classes = _classes(folder / "classInd.txt")
    problems: list[str] = []
    listed = [
        *_listed(train, "train", classes, problems),
        *_listed(test, "test", classes, problems),
    ]
    refuse(str(folder), problems)
    return match(root, listed, videos_below(root), classes)


def _lists_below(root: Path) -> Path:
    for folder in folders_below(root, 2):
        if (folder / "classInd.txt").is_file():
            return folder
    raise UsageError(
        f"{root}: no classInd.txt here or two levels below; unpack the action recognition "
        "splits (ucfTrainTestlist) there, or name their folder with --lists"
    )


def _classes(path: Path) -> tuple[str, ...]:
    """Return the class names in the order of their numbers."""
    names: list[str] = []
    problems: list[str] = []
    for where, line in list_lines(path):
        number, _, name = line.strip().partition(" ")
        if number != str(len(names) + 1) or not name.strip() or name.strip() in names:
            problems.append(f"{where}: expected `{len(names) + 1} <new class>`, got {line!r}")
        names.append(name.strip())
    refuse(str(path), problems)
    return tuple(names)


def _listed(
    path: Path, split: str, classes: tuple[str, ...], problems: list[str]
) -> Iterator[Listed]:
    """Yield the lines of one list; add what is wrong with them to `problems`."""
    folded = {name.casefold(): name for name in classes}
    for where, line in list_lines(path):
        found = _LINE.fullmatch(line)
        assert found is not None, "the line is not blank"
        name, number = found["name"].replace("\\", "/"), found["number"]
        folder = PurePosixPath(name).parent.name
        label = folded.get(folder.casefold())
        if label is None:
            problems.append(f"{where}: {folder!r} is not a class{nearest(folder, classes)}")
        elif number is not None and int(number) != classes.index(label) + 1:
            problems.append(f"{where}: label {number} is not {label!r}, {classes.index(label) + 1}")
        else:
            group = _GROUP.fullmatch(PurePosixPath(name).stem)
            yield Listed(name, label, split, group["group"] if group else None, where)
