"""Videos that an exported network is checked on, or learns its ranges from.

Axes: K snippets, C channels, H rows, W columns.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from jaxtyping import Shaped
from torch import Tensor

from marey.backends import Facts
from marey.data import FlowOnTheFly, Source, Videos, part_of
from marey.evaluation import Views, snippets_of
from marey.index import Entry, Index

VIEWS = Views(crops=1)
_USUAL_FLOW = "tvl1"


@dataclass(frozen=True, slots=True)
class Clips:
    """The snippets of videos, decoded when they are asked for, in turn."""

    index: Index
    facts: Facts
    """The network that wants them."""

    source: Source
    """Where frames come from."""

    def __len__(self) -> int:
        """Count the videos."""
        return len(self.index.entries)

    def __iter__(self) -> Iterator[Shaped[Tensor, "K C H W"]]:
        """Yield the snippets of each video, as `score_snippets` takes them.

        Raises:
            VideoError: A video cannot be used.
        """
        for entry in self.index.entries:
            with self.source.open(self.index, entry) as whole:
                yield snippets_of(
                    part_of(whole, start=entry.start, end=entry.end),
                    views=VIEWS,
                    preprocessing=self.facts.preprocessing,
                    modality=self.facts.modality,
                )

    def some(self, count: int, *, seed: int = 0) -> "Clips":
        """Return at most `count` of the videos, drawn at random."""
        drawn = np.random.default_rng(seed).permutation(len(self))[:count]
        entries = tuple(self.index.entries[number] for number in sorted(drawn.tolist()))
        return replace(self, index=replace(self.index, entries=entries))


def clips_of(videos: Sequence[Path], facts: Facts) -> Clips:
    """Return the snippets of videos that are in no index."""
    entries = tuple(Entry(path=str(video.absolute()), label="any") for video in videos)
    index = Index(root=Path("/"), entries=entries, classes=("any",))
    return Clips(index, facts, source_for(facts))


def source_for(facts: Facts) -> Source:
    """Return the videos, or for a network that looks at flow, flow by the method it learnt from."""
    if facts.modality == "flow":
        return FlowOnTheFly(facts.preprocessing.flow or _USUAL_FLOW)
    return Videos()
