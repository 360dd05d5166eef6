"""Scores made up for the tests of the report."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from marey.evaluation import Scores, save_scores

CLASSES = ("run", "sit", "walk")


def made_scores(
    *,
    videos: Sequence[str] = ("a.mp4", "b.mp4", "c.mp4", "d.mp4"),
    labels: Sequence[int] = (0, 1, 2, 0),
    classes: Sequence[str] = CLASSES,
    heads: Sequence[str] = ("tsn",),
    seed: int = 0,
    meta: dict[str, Any] | None = None,
) -> Scores:
    """Return scores that draw their logits."""
    rng = np.random.default_rng(seed)
    return Scores(
        videos=tuple(videos),
        labels=np.array(labels, dtype=np.int64),
        classes=tuple(classes),
        heads={
            head: rng.normal(size=(len(videos), len(classes))).astype(np.float32) for head in heads
        },
        meta=meta or {},
    )


def saved(folder: Path, name: str, scores: Scores) -> Path:
    """Return the file that the scores were saved in."""
    save_scores(scores, folder / name)
    return folder / name
