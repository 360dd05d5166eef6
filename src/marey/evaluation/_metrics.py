"""Figures of merit of scores. Axes: N videos, Y classes."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int64


@dataclass(frozen=True, slots=True)
class Metrics:
    """Shares between 0 and 1 of the videos that were told apart."""

    videos: int
    top1: float
    top5: float
    mean_class: float


def measure(scores: Float[np.ndarray, "N Y"], labels: Int64[np.ndarray, " N"]) -> Metrics:
    """Return the usual figures at once."""
    return Metrics(
        videos=len(labels),
        top1=top_k_accuracy(scores, labels, k=1),
        top5=top_k_accuracy(scores, labels, k=5),
        mean_class=mean_class_accuracy(scores, labels),
    )


def top_k_accuracy(
    scores: Float[np.ndarray, "N Y"], labels: Int64[np.ndarray, " N"], *, k: int
) -> float:
    """Return the share of videos whose label is among the `k` highest scores.

    A tie counts against the label, so a network that answers the same for every class gets
    nothing.
    """
    if len(labels) == 0:
        return float("nan")
    own = np.take_along_axis(scores, labels[:, None], axis=1)
    others_as_high = (scores >= own).sum(axis=1) - 1
    return float((others_as_high < k).mean())


def mean_class_accuracy(scores: Float[np.ndarray, "N Y"], labels: Int64[np.ndarray, " N"]) -> float:
    """Return the mean over classes of the share of their videos that was recognised.

    Classes without a video do not count.
    """
    right = scores.argmax(axis=1) == labels
    shares = [right[labels == label].mean() for label in np.unique(labels)]
    return float(np.mean(shares)) if shares else float("nan")
