"""Derivatives of feature maps: the arithmetic of optical-flow guided features.

Axes: N videos, K snippets of each, B images, C channels, H rows, W columns.
"""

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

DIAGONAL = torch.tensor([[0.0, 1.0, 0.0], [-1.0, 0.0, 1.0], [0.0, -1.0, 0.0]])
# Scaled so that a ramp of slope one has derivative one.
SOBEL_X = torch.tensor([[-1.0, 0.0, 1.0], [-2.0, 0.0, 2.0], [-1.0, 0.0, 1.0]]) / 8


def diagonal_gradient(
    features: Float[Tensor, "B C H W"], kernel: Float[Tensor, "3 3"] = DIAGONAL
) -> Float[Tensor, "B C H W"]:
    """Return twice the x-derivative minus twice the y-derivative, rows growing downwards.

    This is the kernel of the networks that the authors of the paper released, where it is
    called Sobel. Zeros surround the map, as there, so its border sees an edge.

    Args:
        features: Any maps.
        kernel: `DIAGONAL`; one that lies where the maps do need not be copied there.
    """
    return _depthwise(features, kernel, padding=1)


def diagonal_kernels(channels: int) -> Float[Tensor, "{channels} 1 3 3"]:
    """Return the kernel of `diagonal_gradient` for each channel."""
    return DIAGONAL.expand(channels, 1, 3, 3)


def sobel_gradient(
    features: Float[Tensor, "B C H W"], kernel: Float[Tensor, "3 3"] = SOBEL_X
) -> Float[Tensor, "B 2*C H W"]:
    """Return the x-derivative of every channel, then the y-derivative of every channel.

    Edges are replicated, so a constant map has no gradient up to its border.

    Args:
        features: Any maps.
        kernel: `SOBEL_X`; one that lies where the maps do need not be copied there.
    """
    padded = F.pad(features, (1, 1, 1, 1), mode="replicate")
    return torch.cat([_depthwise(padded, kernel), _depthwise(padded, kernel.T)], dim=1)


def temporal_gradient(features: Float[Tensor, "N K C H W"]) -> Float[Tensor, "N K-1 C H W"]:
    """Subtract each snippet's features from the next one's."""
    return features[:, 1:] - features[:, :-1]


def _depthwise(
    features: Float[Tensor, "B C H W"], kernel: Float[Tensor, "3 3"], padding: int = 0
) -> Float[Tensor, "B C _ _"]:
    """Correlate every channel with the same kernel."""
    channels = features.shape[1]
    weight = kernel.to(features).expand(channels, 1, 3, 3)
    return F.conv2d(features, weight, padding=padding, groups=channels)
