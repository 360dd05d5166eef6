"""One answer from several heads. Axes: N videos, Y classes."""

from collections.abc import Collection, Mapping

import numpy as np
import torch
from jaxtyping import Float, Float32, Int64
from torch.nn import functional as F

from marey.errors import UsageError

# Shares of TSN, OFF 7 and OFF 14 as published for RGB on UCF-101; for networks without their own.
# Of OFF that pools, all heads of a level count like its single one elsewhere.
DEFAULT_WEIGHTS = {
    "tsn": 0.25,
    "off7": 0.5,
    "off14": 0.25,
    "off7_energy": 0.25,
    "off7_direction": 0.25,
    "off14_order": 0.25,
}

_PRIOR = 1e-2


def fuse_heads(
    heads: Mapping[str, Float[np.ndarray, "*N Y"]], weights: Mapping[str, float]
) -> Float[np.ndarray, "*N Y"]:
    """Return the weighted sum of the heads that have a weight.

    Raises:
        UsageError: A weight is for a head that there is not.
    """
    unknown = sorted(set(weights) - set(heads))
    if unknown:
        raise UsageError(f"no head {', '.join(unknown)} to weigh; there are {', '.join(heads)}")
    total = np.zeros_like(next(iter(heads.values())))
    for name, weight in weights.items():
        total = total + heads[name] * np.float32(weight)
    return total


def head_weights(heads: Collection[str], fusion: Mapping[str, float]) -> dict[str, float]:
    """Return the weights of a network's heads: its own, or published shares of those it has."""
    if fusion:
        return {head: weight for head, weight in fusion.items() if head in heads}
    shares = {head: share for head, share in DEFAULT_WEIGHTS.items() if head in heads}
    return {head: share / sum(shares.values()) for head, share in shares.items()}


def fit_head_weights(
    heads: Mapping[str, Float32[np.ndarray, "N Y"]], labels: Int64[np.ndarray, " N"]
) -> dict[str, float]:
    """Return the non-negative weights under which the labels are likeliest.

    The softmax of the fused logits is then a calibrated probability too, which no weights
    chosen for accuracy give. For held-out videos only: weights fitted on a test split would
    flatter its result. A weak prior keeps weights finite where the videos are told apart
    without error.
    """
    logits = torch.stack([torch.from_numpy(head).double() for head in heads.values()])
    truth = torch.from_numpy(labels)
    scale = logits.std(dim=(1, 2), keepdim=True).clamp(min=1e-6)
    free = torch.full((len(heads), 1, 1), 0.0, dtype=torch.float64, requires_grad=True)
    optimiser = torch.optim.LBFGS([free], max_iter=200, line_search_fn="strong_wolfe")

    def loss() -> torch.Tensor:
        optimiser.zero_grad()
        weights = F.softplus(free)
        fused = (weights * logits / scale).sum(dim=0)
        value = F.cross_entropy(fused, truth) + _PRIOR * weights.square().sum()
        value.backward()
        return value

    optimiser.step(loss)
    weights = (F.softplus(free.detach()) / scale).flatten()
    return {name: round(float(weight), 6) for name, weight in zip(heads, weights, strict=True)}
