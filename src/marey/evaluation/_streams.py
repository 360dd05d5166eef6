"""The weighted sum of streams, kept like any scores. Axes: N videos, Y classes."""

from typing import Any, get_args

import numpy as np

from marey.models import Modality

from ._fusion import fuse_heads
from ._join import Joined, Stream
from ._scores import Scores
from ._weighing import Weighing

_WIDER = 4.0  # times; then the plain sum is nearly the wider stream alone


def fuse_streams(joined: Joined, weighing: Weighing) -> Scores:
    """Return the weighted sum of the streams as scores of one head, `fused`."""
    weights = {
        stream.name: weight for stream, weight in zip(joined.streams, weighing.weights, strict=True)
    }
    fused = fuse_heads({stream.name: stream.scores for stream in joined.streams}, weights)
    streams = [describe(stream, weights[stream.name]) for stream in joined.streams]
    modalities = dict.fromkeys(str(row["modality"]) for row in streams if row["modality"])
    return Scores(
        videos=joined.videos,
        labels=joined.labels,
        classes=joined.classes,
        heads={"fused": fused},
        meta={
            "model": "fused",
            "modality": "+".join(modalities),
            "fusion": {"fused": 1.0},
            **joined.meta,
            "streams": streams,
            "weights_from": weighing.found,
            "weights_note": weighing.said,
            "optimistic": weighing.optimistic,
        },
    )


def describe(stream: Stream, weight: float) -> dict[str, Any]:
    """Return what is known of a stream, as plain values for a file."""
    told = {name: stream.meta.get(name) for name in ("model", "modality", "weights_sha256")}
    if told["modality"] is None and stream.head in get_args(Modality):
        told["modality"] = stream.head  # as published arrays are named
    return {
        "name": stream.name,
        "file": stream.path.name,
        "head": stream.head,
        **told,
        "weight": weight,
    }


def spread_remark(joined: Joined) -> str:
    """Return a warning where equal weights would not be equal say, or nothing."""
    spread = {
        stream.name: float((stream.scores - stream.scores.mean(axis=1, keepdims=True)).std())
        for stream in joined.streams
    }
    widest, narrowest = max(spread, key=spread.__getitem__), min(spread, key=spread.__getitem__)
    if spread[widest] <= _WIDER * spread[narrowest]:
        return ""
    times = spread[widest] / spread[narrowest] if spread[narrowest] else np.inf
    return (
        f"the scores of {widest} are spread {times:.0f} times wider than those of {narrowest}, so "
        "they nearly decide alone; give --weights, or find them with --held-out"
    )
