"""What a few kinds of places have in common, and how a map's places differ from them.

The Fisher vector of Perronnin, Sánchez and Mensink (ECCV 2010), its first order: a mixture of
Gaussians is fitted to what many places show, and places are told by how far, on average, they lie
from the mean of each Gaussian that they belong to. It holds nothing that labels teach.

Axes: T places, P pairs, D numbers of a place, A axes of them that are kept, K words.
"""

import torch
from jaxtyping import Float
from torch import Tensor, nn

_PASSES = 25
_LEAST_VARIANCE = 1e-3
"""Of a word along an axis; all places together have 1."""

_LEAST_AXIS = 1e-6
"""Of the longest axis's variance; shorter axes are noise of rounding."""


class Codebook(nn.Module):
    """Tell places by the words of a mixture of Gaussians.

    Args:
        numbers: Numbers of each place.
        axes: Principal axes that are kept of them; there may be fewer.
        words: Gaussians.

    Attributes:
        length: How many numbers it gives for the places of a pair.
    """

    def __init__(self, numbers: int, *, axes: int = 64, words: int = 64) -> None:
        super().__init__()
        axes = min(axes, numbers)
        self.length = axes * words
        self.middle: Tensor
        self.axes: Tensor
        self.means: Tensor
        self.variances: Tensor
        self.shares: Tensor
        self.register_buffer("middle", torch.zeros(numbers))
        self.register_buffer("axes", torch.eye(numbers, axes))
        self.register_buffer("means", torch.zeros(words, axes))
        self.register_buffer("variances", torch.ones(words, axes))
        self.register_buffer("shares", torch.full((words,), 1 / words))

    def forward(self, places: Float[Tensor, "P D T"]) -> Float[Tensor, "P _"]:
        """Return the roots, with their sign, of the Fisher vector of each pair's places.

        Args:
            places: Some places of each pair.
        """
        on_axes = self._on_axes(places.transpose(1, 2))
        belongs = self._belongs(on_axes)
        apart = belongs.transpose(1, 2) @ on_axes - belongs.sum(dim=1)[..., None] * self.means
        scale = places.shape[2] * self.shares[:, None].sqrt() * self.variances.sqrt()
        mean = apart / scale
        # Of a word that no place belongs to, the root is 0 and has no slope there.
        return (mean.sign() * mean.abs().sqrt()).flatten(1)

    @torch.no_grad()
    def fit(self, places: Float[Tensor, "T D"]) -> None:
        """Find the axes and the words of some places: the same ones for the same places.

        Args:
            places: Of training videos.
        """
        self.middle.copy_(places.mean(dim=0))
        apart = (places - self.middle).double()
        lengths, directions = torch.linalg.eigh(apart.T @ apart / len(apart))
        kept = self.axes.shape[1]
        lengths, directions = lengths.flip(0)[:kept], directions.flip(1)[:, :kept]
        lengths = lengths.clamp(min=float(_LEAST_AXIS * lengths[0]) + 1e-12)
        self.axes.copy_(directions / lengths.sqrt())

        on_axes = self._on_axes(places)
        generator = torch.Generator().manual_seed(0)
        drawn = torch.randperm(len(places), generator=generator)[: len(self.means)]
        # Of fewer places than words, some are words twice.
        drawn = drawn.repeat(-(-len(self.means) // len(drawn)))[: len(self.means)]
        self.means.copy_(on_axes[drawn.to(on_axes.device)])
        self.variances.fill_(1.0)
        self.shares.fill_(1 / len(self.shares))
        for _ in range(_PASSES):
            belongs = self._belongs(on_axes)
            weight = belongs.sum(dim=0)[:, None] + 1e-6
            self.means.copy_(belongs.T @ on_axes / weight)
            variances = belongs.T @ on_axes.square() / weight - self.means.square()
            self.variances.copy_(variances.clamp(min=_LEAST_VARIANCE))
            self.shares.copy_(weight[:, 0] / weight.sum())

    def _on_axes(self, places: Float[Tensor, "*P D"]) -> Float[Tensor, "*P A"]:
        return (places - self.middle) @ self.axes

    def _belongs(self, on_axes: Float[Tensor, "*P A"]) -> Float[Tensor, "*P K"]:
        """Return how likely each place is of each word."""
        sharp = 1 / self.variances
        constant = (self.means.square() * sharp + self.variances.log()).sum(dim=1)
        far = on_axes.square() @ sharp.T - 2 * on_axes @ (self.means * sharp).T + constant
        likely: Tensor = (self.shares.log() - far / 2).softmax(dim=-1)
        return likely
