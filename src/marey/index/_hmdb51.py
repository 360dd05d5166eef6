"""HMDB51 (https://serre-lab.clps.brown.edu/resource/hmdb-a-large-human-motion-database/).

For every class and split there is a list of `<file> <flag>`, the flag 0 for a video that is
not used, 1 for training and 2 for testing. File names hold `#`, `[`, `;`, `&` and `(`.
"""

import re
from collections.abc import Sequence
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
from ._problems import refuse

_LIST = re.compile(r"(?P<label>[^.].*)_test_split(?P<split>\d+)\.txt")
_FLAGS = {"0": None, "1": "train", "2": "test"}
# Visible body part, camera motion, number of people, direction, quality and clip.
_TRAITS = r"_[fuhl]_(cm|nm)_np\d+_(fr|ba|le|ri)_(bad|med|goo)_\d+"


def prepare_hmdb51(root: Path, *, split: int = 1, lists: Path | None = None) -> Prepared:
    """Return the index of one official split.

    Args:
        root: Folder that holds the class folders, at any depth down to three.
        split: 1, 2 or 3.
        lists: Folder with `<class>_test_split<k>.txt`; without it they are looked for in
            `root` and two levels below.
    """
    require_folder(root)
    return match_lists(root, videos_below(root), split=split, lists=lists)


def match_lists(
    root: Path, found: Sequence[str], *, split: int, lists: Path | None = None
) -> Prepared:
    """Return the index of one split of the videos `found` below `root`."""
    files = _lists(root, split, lists)
    problems: list[str] = []
    listed: list[Listed] = []
    for label, path in sorted(files.items()):
        for where, line in list_lines(path):
            name, flag = ["", *line.strip().rsplit(None, 1)][-2:]
            if not name or flag not in _FLAGS:
                problems.append(f"{where}: expected `<file> <0, 1 or 2>`, got {line!r}")
                continue
            group = _source(name, label)
            listed.append(Listed(f"{label}/{name}", label, _FLAGS[flag], group, where))
    refuse(str(lists or root), problems)
    return match(root, listed, found, sorted(files))


def _lists(root: Path, split: int, lists: Path | None) -> dict[str, Path]:
    """Return the list of every class for one split."""
    others: set[int] = set()
    for folder in [lists] if lists else folders_below(root, 2):
        files: dict[str, Path] = {}
        for path in sorted(folder.glob("*_test_split*.txt")):
            named = _LIST.fullmatch(path.name)
            if named and int(named["split"]) == split:
                files[named["label"]] = path
            elif named:
                others.add(int(named["split"]))
        if files:
            return files
    if others:
        have = ", ".join(map(str, sorted(others)))
        raise UsageError(f"{lists or root}: no list of split {split}; there is split {have}")
    raise UsageError(
        f"{lists or root}: no <class>_test_split{split}.txt here or two levels below; unpack "
        "the train/test splits there, or name their folder with --lists"
    )


def _source(name: str, label: str) -> str | None:
    """Return the recording that a clip was cut from: its name up to class and traits."""
    stem = PurePosixPath(name).stem
    source = re.fullmatch(f"(.+)_{re.escape(label)}{_TRAITS}", stem, re.IGNORECASE)
    return source[1] if source else None
