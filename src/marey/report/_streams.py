"""Accuracy by stream and head, with intervals. Axes: S streams, N videos."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Int64

from marey.evaluation import Metrics, measure

from ._answers import answers_of
from ._bootstrap import Interval, difference_interval, interval, resample
from ._results import Key, Result, keys_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Stream:
    """One head of one file, or the sum of its heads."""

    result: str
    head: str
    network: str
    modality: str
    main: bool
    """Whether this is what the rest of the report is about."""

    metrics: Metrics
    top1: Interval | None
    mean_class: Interval | None
    ahead: float
    """Accuracy of the main result less this one's, on the videos of both."""

    ahead_interval: Interval | None


@dataclass(frozen=True, slots=True)
class Streams:
    """All streams, and what their intervals rest on."""

    rows: tuple[Stream, ...]
    groups: int
    """How many things were drawn from: recordings, or single videos."""

    videos: int

    @property
    def main(self) -> Stream:
        """The result that the rest of the report is about."""
        return self.rows[-1]

    @property
    def grouped(self) -> bool:
        """Whether clips of one recording were kept together."""
        return self.groups < self.videos


@dataclass(frozen=True, slots=True)
class _Joined:
    """The streams side by side, joined by video."""

    right: Bool[np.ndarray, "S N"]
    seen: Bool[np.ndarray, "S N"]
    labels: Int64[np.ndarray, " N"]
    groups: Int64[np.ndarray, " N"]


def streams_of(
    results: Sequence[Result], groups: Mapping[str, str], *, times: int, seed: int
) -> Streams:
    """Return the accuracy of every head of every result; the last row is the main result.

    Args:
        results: The last is the main one.
        groups: Which recording each path was cut from; a path without one is by itself.
        times: Resamples.
        seed: Of the resamples.
    """
    rows = [(result, head) for result in results for head in result.rows]
    joined = _joined(rows, groups)
    count = int(joined.groups.max()) + 1
    resamples = resample(
        joined.right, joined.seen, joined.labels, joined.groups, times=times, seed=seed
    )
    streams = []
    for number, (result, head) in enumerate(rows):
        both = joined.seen[number] & joined.seen[-1]
        own = len(np.unique(joined.groups[joined.seen[number]]))
        shared = len(np.unique(joined.groups[both]))
        lead = joined.right[-1, both].mean() - joined.right[number, both].mean()
        meta = result.scores.meta
        streams.append(
            Stream(
                result=result.name,
                head=head,
                network=str(meta.get("model") or ""),
                modality=str(meta.get("modality") or ""),
                main=number == len(rows) - 1,
                metrics=measure(result.rows[head], result.scores.labels),
                top1=interval(resamples.top1[:, number], groups=own),
                mean_class=interval(resamples.mean_class[:, number], groups=own),
                ahead=float(lead),
                ahead_interval=difference_interval(resamples.ahead[:, number], groups=shared),
            )
        )
    return Streams(tuple(streams), groups=count, videos=joined.seen.shape[1])


def _joined(rows: Sequence[tuple[Result, str]], groups: Mapping[str, str]) -> _Joined:
    columns: dict[Key, int] = {}
    labels: list[int] = []
    for result, _ in rows:
        pairs = zip(keys_of(result.scores.videos), result.scores.labels.tolist(), strict=True)
        for key, label in pairs:
            if columns.setdefault(key, len(columns)) == len(labels):
                labels.append(label)
    right = np.zeros((len(rows), len(columns)), dtype=np.bool_)
    seen = np.zeros_like(right)
    for number, (result, head) in enumerate(rows):
        places = [columns[key] for key in keys_of(result.scores.videos)]
        seen[number, places] = True
        right[number, places] = answers_of(result.rows[head], result.scores.labels).right
    recordings = [groups.get(path, path) for path, _ in columns]
    known = {recording: number for number, recording in enumerate(dict.fromkeys(recordings))}
    return _Joined(
        right=right,
        seen=seen,
        labels=np.array(labels, dtype=np.int64),
        groups=np.array([known[recording] for recording in recordings], dtype=np.int64),
    )
