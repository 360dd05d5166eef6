"""How long to learn, and how much each head counts, as held-out videos want it.

Axes: N videos, M of them, Y classes.
"""

from collections.abc import Mapping

import numpy as np
import torch
from jaxtyping import Bool, Float32, Int64
from torch.nn import functional as F

from marey.evaluation import fit_head_weights, fuse_heads

from ._passes import Heads

Answers = dict[int, dict[str, Float32[np.ndarray, "_ Y"]]]
"""Logits of each head after so many passes."""


def choose(
    answers: Mapping[int, Heads], labels: Int64[np.ndarray, " N"]
) -> tuple[int, dict[str, float]]:
    """Return the passes after which the labels are likeliest, and the weights of heads then."""
    weights = {passes: fit_head_weights(heads, labels) for passes, heads in answers.items()}
    truth = torch.from_numpy(labels)

    def loss(passes: int) -> float:
        fused = torch.from_numpy(fuse_heads(answers[passes], weights[passes]))
        return float(F.cross_entropy(fused.double(), truth))

    best = min(answers, key=lambda passes: (loss(passes), passes))
    return best, weights[best]


def cross_fitted(
    answers: Mapping[int, Heads], labels: Int64[np.ndarray, " N"], folds: Int64[np.ndarray, " N"]
) -> Float32[np.ndarray, "N Y"]:
    """Return one answer for each clip, passes and weights chosen by the other folds alone."""
    fused = np.zeros_like(next(iter(next(iter(answers.values())).values())))
    for number in range(folds.max() + 1):
        others, mine = folds != number, folds == number
        seen = {passes: _rows(heads, others) for passes, heads in answers.items()}
        passes, weights = choose(seen, labels[others])
        fused[mine] = fuse_heads(_rows(answers[passes], mine), weights)
    return fused


def fill_rows(
    answers: Answers,
    said: Mapping[int, Heads],
    at: Int64[np.ndarray, " M"],
    *,
    videos: int,
) -> None:
    """Put what a fold says into the rows of its clips."""
    for passes, heads in said.items():
        for head, logits in heads.items():
            whole = answers.setdefault(passes, {})
            shape = (videos, logits.shape[1])
            whole.setdefault(head, np.zeros(shape, np.float32))[at] = logits


def _rows(heads: Heads, which: Bool[np.ndarray, " N"]) -> dict[str, Float32[np.ndarray, "_ Y"]]:
    return {head: logits[which] for head, logits in heads.items()}
