"""Whether an exported network answers as PyTorch does."""

from collections.abc import Iterable, Mapping

import numpy as np
from jaxtyping import Float, Float32, Shaped
from torch import Tensor

from marey.backends import Runner
from marey.evaluation import fuse_heads, head_weights, score_snippets

from ._clips import VIEWS

MOST_DIFFERENT = 1e-4
"""Two networks are the same if no probability differs by more."""


def largest_difference(
    exported: Runner,
    reference: Runner,
    clips: Iterable[Shaped[Tensor, "K C H W"]],
    *,
    fusion: Mapping[str, float],
) -> float:
    """Return the largest difference of a probability, of any head or all together.

    Args:
        exported: The network in question.
        reference: What it should answer like.
        clips: Snippets of real videos.
        fusion: Weight of each head in the final scores; the usual ones if empty.
    """
    largest = 0.0
    for snippets in clips:
        ours, theirs = (
            _probabilities(score_snippets(runner, snippets, views=VIEWS), fusion)
            for runner in (exported, reference)
        )
        # A NaN differs from everything, and max would pass over it.
        differences = np.nan_to_num(np.abs(ours - theirs), nan=np.inf)
        largest = max(largest, float(differences.max()))
    return largest


def _probabilities(
    heads: Mapping[str, Float32[np.ndarray, " Y"]], fusion: Mapping[str, float]
) -> Float[np.ndarray, "heads Y"]:
    """Return those of each head, and of all together in the last row."""
    fused = fuse_heads(heads, head_weights(heads, fusion))
    logits = np.stack([*heads.values(), fused]).astype(np.float64)
    raised = np.exp(logits - logits.max(axis=1, keepdims=True))
    shares: Float[np.ndarray, "heads Y"] = raised / raised.sum(axis=1, keepdims=True)
    return shares
