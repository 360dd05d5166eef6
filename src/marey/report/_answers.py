"""What the answers of one result come to: right and wrong, and which with which.

Axes: N videos, Y classes.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Float32, Int64


@dataclass(frozen=True, slots=True)
class Answers:
    """One answer for each video."""

    labels: Int64[np.ndarray, " N"]
    answers: Int64[np.ndarray, " N"]
    margins: Float[np.ndarray, " N"]
    """Logit of the true class less the highest of the others; right where above zero."""

    probabilities: Float[np.ndarray, "N Y"]

    @property
    def right(self) -> Bool[np.ndarray, " N"]:
        """Which answers are the label. A tie is not, as in `top_k_accuracy`."""
        right: Bool[np.ndarray, " N"] = self.answers == self.labels
        return right


def answers_of(logits: Float32[np.ndarray, "N Y"], labels: Int64[np.ndarray, " N"]) -> Answers:
    """Return the answers that logits stand for."""
    exact = logits.astype(np.float64)
    rows = np.arange(len(labels))
    own = exact[rows, labels]
    others = exact.copy()
    others[rows, labels] = -np.inf
    rivals = others.argmax(axis=1)
    margins = own - others[rows, rivals]
    raised = np.exp(exact - exact.max(axis=1, keepdims=True))
    return Answers(
        labels=labels,
        answers=np.where(margins > 0, labels, rivals),
        margins=margins,
        probabilities=raised / raised.sum(axis=1, keepdims=True),
    )


def confusion_of(answers: Answers) -> Int64[np.ndarray, "Y Y"]:
    """Return how many videos of each class (row) were answered with each class (column)."""
    classes = answers.probabilities.shape[1]
    places = answers.labels * classes + answers.answers
    counts: Int64[np.ndarray, "Y Y"] = np.bincount(places, minlength=classes**2).reshape(
        classes, classes
    )
    return counts


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassRow:
    """How the videos of one class were answered."""

    number: int
    videos: int
    right: int
    wrong: int | None
    """Class of the most frequent wrong answer; the first of several; None if there is none."""

    wrong_count: int
    """How often that answer was given."""

    falsely: int
    """Videos of other classes that were answered with this one."""

    @property
    def accuracy(self) -> float | None:
        """Share of its videos that were recognised; None without a video."""
        return self.right / self.videos if self.videos else None


def class_rows(confusion: Int64[np.ndarray, "Y Y"]) -> list[ClassRow]:
    """Return a row for each class, in their order."""
    rows = []
    for number, counts in enumerate(confusion):
        mistakes = counts.copy()
        mistakes[number] = 0
        most = int(mistakes.argmax())
        rows.append(
            ClassRow(
                number=number,
                videos=int(counts.sum()),
                right=int(counts[number]),
                wrong=most if mistakes[most] else None,
                wrong_count=int(mistakes[most]),
                falsely=int(confusion[:, number].sum() - counts[number]),
            )
        )
    return rows


@dataclass(frozen=True, slots=True)
class Pair:
    """Two classes that are taken for each other."""

    first: int
    second: int
    first_as_second: int
    """Videos of the first class that were answered with the second."""

    second_as_first: int

    @property
    def there(self) -> tuple[int, int]:
        """The label and the answer of one direction; of the other they are swapped."""
        return self.first, self.second

    @property
    def mistakes(self) -> int:
        """How often either was taken for the other."""
        return self.first_as_second + self.second_as_first


def confused_pairs(confusion: Int64[np.ndarray, "Y Y"], *, at_most: int) -> list[Pair]:
    """Return the pairs with the most mistakes between them, the worst first."""
    both = np.triu(confusion + confusion.T, k=1)
    pairs = [
        Pair(int(a), int(b), int(confusion[a, b]), int(confusion[b, a]))
        for a, b in np.argwhere(both)
    ]
    return sorted(pairs, key=lambda pair: -pair.mistakes)[:at_most]


def examples_of(
    answers: Answers, pair: Pair, recordings: Sequence[str], *, at_most: int
) -> list[int]:
    """Return videos that show a confusion, the most wrong of either direction in turn.

    Of several clips of one recording, the first stands for all.
    """
    order = np.argsort(answers.margins, kind="stable").tolist()
    sides: tuple[dict[str, int], dict[str, int]] = ({}, {})
    for row in order:
        way = (int(answers.labels[row]), int(answers.answers[row]))
        for side, wanted in zip(sides, (pair.there, pair.there[::-1]), strict=True):
            if way == wanted:
                side.setdefault(recordings[row], row)
    there, back = (list(side.values()) for side in sides)
    fewer = min(len(there), len(back))
    mixed = [row for rows in zip(there[:fewer], back[:fewer], strict=True) for row in rows]
    return [*mixed, *there[fewer:], *back[fewer:]][:at_most]


def worst_videos(answers: Answers, *, at_most: int) -> list[int]:
    """Return the videos whose true class lies furthest behind another, the worst first."""
    return [int(row) for row in np.argsort(answers.margins, kind="stable")[:at_most]]
