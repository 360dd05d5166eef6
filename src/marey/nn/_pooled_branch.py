"""An OFF branch with two linear classifiers to learn, for data sets of hundreds of videos.

Brightness constancy on a feature map, f_x v_x + f_y v_y + f_t = 0, has for each channel the least
squares solution of Lucas and Kanade (1981), whose normal equations hold products of f_x, f_y and
f_t summed over the map. Those with f_t, and the sum of f_t itself, are what is read here. They are
of two kinds. Played backwards, a film has the same f_t^2, and the opposite of all others: one
classifier sees how much of what there is changes, and the other sees in which direction, which
alone tells to sit down from to stand up. What each is worth is for `marey.evaluation` to weigh.

Nothing but the classifiers is learnt: with few videos the convolutions of `OFFBranch` learn them
by heart.

Axes: N videos, K snippets of each, B images, P pairs of neighbours, C channels, H rows, W columns.
"""

from collections.abc import Mapping, Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from ._gradients import sobel_gradient, temporal_gradient
from ._off_unit import Gradients
from ._split_branch import LevelMaps, Shares

_LEVEL = 7
SUMS = 1
"""Level of sums that were made before: a pair's are a map of one place."""

_DIRECTED = 3
"""Sums that change their sign with the direction of time: f_t, f_t f_x and f_t f_y."""

_LEAST_SPREAD = 1e-6


class PooledBranch(nn.Module):
    """Classify the motion between neighbouring snippets by sums over the last map.

    Args:
        channels: Channels of a backbone's last map.
        num_classes: Classes to tell apart.
        dropout: Share of the sums hidden from the classifier in training, alike for all pairs of
            a video.

    Attributes:
        levels: The sizes of the maps that it classifies by.
        heads: Names of its classifiers.
    """

    levels = (_LEVEL,)
    heads = ("off7_energy", "off7_direction")

    def __init__(self, channels: int, *, num_classes: int, dropout: float = 0.8) -> None:
        super().__init__()
        self.dropout = dropout
        self.energy = nn.Linear(channels, num_classes)
        self.direction = nn.Linear(_DIRECTED * channels, num_classes)
        for head in (self.energy, self.direction):
            nn.init.normal_(head.weight, std=0.001)
            nn.init.zeros_(head.bias)
        self.centre: Tensor
        self.spread: Tensor
        self.register_buffer("centre", torch.zeros((1 + _DIRECTED) * channels))
        self.register_buffer("spread", torch.ones((1 + _DIRECTED) * channels))

    def forward(
        self, levels: LevelMaps, *, snippets: int
    ) -> dict[str, Float[Tensor, "N {snippets}-1 classes"]]:
        """Return logits of heads `off7_energy` and `off7_direction`.

        Args:
            levels: Maps of the snippets of all videos, video by video; the last one is level 7.
                Or what `sums` made of them, as level 1.
            snippets: Snippets of each video.
        """
        seen = self._scaled(_of_pairs(levels, snippets))
        if self.training:
            seen = seen * F.dropout(torch.ones_like(seen[:, :1]), self.dropout)
        return self._heads(seen)

    def shares(self, levels: LevelMaps) -> Shares:
        """Return what snippets contribute to the pairs that they are in: their last map."""
        (last,) = levels[_LEVEL]
        return Shares(earlier=(last,), later=(last,))

    def pairs(
        self,
        earlier: Sequence[Float[Tensor, "P _ _ _"]],
        later: Sequence[Float[Tensor, "P _ _ _"]],
    ) -> dict[str, Float[Tensor, "P classes"]]:
        """Return logits of both heads for pairs, from the shares of both snippets."""
        return self._heads(self._scaled(sums_of(earlier[0], later[0])))

    def gradients(self, levels: LevelMaps, *, snippets: int) -> dict[int, Gradients]:
        """Return the derivatives of the maps of each level, their channels one after the other."""
        found = {}
        for size, maps in levels.items():
            joined = torch.cat(list(maps), dim=1).unflatten(0, (-1, snippets))
            spatial = sobel_gradient(joined[:, :-1].flatten(0, 1))
            found[size] = Gradients(
                spatial=spatial.unflatten(0, (-1, snippets - 1)),
                temporal=temporal_gradient(joined),
            )
        return found

    @torch.no_grad()
    def standardise(self, levels: LevelMaps, *, snippets: int) -> None:
        """Make each sum have mean 0 and variance 1 on some maps.

        Args:
            levels: Of training videos, as for `forward`.
            snippets: Snippets of each video.
        """
        # Of videos, as the classifier's answers are averaged over the pairs of each.
        by_video = _of_pairs(levels, snippets).mean(dim=1)
        self.centre.copy_(by_video.mean(dim=0))
        self.spread.copy_(by_video.std(dim=0).clamp(min=_LEAST_SPREAD))

    @staticmethod
    def sums(
        levels: LevelMaps, *, snippets: int, stride: int = 1
    ) -> Float[Tensor, "N {snippets}-{stride} D 1 1"]:
        """Return all that is read of pairs, a few numbers in place of maps, to be kept.

        Args:
            levels: Maps of the snippets of all videos, video by video; the last one is level 7.
            snippets: Snippets of each video.
            stride: How many snippets later the other one of a pair comes.
        """
        (last,) = levels[_LEVEL]
        maps = last.unflatten(0, (-1, snippets))
        earlier, later = maps[:, :-stride].flatten(0, 1), maps[:, stride:].flatten(0, 1)
        found: Tensor = sums_of(earlier, later).unflatten(0, (-1, snippets - stride))
        return found[..., None, None]

    def _heads(self, seen: Float[Tensor, "*P D"]) -> dict[str, Tensor]:
        """Return the logits of scaled sums."""
        channels = self.energy.in_features
        energy, direction = seen.split([channels, _DIRECTED * channels], dim=-1)
        return {"off7_energy": self.energy(energy), "off7_direction": self.direction(direction)}

    def _scaled(self, sums: Float[Tensor, "*P D"]) -> Float[Tensor, "*P D"]:
        return (sums - self.centre) / self.spread


