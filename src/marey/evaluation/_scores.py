"""Scores: what a network says of every video of an index, kept for fusing and reporting.

Axes: N videos, Y classes.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float32, Int64, Shaped

from marey.durable import complete_file
from marey.errors import MareyError, UsageError

from ._arrays import read_arrays

# What is no head, the kinds of number or text it holds and how many axes it has.
_KINDS = {"videos": ("U", 1), "labels": ("iu", 1), "classes": ("U", 1), "meta": ("U", 0)}
FIELDS = tuple(_KINDS)
# Of what the meta may tell, the kinds that readers of scores count on.
_TOLD = {
    **dict.fromkeys(("model", "modality", "split", "weights_sha256", "index_sha256"), str),
    **dict.fromkeys(("views", "fusion"), dict),
    "unusable": list,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Scores:
    """Raw logits of each head for each video, and what they were made with."""

    videos: tuple[str, ...]
    """Paths as the index has them; streams are joined by these."""

    labels: Int64[np.ndarray, " N"]
    classes: tuple[str, ...]
    heads: Mapping[str, Float32[np.ndarray, "N Y"]]
    meta: Mapping[str, Any]
    """Model, weights, modality, views, aggregation, index, split."""

    def __post_init__(self) -> None:
        shape = (len(self.videos), len(self.classes))
        wrong = {name: head.shape for name, head in self.heads.items() if head.shape != shape}
        if wrong or self.labels.shape != shape[:1]:
            raise MareyError(
                f"scores of {shape[0]} videos and {shape[1]} classes need heads of shape {shape}, "
                f"got {wrong or self.labels.shape}"
            )
        require_label_range(self.labels, classes=shape[1])


def require_label_range(labels: Int64[np.ndarray, " N"], *, classes: int) -> None:
    """Refuse labels that number no class."""
    if labels.size and not 0 <= labels.min() <= labels.max() < classes:
        from_one = labels.min() == 1 and labels.max() == classes
        raise MareyError(
            f"labels run from {labels.min()} to {labels.max()}, but {classes} classes are numbered "
            f"0 to {classes - 1}" + ("; subtract 1 from each" if from_one else "")
        )


def save_scores(scores: Scores, path: Path) -> None:
    """Write a `.npz` that opens with `allow_pickle=False`; the same scores give the same bytes."""
    arrays: dict[str, Any] = {
        "videos": np.array(scores.videos, dtype=np.str_),
        "labels": scores.labels,
        "classes": np.array(scores.classes, dtype=np.str_),
        "meta": np.array(json.dumps(dict(scores.meta), sort_keys=True)),
        **scores.heads,
    }
    with complete_file(path) as temporary, temporary.open("wb") as file:
        np.savez(file, **arrays)


def load_scores(path: Path) -> Scores:
    """Read what `save_scores` wrote.

    Raises:
        UsageError: There is no such file, or it holds something else.
        RefusedError: It holds Python objects, which can run code when opened.
    """
    return scores_of(path, read_arrays(path))


def scores_of(path: Path, arrays: Mapping[str, Shaped[np.ndarray, "..."]]) -> Scores:
    """Return the scores that the arrays of a file hold.

    Raises:
        UsageError: They hold something else.
    """
    absent = [name for name in FIELDS if name not in arrays]
    if absent:
        raise UsageError(f"{path}: not a scores file, it has no {', '.join(absent)}")
    for name, array in arrays.items():
        kinds, axes = _KINDS.get(name, ("f", 2))
        if array.dtype.kind not in kinds or array.ndim != axes:
            found = f"{array.dtype} of shape {array.shape}"
            raise UsageError(f"{path}: not a scores file, its {name} is {found}")
    meta = _meta(path, str(arrays["meta"]))
    heads = {name: array for name, array in arrays.items() if name not in FIELDS}
    try:
        return Scores(
            videos=tuple(arrays["videos"].tolist()),
            labels=arrays["labels"].astype(np.int64),
            classes=tuple(arrays["classes"].tolist()),
            heads={name: head.astype(np.float32, copy=False) for name, head in heads.items()},
            meta=meta,
        )
    except MareyError as error:
        raise UsageError(f"{path}: not a scores file ({error})") from error


def _meta(path: Path, text: str) -> dict[str, Any]:
    """Return what a file tells of itself, if it is of the kinds that are known."""
    try:
        meta = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise UsageError(f"{path}: not a scores file, its meta is no JSON ({error})") from error
    if not isinstance(meta, dict):
        raise UsageError(f"{path}: not a scores file, its meta is no JSON object")
    wrong = [name for name, kind in _TOLD.items() if not isinstance(meta.get(name, kind()), kind)]
    weights = [] if wrong else meta.get("fusion", {}).values()
    if wrong or not all(isinstance(weight, int | float) for weight in weights):
        name = wrong[0] if wrong else "fusion"
        raise UsageError(f"{path}: not a scores file, its meta has {name} {meta[name]!r:.50}")
    return meta
