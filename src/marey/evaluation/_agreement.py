"""What files of scores must have in common before they can be joined. Axes: N videos."""

from collections import defaultdict
from typing import Any

import numpy as np
from jaxtyping import Int64

from marey.errors import UsageError

from ._differences import class_differences, refuse_differences
from ._score_file import ScoreFile


def require_same_classes(one: ScoreFile, other: ScoreFile) -> None:
    """Refuse other classes, or the same in another order.

    Raises:
        UsageError: The first five differences.
    """
    both = f"{one.path} and {other.path}"
    if one.classes is not None and other.classes is not None:
        refuse_differences(
            f"{both} have different classes",
            class_differences(one.classes, other.classes, names=(str(one.path), str(other.path))),
            fix="score both with networks of the same classes in the same order",
        )
    if one.class_count != other.class_count:
        raise UsageError(
            f"{both} have different classes: {one.class_count} and {other.class_count}; "
            "score both with networks of the same classes"
        )


def require_same_split(one: ScoreFile, other: ScoreFile) -> None:
    """Refuse scores of another split.

    Raises:
        UsageError: Both files tell a split, and not the same.
    """
    splits = (one.meta.get("split"), other.meta.get("split"))
    if None not in splits and splits[0] != splits[1]:
        raise UsageError(
            f"{one.path} holds scores of the split {splits[0]!r}, {other.path} of {splits[1]!r}; "
            f"score both with: marey test MODEL INDEX --split {splits[0]}"
        )


def require_same_views(one: ScoreFile, other: ScoreFile) -> None:
    """Refuse scores that look at a video in another way.

    Raises:
        UsageError: What differs, as far as both files tell.
    """
    mine, others = views_of(one), views_of(other)
    differences = [
        f"{view} is {mine[view]} in {one.path} and {others[view]} in {other.path}"
        for view in mine
        if view in others and mine[view] != others[view]
    ]
    refuse_differences(
        f"{one.path} and {other.path} look at the videos in different ways",
        differences,
        fix="score both with the same --snippets, --crops and --over-crops",
    )


def views_of(file: ScoreFile) -> dict[str, Any]:
    """Return how the videos were looked at, as far as the file tells."""
    views = file.meta.get("views")
    return views if isinstance(views, dict) else {}


def require_each_once(file: ScoreFile) -> None:
    """Refuse a video that is there twice: nobody could tell which row is meant.

    Raises:
        UsageError: The first five of them.
    """
    rows: dict[str, list[int]] = defaultdict(list)
    for row, video in enumerate(file.videos or ()):
        rows[video].append(row)
    refuse_differences(
        f"{file.path} holds videos more than once",
        [
            f"{video!r} is in rows {', '.join(map(str, places))}"
            for video, places in rows.items()
            if len(places) > 1
        ],
        fix="keep one row of each; several stretches of one video cannot be fused",
    )


def require_same_labels(one: ScoreFile, other: ScoreFile, rows: Int64[np.ndarray, " N"]) -> None:
    """Refuse videos that show one thing here and another there.

    Args:
        one: The file that gives the order of the videos.
        other: The file whose `rows` follow that order.
        rows: For each video of the one, its row in the other.

    Raises:
        UsageError: The first five of them.
    """
    classes = one.classes or other.classes
    videos = one.videos or range(len(one.labels))
    mine, others = one.labels.tolist(), other.labels[rows].tolist()

    def named(label: int) -> str:
        return f"{label} ({classes[label]})" if classes else str(label)

    refuse_differences(
        f"{one.path} and {other.path} have different labels",
        [
            f"{video!r} is {named(label)} in {one.path} and {named(another)} in {other.path}"
            for video, label, another in zip(videos, mine, others, strict=True)
            if label != another
        ],
        fix="score both with the same index; or the classes are in another order",
    )
