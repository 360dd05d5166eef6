"""Scores files as a report tells of them. Axes: N videos, Y classes."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float32

from marey.errors import UsageError
from marey.evaluation import Scores, fuse_heads, head_weights, load_scores

Key = tuple[str, int]
"""A video's path, and how many rows of the same path come before it."""

_SHOWN = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """What one file of scores says."""

    name: str
    """What the report calls it: the file's name without the ending."""

    file: str

    scores: Scores
    weights: dict[str, float]
    """Of each head, in their sum."""

    logits: Float32[np.ndarray, "N Y"]
    """The answer that counts: the sum of the heads, or the only one."""

    @property
    def rows(self) -> dict[str, Float32[np.ndarray, "N Y"]]:
        """The logits of each head and, last, of their sum where there are several."""
        heads = dict(self.scores.heads)
        return heads if len(heads) == 1 else {**heads, "fused": self.logits}


def load_results(paths: Sequence[Path]) -> list[Result]:
    """Read scores files, and make sure that they speak of the same classes and labels.

    Raises:
        UsageError: A file is missing or is something else, or two contradict each other.
    """
    results = [
        _result(path, name, load_scores(path))
        for path, name in zip(paths, _names(paths), strict=True)
    ]
    for path, result in zip(paths, results, strict=True):
        _require_same_classes(path, result.scores, paths[-1], results[-1].scores)
        _require_same_labels(path, result.scores, paths[-1], results[-1].scores)
    return results


def keys_of(videos: Sequence[str]) -> list[Key]:
    """Return what a video is known by; several stretches of one file share its path."""
    seen: Counter[str] = Counter()
    keys = []
    for video in videos:
        keys.append((video, seen[video]))
        seen[video] += 1
    return keys


def _result(path: Path, name: str, scores: Scores) -> Result:
    _check(path, scores)
    heads = scores.heads
    weights = dict.fromkeys(heads, 1.0)
    if len(heads) > 1:
        weights = head_weights(heads, scores.meta.get("fusion") or {}) or weights
    return Result(
        name=name,
        file=path.name,
        scores=scores,
        weights=weights,
        logits=fuse_heads(heads, weights),
    )


def _names(paths: Sequence[Path]) -> list[str]:
    """Return short names that tell the files apart."""
    stems = Counter(path.stem for path in paths)
    names = [path.stem if stems[path.stem] == 1 else str(path) for path in paths]
    twice = [name for name, count in Counter(names).items() if count > 1]
    if twice:
        raise UsageError(f"{twice[0]} is given twice; name each scores file once")
    return names


def _check(path: Path, scores: Scores) -> None:
    """Refuse scores that nothing can be said about."""
    if not scores.videos or not scores.heads:
        raise UsageError(f"{path}: no scores in it, so there is nothing to report")
    if len(scores.classes) < 2:
        raise UsageError(f"{path}: scores of a single class; there is nothing to tell apart")
    for head, logits in scores.heads.items():
        bad = ~np.isfinite(logits).all(axis=1)
        if bad.any():
            named = _listed([scores.videos[row] for row in np.flatnonzero(bad)])
            raise UsageError(f"{path}: head {head} holds no finite numbers for {named}")


def _require_same_classes(path: Path, mine: Scores, main_path: Path, main: Scores) -> None:
    differences = [
        f"class {number}: {path} has {a!r}, {main_path} {b!r}"
        for number, (a, b) in enumerate(_padded(mine.classes, main.classes))
        if a != b
    ]
    _refuse(f"{path}: its classes are not those of {main_path}", differences)


def _require_same_labels(path: Path, mine: Scores, main_path: Path, main: Scores) -> None:
    known = dict(zip(keys_of(main.videos), main.labels.tolist(), strict=True))
    theirs = dict(zip(keys_of(mine.videos), mine.labels.tolist(), strict=True))
    shared = [key for key in theirs if key in known]
    if not shared:
        raise UsageError(f"{path} and {main_path} have no video in common; report on one at a time")
    differences = [
        f"{key[0]}: {mine.classes[theirs[key]]!r} in {path}, {main.classes[known[key]]!r} in "
        f"{main_path}"
        for key in shared
        if theirs[key] != known[key]
    ]
    _refuse(f"{path}: its labels are not those of {main_path}", differences)


def _padded(a: Sequence[str], b: Sequence[str]) -> Iterator[tuple[str | None, str | None]]:
    for number in range(max(len(a), len(b))):
        yield (
            a[number] if number < len(a) else None,
            b[number] if number < len(b) else None,
        )


def _refuse(what: str, differences: Sequence[str]) -> None:
    if differences:
        more = len(differences) - _SHOWN
        lines = [what, *differences[:_SHOWN], *([f"and {more} more"] if more > 0 else [])]
        raise UsageError("\n  ".join(lines))


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + more
