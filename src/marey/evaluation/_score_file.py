"""A file of scores as it comes: ours, the PyTorch OFF port's, or plain arrays.

Axes: N videos, V views of each, Y classes.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
from jaxtyping import Float32, Int64, Shaped

from marey.errors import MareyError, UsageError
from marey.index import Index

from ._arrays import read_arrays
from ._differences import refuse_differences
from ._scores import FIELDS, require_label_range, scores_of

OverCrops = Literal["max", "mean"]

# The port's arrays and the heads that they are of, in the order of ours.
_PORT = {"scores2": "tsn", "scores1": "off7", "scores3": "off14"}
_LABELS = ("label", "labels")
_VIDEOS = ("video", "videos")
_CLASSES = ("classes",)


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoreFile:
    """The scores of one file, whoever wrote it; of a list of videos, none."""

    path: Path

    videos: tuple[str, ...] | None
    """None if the file does not name them."""

    labels: Int64[np.ndarray, " N"]

    classes: tuple[str, ...] | None
    """None if the file does not name them."""

    heads: Mapping[str, Float32[np.ndarray, "N Y"]]

    meta: Mapping[str, Any] = field(default_factory=dict)
    """What the file tells of how it was made."""

    ours: bool = False
    """Whether it is ours: then its video paths are those of an index, to the letter."""

    remarks: tuple[str, ...] = ()
    """What a user should know of how it was read."""

    @property
    def class_count(self) -> int:
        """How many classes are told apart."""
        scores = next(iter(self.heads.values()), None)
        return len(self.classes or ()) if scores is None else scores.shape[1]

    def only(self, heads: Sequence[str]) -> "ScoreFile":
        """Return the same with these heads, in this order."""
        unknown = [head for head in heads if head not in self.heads]
        if unknown:
            raise UsageError(f"{self.path}: no head {unknown[0]!r}; it has {', '.join(self.heads)}")
        return replace(self, heads={head: self.heads[head] for head in heads})


def score_file_of_index(path: Path, index: Index, *, split: str) -> ScoreFile:
    """Return the videos, labels and classes of a split of an index as a file without heads."""
    rows = index.only(split)
    return ScoreFile(
        path=path,
        videos=tuple(entry.path for entry in rows.entries),
        labels=np.array(rows.labels, dtype=np.int64),
        classes=rows.classes,
        heads={},
        meta={"split": split, "index_sha256": index.fingerprint},
    )


def read_score_file(
    word: str, *, over_crops: OverCrops = "max", listed: ScoreFile | None = None
) -> ScoreFile:
    """Return the scores in `FILE`, or those of the heads named in `FILE:head,head`.

    Args:
        word: The file and perhaps heads.
        over_crops: How the views of a video become one where the file has them all.
        listed: The list that a file without names of videos follows, row by row.

    Raises:
        UsageError: The file holds no scores, or contradicts itself or the list.
        RefusedError: It holds Python objects, which can run code when opened.
    """
    path, heads = _parts(word)
    arrays = read_arrays(path)
    if all(name in arrays for name in FIELDS):
        file = _ours(path, arrays)
    else:
        file = _foreign(path, arrays, over_crops=over_crops, listed=listed)
    file = file.only(heads) if heads else file
    _require_finite(file)
    return file


def _parts(word: str) -> tuple[Path, list[str]]:
    """Return the file and the heads of `FILE:head,head`; a file of just that name comes first."""
    name, colon, heads = word.rpartition(":")
    if not colon or Path(word).exists():
        return Path(word), []
    picked = heads.split(",")
    if len(set(picked)) < len(picked) or not all(picked):
        raise UsageError(
            f"{word}: name each head once, such as {name}:{','.join(dict.fromkeys(picked))}"
        )
    return Path(name), picked


def _ours(path: Path, arrays: Mapping[str, Shaped[np.ndarray, "..."]]) -> ScoreFile:
    scores = scores_of(path, arrays)
    if not scores.videos or not scores.heads:
        raise UsageError(f"{path}: holds no scores")
    return ScoreFile(
        path=path,
        videos=scores.videos,
        labels=scores.labels,
        classes=scores.classes,
        heads=scores.heads,
        meta=scores.meta,
        ours=True,
    )


def _foreign(
    path: Path,
    arrays: Mapping[str, Shaped[np.ndarray, "..."]],
    *,
    over_crops: OverCrops,
    listed: ScoreFile | None,
) -> ScoreFile:
    """Return the scores of a file that is not ours."""
    raw, remarks = _raw_heads(path, arrays)
    heads = {head: _over_crops(array, over_crops) for head, array in raw.items()}
    rows, classes = next(iter(heads.values())).shape
    for head, scores in heads.items():
        if scores.shape != (rows, classes) or scores.size == 0:
            shapes = ", ".join(f"{name} {array.shape}" for name, array in raw.items())
            raise UsageError(f"{path}: head {head} has other videos or classes, or none: {shapes}")
    videos, labels = _names(path, arrays, _VIDEOS), _labels(path, arrays)
    if videos is None and listed is not None:
        videos, labels = listed.videos, _listed_labels(path, labels, rows, listed)
        remarks.append(f"{path}: has no names; its rows are taken for those of {listed.path}")
    if labels is None:
        hint = "" if videos else "; or give the list that it follows: --list INDEX.csv"
        raise UsageError(f"{path}: has no labels; add the array `label`{hint}")
    names = _names(path, arrays, _CLASSES)
    for what, found, wanted in (
        ("labels for the scores of {} videos", labels, rows),
        ("names for the scores of {} videos", videos, rows),
        ("class names for scores of {} classes", names, classes),
    ):
        if found is not None and len(found) != wanted:
            raise UsageError(f"{path}: {len(found)} {what.format(wanted)}")
    try:
        require_label_range(labels, classes=classes)
    except MareyError as error:
        raise UsageError(f"{path}: {error}") from error
    meta: dict[str, Any] = {}
    if videos is not None and listed is not None and videos is listed.videos:
        meta["split"] = listed.meta["split"]
    if crops := {array.shape[1] for array in raw.values() if array.ndim == 3}:
        meta["views"] = {"crops": max(crops), "over_crops": over_crops}
    return ScoreFile(
        path=path,
        videos=videos,
        labels=labels,
        classes=names,
        heads=heads,
        meta=meta,
        remarks=tuple(remarks),
    )


def _raw_heads(
    path: Path, arrays: Mapping[str, Shaped[np.ndarray, "..."]]
) -> tuple[dict[str, Shaped[np.ndarray, "..."]], list[str]]:
    """Return the arrays that can be scores, by head, and a remark on the others."""
    ports = [name for name in _PORT if name in arrays]
    if any(arrays[name].dtype.kind != "f" or arrays[name].ndim != 3 for name in ports):
        ports = []  # Names that anyone may choose; the port keeps all crops.
    rest = [name for name in arrays if name not in (*ports, *_LABELS, *_VIDEOS, *_CLASSES)]
    plain = [n for n in rest if arrays[n].dtype.kind == "f" and arrays[n].ndim in (2, 3)]
    heads = {_PORT[name]: arrays[name] for name in ports} | {name: arrays[name] for name in plain}
    if not heads:
        held = ", ".join(f"{name} {array.dtype}{array.shape}" for name, array in arrays.items())
        raise UsageError(
            f"{path}: no array of floats [videos, classes] or [videos, crops, classes] in it; "
            f"it has {held or 'nothing'}"
        )
    others = [name for name in rest if name not in plain]
    return heads, [f"{path}: no scores, so left out: {', '.join(others)}"] if others else []


def _over_crops(array: Shaped[np.ndarray, "..."], rule: OverCrops) -> Float32[np.ndarray, "N Y"]:
    """Return one row of scores for each video."""
    if array.ndim == 3:
        if array.shape[1] == 0:
            return np.zeros((0, 0), dtype=np.float32)
        array = array.max(axis=1) if rule == "max" else array.mean(axis=1, dtype=np.float64)
    with np.errstate(over="ignore"):  # what does not fit becomes infinite, which is refused
        return array.astype(np.float32, copy=False)


def _names(
    path: Path, arrays: Mapping[str, Shaped[np.ndarray, "..."]], called: Sequence[str]
) -> tuple[str, ...] | None:
    """Return the texts in the array of one of these names, if there is one."""
    array = next((arrays[name] for name in called if name in arrays), None)
    if array is None:
        return None
    if array.dtype.kind not in "US" or array.ndim != 1:
        raise UsageError(f"{path}: its `{called[0]}` is {array.dtype}{array.shape}, not names")
    try:
        names = np.strings.decode(array, "utf-8") if array.dtype.kind == "S" else array
    except UnicodeDecodeError as error:
        raise UsageError(f"{path}: its `{called[0]}` is not UTF-8 text") from error
    return tuple(names.tolist())


def _labels(
    path: Path, arrays: Mapping[str, Shaped[np.ndarray, "..."]]
) -> Int64[np.ndarray, " N"] | None:
    array = next((arrays[name] for name in _LABELS if name in arrays), None)
    if array is None:
        return None
    if array.dtype.kind not in "iu" or array.ndim != 1:
        raise UsageError(
            f"{path}: its `label` is {array.dtype}{array.shape}, not one whole number a video"
        )
    return array.astype(np.int64)


def _listed_labels(
    path: Path, labels: Int64[np.ndarray, " N"] | None, rows: int, listed: ScoreFile
) -> Int64[np.ndarray, " N"]:
    """Return the labels of the list, which those of the file must be."""
    if rows != len(listed.labels):
        raise UsageError(
            f"{path}: scores of {rows} videos, but {listed.path} lists {len(listed.labels)}; "
            "give the list and the split that it was made with"
        )
    if labels is not None and len(labels) == rows:
        assert listed.videos is not None
        differences = [
            f"row {row}, {listed.videos[row]!r}: {labels[row]} in {path.name}, "
            f"{listed.labels[row]} in {listed.path.name}"
            for row in np.flatnonzero(labels != listed.labels)
        ]
        refuse_differences(
            f"{path} does not follow the list {listed.path}: their labels differ",
            differences,
            fix="give the list, in its order, that it was made with",
        )
    return listed.labels if labels is None else labels


def _require_finite(file: ScoreFile) -> None:
    """Refuse scores that are no numbers; they would decide every comparison by accident."""
    for head, scores in file.heads.items():
        rows = np.flatnonzero(~np.isfinite(scores).all(axis=1))
        if len(rows):
            first = repr(file.videos[rows[0]]) if file.videos else f"row {rows[0]}"
            raise UsageError(
                f"{file.path}: head {head} holds NaN or infinity for {len(rows)} videos, such as "
                f"{first}; score them again, or leave the head out: {file.path}:HEAD,HEAD"
            )
