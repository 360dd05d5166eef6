"""What the snippets of the last seconds say together.

Axes: Y classes.
"""

from collections import deque
from collections.abc import Callable, Mapping

import numpy as np
from jaxtyping import Float

from marey.evaluation import fuse_heads, head_weights
from marey.nn import ORDER

from ._sight import Sight


class Evidence:
    """The logits of a window that moves on, their weight halved every `half_life`.

    With an endless half-life all of the window counts alike, as in a test of a whole video.

    Args:
        window: Seconds after which a snippet no longer counts.
        half_life: Seconds in which its weight is halved.
        fusion: Weight of each head in the answer; the usual ones if empty.
    """

    def __init__(self, *, window: float, half_life: float, fusion: Mapping[str, float]) -> None:
        self._window = window
        self._half_life = half_life
        self._fusion = fusion
        self._sights: deque[Sight] = deque()

    def add(self, sight: Sight) -> None:
        """Count what a snippet brought; it is the latest."""
        self._sights.append(sight)
        while self._sights[0].time <= sight.time - self._window + 1e-9:
            self._sights.popleft()

    def forget_before(self, time: float) -> None:
        """Count no longer what was shown before a time, in seconds."""
        while self._sights and self._sights[0].time < time - 1e-9:
            self._sights.popleft()

    def clear(self) -> None:
        """Forget everything."""
        self._sights.clear()

    @property
    def start(self) -> float:
        """When the first snippet that counts was shown, in seconds."""
        return self._sights[0].time

    def logits(self) -> dict[str, Float[np.ndarray, " Y"]]:
        """Return the weighted mean of each head's logits."""
        now = self._sights[-1].time
        totals: dict[str, Float[np.ndarray, " Y"]] = {}
        weights: dict[str, float] = {}
        lateness = self._lateness(now)
        for sight in self._sights:
            weight = self._weight(now - sight.time)
            for head, row in sight.heads.items():
                values = weight * row.numpy().astype(np.float64)
                if head == ORDER:
                    values = lateness(sight) * values
                totals[head] = totals[head] + values if head in totals else values
                weights[head] = weights.get(head, 0.0) + weight
        return {head: total / weights[head] for head, total in totals.items()}

    def _weight(self, age: float) -> float:
        """Return how much something counts that was shown some seconds ago."""
        return float(0.5 ** (age / self._half_life))

    def _lateness(self, now: float) -> Callable[[Sight], float]:
        """Return what tells how late the pair that a snippet ended comes in its chain.

        As in a test of a video, it runs evenly over a length of 2 from the first pair of a chain
        to the last, and 0 is its mean, here the weighted one: what does not change says nothing
        of an order, even if it is forgotten by and by.
        """
        chains: dict[int, list[float]] = {}
        for sight in self._sights:
            if ORDER in sight.heads:
                chains.setdefault(sight.chain, []).append(sight.time)
        middles, halves = {}, {}
        for chain, ends in chains.items():
            weights = [self._weight(now - end) for end in ends]
            middles[chain] = float(np.average(ends, weights=weights))
            halves[chain] = (ends[-1] - ends[0]) / 2

        def lateness(sight: Sight) -> float:
            half = halves[sight.chain]
            return (sight.time - middles[sight.chain]) / half if half > 0 else 0.0

        return lateness

    def probabilities(self) -> Float[np.ndarray, " Y"]:
        """Return those of the classes, all heads together."""
        heads = {head: row.astype(np.float32) for head, row in self.logits().items()}
        fused = fuse_heads(heads, head_weights(heads, self._fusion)).astype(np.float64)
        raised = np.exp(fused - fused.max())
        shares: Float[np.ndarray, " Y"] = raised / raised.sum()
        return shares
