"""Scores: what a network says of every video of an index, kept for fusing and reporting.

Axes: N videos, Y classes.
"""

import json
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float32, Int64

from marey.durable import complete_file
from marey.errors import MareyError, UsageError

_FIELDS = ("videos", "labels", "classes", "meta")


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
    """
    if not path.is_file():
        raise UsageError(f"{path}: no such scores file; make one with: marey test MODEL INDEX")
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
    except (ValueError, OSError, EOFError, zipfile.BadZipFile) as error:
        raise UsageError(f"{path}: not a scores file ({error})") from error
    absent = [name for name in _FIELDS if name not in arrays]
    if absent:
        raise UsageError(f"{path}: not a scores file, it has no {', '.join(absent)}")
    return Scores(
        videos=tuple(arrays["videos"].tolist()),
        labels=arrays["labels"],
        classes=tuple(arrays["classes"].tolist()),
        heads={name: array for name, array in arrays.items() if name not in _FIELDS},
        meta=json.loads(str(arrays["meta"])),
    )
