"""How far figures would move with other videos: the bootstrap over recordings.

Axes: S streams, N videos, B resamples.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int64

_TAIL = 0.025


@dataclass(frozen=True, slots=True)
class Interval:
    """Where 95 % of the resamples lie."""

    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Resamples:
    """Figures of every stream in every resample; the streams share the resamples."""

    top1: Float[np.ndarray, "B S"]
    mean_class: Float[np.ndarray, "B S"]
    ahead: Float[np.ndarray, "B S"]
    """Accuracy of the last stream less that of each, on the videos that both have."""


def resample(
    right: Bool[np.ndarray, "S N"],
    seen: Bool[np.ndarray, "S N"],
    labels: Int64[np.ndarray, " N"],
    groups: Int64[np.ndarray, " N"],
    *,
    times: int,
    seed: int,
) -> Resamples:
    """Draw groups of videos with replacement, as many as there are, again and again.

    Clips of one recording are alike, so videos that share a group come and go together
    (Davison and Hinkley, Bootstrap Methods, 1997, section 3.8). With each video in a group of
    its own this is the ordinary bootstrap.

    Args:
        right: Which videos each stream recognises.
        seen: Which videos each stream has at all.
        labels: Class of each video.
        groups: Number of each video's group, from 0 without gaps.
        times: How many resamples.
        seed: Of the draws.
    """
    rng = np.random.default_rng(seed)
    count = int(groups.max()) + 1
    order = np.argsort(labels, kind="stable")
    starts = np.flatnonzero(np.diff(labels[order], prepend=-1))
    hits, have = (right & seen).astype(np.float64), seen.astype(np.float64)
    shared = have * have[-1]
    leads = hits[-1] * shared - hits * shared
    top1, mean_class, ahead = [], [], []
    with np.errstate(invalid="ignore", divide="ignore"):
        for _ in range(times):
            drawn = np.bincount(rng.integers(count, size=count), minlength=count)
            often = drawn[groups].astype(np.float64)
            top1.append(hits @ often / (have @ often))
            ahead.append(leads @ often / (shared @ often))
            by_class = np.add.reduceat((hits * often)[:, order], starts, axis=1)
            videos = np.add.reduceat((have * often)[:, order], starts, axis=1)
            mean_class.append(
                np.where(videos > 0, by_class / videos, 0).sum(axis=1) / (videos > 0).sum(axis=1)
            )
    return Resamples(np.stack(top1), np.stack(mean_class), np.stack(ahead))


def interval(values: Float[np.ndarray, " B"], *, groups: int) -> Interval | None:
    """Return the 95 % percentile interval of resampled values; None where they say nothing.

    Where a stream is right, or wrong, of everything, so is every resample; the exact binomial
    bound of that many independent recordings stands in, for the bootstrap would claim certainty.
    """
    finite = values[np.isfinite(values)]
    if groups < 2 or not len(finite):
        return None
    if (finite == 1).all():
        return Interval(float(_TAIL ** (1 / groups)), 1.0)
    if (finite == 0).all():
        return Interval(0.0, float(1 - _TAIL ** (1 / groups)))
    low, high = np.quantile(finite, [_TAIL, 1 - _TAIL])
    return Interval(float(low), float(high))


def difference_interval(values: Float[np.ndarray, " B"], *, groups: int) -> Interval | None:
    """Return the 95 % percentile interval of resampled differences; None for a single group."""
    finite = values[np.isfinite(values)]
    if groups < 2 or not len(finite):
        return None
    low, high = np.quantile(finite, [_TAIL, 1 - _TAIL])
    return Interval(float(low), float(high))
