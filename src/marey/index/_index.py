"""The index: which videos there are, what each shows, and what part of an experiment it is for."""

import json
import math
import posixpath
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import astuple, dataclass, replace
from functools import cached_property
from hashlib import sha256
from pathlib import Path

from marey.errors import UsageError
from marey.video import is_there

from ._problems import nearest, refuse

SPLITS = ("train", "val", "test")


@dataclass(frozen=True, slots=True)
class Entry:
    """One video, or one stretch of it."""

    path: str
    """Posix path from the index's folder to the video; may begin with `../`."""

    label: str
    split: str | None = None
    """`train`, `val` or `test`."""

    group: str | None = None
    """Clips cut from one recording share a group, and are never parted by `hold_out`."""

    start: float | None = None
    """Where the stretch begins, in seconds; None is the video's beginning."""

    end: float | None = None
    """Where the stretch ends, in seconds; None is the video's end."""


@dataclass(frozen=True)
class Index:
    """A list of videos and the classes that their labels are numbered by."""

    root: Path
    """The folder that the paths start from."""

    entries: tuple[Entry, ...]
    classes: tuple[str, ...]

    def __post_init__(self) -> None:
        problems = [
            f"class {name!r} is named {count} times"
            for name, count in Counter(self.classes).items()
            if count > 1
        ]
        for label in sorted({entry.label for entry in self.entries} - set(self.classes)):
            problems.append(f"label {label!r} is not a class{nearest(label, self.classes)}")
        refuse(str(self.root), problems)

    @cached_property
    def _numbers(self) -> dict[str, int]:
        return {name: number for number, name in enumerate(self.classes)}

    @property
    def labels(self) -> tuple[int, ...]:
        """The class number of every entry."""
        return tuple(self._numbers[entry.label] for entry in self.entries)

    @property
    def splits(self) -> tuple[str, ...]:
        """The splits that hold at least one video."""
        used = {entry.split for entry in self.entries}
        return tuple(split for split in SPLITS if split in used)

    @cached_property
    def fingerprint(self) -> str:
        """The SHA-256 of the entries and classes, wherever the index lies."""
        rows = [[self.classes], *map(astuple, self.entries)]
        return sha256(json.dumps(rows).encode()).hexdigest()

    def label_number(self, entry: Entry) -> int:
        """Return the place of the entry's label among the classes."""
        return self._numbers[entry.label]

    def file(self, entry: Entry) -> Path:
        """Return where the entry's video lies."""
        return self.root / entry.path

    def missing(self) -> list[Path]:
        """Return the videos that are not on the disk, each once."""
        paths = dict.fromkeys(entry.path for entry in self.entries)
        files = (self.root / path for path in paths)
        return [file for file in files if not is_there(file)]

    def only(self, split: str) -> "Index":
        """Return the entries of one split, with all the classes."""
        if split not in SPLITS:
            raise UsageError(
                f"{split!r} is not a split{nearest(split, SPLITS)}; there are {', '.join(SPLITS)}"
            )
        entries = tuple(entry for entry in self.entries if entry.split == split)
        if not entries:
            counts = Counter(entry.split for entry in self.entries)
            has = ", ".join(f"{name} ({counts[name]})" for name in self.splits)
            raise UsageError(f"no video is in split {split!r}; the index has {has or 'no splits'}")
        return Index(self.root, entries, self.classes)


def hold_out(index: Index, *, fraction: float, seed: int) -> Index:
    """Return the index with about `fraction` of its training videos moved to the split `val`.

    Groups move whole. Every class of at least two groups keeps videos on both sides, unless
    groups that several classes share leave no such choice. Which videos move depends on the
    seed and on nothing about the order of the rows. An index without any split counts as
    all training.
    """
    if not 0 < fraction < 1:
        raise UsageError(f"the fraction held out lies between 0 and 1, got {fraction}")
    ours = "train" if index.splits else None
    groups: dict[tuple[bool, str], Counter[str]] = defaultdict(Counter)
    for entry in index.entries:
        if entry.split == ours:
            groups[_group(entry)][entry.label] += 1
    if not groups:
        raise UsageError("no video is in split 'train', so none can be held out of it")
    held = _held_out(groups, fraction, seed)
    if not held:
        raise UsageError(
            "no video can be held out: every class has a single group, and groups stay whole"
        )

    def moved(entry: Entry) -> Entry:
        if entry.split != ours:
            return entry
        return replace(entry, split="val" if _group(entry) in held else "train")

    return replace(index, entries=tuple(map(moved, index.entries)))


def _group(entry: Entry) -> tuple[bool, str]:
    """Return what must stay together; a video without a group is one by itself."""
    return (False, entry.path) if entry.group is None else (True, entry.group)


def _held_out(
    groups: dict[tuple[bool, str], Counter[str]], fraction: float, seed: int
) -> set[tuple[bool, str]]:
    """Return the groups to hold out, given how many videos of each class each group has."""

    def drawn(key: tuple[bool, str]) -> bytes:
        return sha256(f"{seed} {key!a}".encode()).digest()

    kept: Counter[str] = Counter()
    for counts in groups.values():
        kept.update(counts)
    wanted = {label: fraction * count for label, count in kept.items()}
    taken: Counter[str] = Counter()
    held: set[tuple[bool, str]] = set()

    def take(key: tuple[bool, str]) -> None:
        held.add(key)
        taken.update(groups[key])
        kept.subtract(groups[key])

    def leaves_some(key: tuple[bool, str]) -> bool:
        return all(kept[label] > count for label, count in groups[key].items())

    order = sorted(groups, key=drawn)
    for key in order:
        lacks = {label: wanted[label] - taken[label] for label in groups[key]}
        # fsum rounds once, so the order of the labels cannot tip the balance.
        before = math.fsum(map(abs, lacks.values()))
        after = math.fsum(abs(lack - groups[key][label]) for label, lack in lacks.items())
        if after < before and leaves_some(key):
            take(key)
    for label in sorted(kept):
        if not taken[label]:
            # The smallest group overshoots the least; the order drawn settles equals.
            rest = [key for key in order if label in groups[key] and leaves_some(key)]
            if rest:
                take(min(rest, key=lambda key: groups[key].total()))
    return held


def repeated(entries: Iterable[tuple[str, Entry]]) -> Iterator[str]:
    """Yield a problem for each entry (named by its place) that an earlier one rules out."""
    seen: dict[tuple[str, float | None, float | None], str] = {}
    splits: dict[str, tuple[str | None, str]] = {}
    for where, entry in entries:
        path = posixpath.normpath(entry.path)
        key = (path, entry.start, entry.end)
        split, first = splits.setdefault(path, (entry.split, where))
        if split != entry.split:
            names = f"{split or 'no split'} and {entry.split or 'no split'}"
            yield f"{where}: {entry.path!r} is in both {names} (see {first})"
        elif key in seen:
            yield f"{where}: {entry.path!r} again (see {seen[key]})"
        seen.setdefault(key, where)