def sums_of(
    earlier: Float[Tensor, "P C H W"], later: Float[Tensor, "P C H W"]
) -> Float[Tensor, "P 4*C"]:
    """Return the means over each map of f_t^2, f_t, f_t f_x and f_t f_y.

    f_x and f_y are central differences of the earlier map, and 0 at its border. Of products the
    square root is taken, with the sign of the mean, so that a few places that change much do not
    outweigh all others.

    Args:
        earlier: The last map of the earlier snippet of each pair.
        later: Of the later one.
    """
    change = later - earlier
    across = (earlier[..., 2:] - earlier[..., :-2]) / 2
    down = (earlier[..., 2:, :] - earlier[..., :-2, :]) / 2
    places = earlier.shape[-2] * earlier.shape[-1]
    products = [
        change.square().sum(dim=(2, 3)),
        (change[..., 1:-1] * across).sum(dim=(2, 3)),
        (change[..., 1:-1, :] * down).sum(dim=(2, 3)),
    ]
    energy, across_time, down_time = (
        mean.sign() * mean.abs().sqrt() for mean in (total / places for total in products)
    )
    return torch.cat([energy, change.mean(dim=(2, 3)), across_time, down_time], dim=1)


def _of_pairs(
    levels: Mapping[int, Sequence[Tensor]], snippets: int
) -> Float[Tensor, "N {snippets}-1 D"]:
    """Return the sums of neighbours, kept or made now."""
    if SUMS in levels:
        (kept,) = levels[SUMS]
        sums: Tensor = kept.flatten(1).unflatten(0, (-1, snippets - 1))
        return sums
    return PooledBranch.sums(levels, snippets=snippets).flatten(2)
