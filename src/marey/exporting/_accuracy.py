"""What a coarser network costs in accuracy."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from marey.backends import Runner
from marey.evaluation import fuse_heads, head_weights, score_snippets

from ._clips import VIEWS, Clips


@dataclass(frozen=True, slots=True, kw_only=True)
class Accuracies:
    """Of two networks on the same videos, 25 snippets at the centre, all heads together."""

    videos: int
    before: float
    """Share of the videos that the finer network knows."""

    after: float
    """Share that the coarser one knows."""

    agreement: float
    """Share of which both say the same."""

    @property
    def lost(self) -> float:
        """What the coarser network costs; negative if it is better by chance."""
        return self.before - self.after


def accuracies(
    fine: Runner, coarse: Runner, clips: Clips, *, each: Callable[[], None] = lambda: None
) -> Accuracies:
    """Return how well two networks know the videos of an index.

    Args:
        fine: The network before.
        coarse: The network after.
        clips: Videos with labels.
        each: Called after each video.
    """
    said = []
    for snippets in clips:
        row = []
        for runner in (fine, coarse):
            heads = score_snippets(runner, snippets, views=VIEWS)
            fused = fuse_heads(heads, head_weights(heads, clips.facts.fusion))
            row.append(int(fused.argmax()))
        said.append(row)
        each()
    before, after = np.array(said).T
    labels = np.array(clips.index.labels)
    return Accuracies(
        videos=len(labels),
        before=float((before == labels).mean()),
        after=float((after == labels).mean()),
        agreement=float((before == after).mean()),
    )
