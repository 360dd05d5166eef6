"""The OFF unit: motion features from one feature map of consecutive snippets.

Axes: N videos, K snippets of each, C channels, H rows, W columns.
"""

from typing import Literal, NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from marey.errors import MareyError

from ._gradients import (
    DIAGONAL,
    SOBEL_X,
    diagonal_gradient,
    sobel_gradient,
    temporal_gradient,
)

Gradient = Literal["diagonal", "sobel"]


class Gradients(NamedTuple):
    """Derivatives of the maps of each pair of neighbouring snippets, in space and in time."""

    spatial: Float[Tensor, "N P S H W"]
    temporal: Float[Tensor, "N P T H W"]


class OFFUnit(nn.Module):
    """Turn the features of consecutive snippets into features of their motion.

    A 1 x 1 convolution brings the features to fewer channels. For every pair of neighbouring
    snippets the unit returns the spatial gradient of the earlier one and the difference of the
    two. See section 3.2 of https://arxiv.org/abs/1711.11152. The two gradients come from
    separate channels, those of the difference rectified, as in the released networks; there
    the spatial gradients of a batch belonged to other pairs than the differences beside them.

    Args:
        in_channels: Channels of the incoming features.
        spatial: Channels whose spatial gradient is taken; 0 for none.
        temporal: Channels whose temporal gradient is taken.
        gradient: `diagonal`, one map for each channel as released, or `sobel`, one map along x
            and one along y.
        gradient_dropout: Share of the spatial gradient hidden in training.

    Attributes:
        spatial_channels: Channels of the spatial gradient.
        out_channels: Channels that the unit returns, spatial gradient first.
    """

    def __init__(
        self,
        in_channels: int,
        *,
        spatial: int,
        temporal: int,
        gradient: Gradient = "diagonal",
        gradient_dropout: float = 0.8,
    ) -> None:
        super().__init__()
        self.spatial = spatial
        self.gradient = gradient
        self.gradient_dropout = gradient_dropout
        self.spatial_channels = spatial * (2 if gradient == "sobel" else 1)
        self.out_channels = self.spatial_channels + temporal
        # One convolution for both parts reads the features only once.
        self.reduce = nn.Conv2d(in_channels, spatial + temporal, kernel_size=1)
        # It goes where the weights go: to copy it with every answer would hold a GPU up.
        self.kernel: Tensor
        fixed = SOBEL_X if gradient == "sobel" else DIAGONAL
        self.register_buffer("kernel", fixed.clone(), persistent=False)

    def forward(self, features: Float[Tensor, "N K C H W"]) -> Float[Tensor, "N K-1 D H W"]:
        """Return the motion between each snippet and the next."""
        spatial, temporal = self.gradients(features)
        if self.spatial == 0:
            return temporal
        spatial = F.dropout(spatial, self.gradient_dropout, self.training)
        # Joined with four axes, because with five the answer would lose the channels' layout.
        joined = torch.cat([spatial.flatten(0, 1), temporal.flatten(0, 1)], dim=1)
        motion: Tensor = joined.unflatten(0, (-1, features.shape[1] - 1))
        return motion

    def gradients(self, features: Float[Tensor, "N K C H W"]) -> Gradients:
        """Return the two gradients of each snippet and the next."""
        snippets = features.shape[1]
        if snippets < 2:
            raise MareyError(
                f"motion needs at least 2 snippets of each video, got {snippets}; sample more"
            )
        reduced = self.reduce(features.flatten(0, 1)).unflatten(0, (-1, snippets))
        widths = (self.spatial, reduced.shape[2] - self.spatial)
        in_space, in_time = reduced.split(widths, dim=2)
        temporal = temporal_gradient(F.relu(in_time))
        earlier = in_space[:, :-1]
        if self.spatial == 0:
            return Gradients(spatial=earlier, temporal=temporal)
        spatial = self.in_space(earlier.flatten(0, 1)).unflatten(0, (-1, snippets - 1))
        return Gradients(spatial=spatial, temporal=temporal)

    def in_space(self, maps: Float[Tensor, "B C H W"]) -> Float[Tensor, "B D H W"]:
        """Return the spatial gradient of maps."""
        gradient = sobel_gradient if self.gradient == "sobel" else diagonal_gradient
        return gradient(maps, self.kernel)
