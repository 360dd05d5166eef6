"""The tables beside the page, as CSV. Axes: Y classes."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Int64

from ._answers import Answers, ClassRow
from ._csv import Cell, csv_text
from ._streams import Streams


def streams_csv(streams: Streams) -> str:
    """Return the accuracies, shares between 0 and 1, the main result last."""
    rows: list[Sequence[Cell]] = []
    for stream in streams.rows:
        figures: list[Cell] = [stream.metrics.top1]
        figures += [stream.top1.low, stream.top1.high] if stream.top1 else [None, None]
        figures += [stream.metrics.top5, stream.metrics.mean_class]
        figures += (
            [stream.mean_class.low, stream.mean_class.high] if stream.mean_class else [None, None]
        )
        names = [stream.result, stream.head, stream.network, stream.modality]
        rows.append([*names, stream.metrics.videos, *figures])
    header = ["scores", "head", "network", "modality", "videos", "top1", "top1_low", "top1_high"]
    return csv_text([*header, "top5", "mean_class", "mean_class_low", "mean_class_high"], rows)


def confusion_csv(confusion: Int64[np.ndarray, "Y Y"], classes: Sequence[str]) -> str:
    """Return the counts, a row for each true class and a column for each answer."""
    rows: list[Sequence[Cell]] = [
        [name, *map(int, counts)] for name, counts in zip(classes, confusion, strict=True)
    ]
    return csv_text(["true class", *classes], rows)


def classes_csv(rows: Sequence[ClassRow], classes: Sequence[str]) -> str:
    """Return a row for each class."""
    return csv_text(
        [
            "class",
            "videos",
            "recognised",
            "accuracy",
            "most_frequent_wrong_answer",
            "times",
            "wrongly_taken_for_it",
        ],
        [
            [
                classes[row.number],
                row.videos,
                row.right,
                row.accuracy,
                None if row.wrong is None else classes[row.wrong],
                row.wrong_count,
                row.falsely,
            ]
            for row in rows
        ],
    )


def worst_csv(
    rows: Sequence[int], paths: Sequence[str], answers: Answers, classes: Sequence[str]
) -> str:
    """Return the worst videos, with the probabilities of their class and of the best other."""
    table: list[Sequence[Cell]] = []
    for place, (row, path) in enumerate(zip(rows, paths, strict=True), start=1):
        label = int(answers.labels[row])
        others = answers.probabilities[row].copy()
        others[label] = -1
        best = int(others.argmax())
        table.append(
            [
                place,
                path,
                classes[label],
                classes[answers.answers[row]],
                float(answers.probabilities[row, label]),
                classes[best],
                float(others[best]),
            ]
        )
    header = ["place", "path", "true_class", "answer", "probability_of_true_class"]
    return csv_text([*header, "best_other_class", "probability_of_best_other"], table)
