"""Parts that a few clips are divided into, each of which is held out in turn."""

from collections import Counter, defaultdict
from dataclasses import replace
from hashlib import sha256

from marey.errors import UsageError
from marey.index import Entry, Index


def fold_numbers(clips: Index, *, share: float, seed: int) -> tuple[int, ...]:
    """Return for each clip the number of the fold that it is held out with.

    Clips of one recording go together. Each class is spread over as many folds as it can be,
    so that some of it is always left to learn from. The folds depend on the names of the
    recordings and on the seed, not on the order of the clips.

    Args:
        clips: The clips.
        share: Of the clips, that a fold is to hold.
        seed: Of the order in which recordings of equal size are dealt.

    Raises:
        UsageError: A class has a single recording, or there is a single class.
    """
    recordings: dict[str, Counter[str]] = defaultdict(Counter)
    for entry in clips.entries:
        recordings[recording_of(entry)][entry.label] += 1
    _require_enough(clips, recordings)
    count = min(max(round(1 / share), 2), len(recordings))

    def order(name: str) -> tuple[int, bytes]:
        return -recordings[name].total(), sha256(f"{seed} {name!a}".encode()).digest()

    held: list[Counter[str]] = [Counter() for _ in range(count)]
    fold: dict[str, int] = {}
    for name in sorted(recordings, key=order):
        mine = recordings[name]

        def fullness(number: int, mine: Counter[str] = mine) -> tuple[int, int, int]:
            alike = sum(held[number][label] * clips for label, clips in mine.items())
            return alike, held[number].total(), number

        fold[name] = min(range(count), key=fullness)
        held[fold[name]].update(mine)
    return tuple(fold[recording_of(entry)] for entry in clips.entries)


def without_fold(clips: Index, folds: tuple[int, ...], number: int) -> tuple[Index, Index]:
    """Return the clips to learn from and those of one fold, held out."""
    sides: tuple[list[Entry], list[Entry]] = ([], [])
    for entry, fold in zip(clips.entries, folds, strict=True):
        sides[fold == number].append(replace(entry, split="val" if fold == number else "train"))
    learn, held_out = (replace(clips, entries=tuple(side)) for side in sides)
    return learn, held_out


def recording_of(entry: Entry) -> str:
    """Return the recording of a clip; one that no name tells of is a recording by itself."""
    return entry.path if entry.group is None else entry.group


def _require_enough(clips: Index, recordings: dict[str, Counter[str]]) -> None:
    """Refuse clips that nothing can be learnt from and be judged by."""
    if len(clips.classes) < 2:
        raise UsageError(
            f"{clips.root} has a single class, {clips.classes[0]!r}, and there is nothing to tell "
            "it from; make one folder for each class"
        )
    few = [label for label in clips.classes if sum(label in has for has in recordings.values()) < 2]
    if few:
        names = ", ".join(map(repr, few[:5])) + f" and {len(few) - 5} more" * (len(few) > 5)
        raise UsageError(
            f"too few clips of {names}: a class needs two or more that can be used, of different "
            "recordings, one to learn from and one to be judged by; ten are a good start"
        )
