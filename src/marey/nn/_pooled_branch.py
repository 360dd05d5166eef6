"""An OFF branch with three linear classifiers to learn, for data sets of hundreds of videos.

Brightness constancy on a feature map, f_x v_x + f_y v_y + f_t = 0, has for each channel the least
squares solution of Lucas and Kanade (1981), whose normal equations hold products of f_x, f_y and
f_t summed over the map. Those with f_t, and the sum of f_t itself, are what two classifiers read of
the last map. They are of two kinds. Played backwards, a film has the same f_t^2, and the opposite
of all others: one classifier sees how much of what there is changes, and the other sees in which
direction, which alone tells to sit down from to stand up.

The third reads the places of the 14 x 14 map that change most, a tenth of them: f_t there and f
itself, in the words of a codebook. What a place shows and how it changes are told together, and
what stands still has no say. What each classifier is worth is for `marey.evaluation` to weigh.

Nothing but the classifiers is learnt from labels: with few videos the convolutions of `OFFBranch`
learn them by heart.

Axes: N videos, K snippets of each, B images, P pairs of neighbours, C channels, H rows, W columns,
D numbers of a pair, T places of a map.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from ._codebook import Codebook
from ._gradients import sobel_gradient, temporal_gradient
from ._off_unit import Gradients
from ._split_branch import LevelMaps, Shares

_MIDDLE, _LAST = 14, 7
SUMS, PLACES = 1, 2
"""Levels of what was read before: of each pair a map of one place, and one of those that move."""

_DIRECTED = 3
"""Sums that change their sign with the direction of time: f_t, f_t f_x and f_t f_y."""

_OF_PLACES = 10
"""One of so many places is read by its words."""

LEAST_SPREAD = 1e-6


class PairsRead(NamedTuple):
    """All that is read of pairs, a few numbers in place of maps."""

    sums: Float[Tensor, "P D"]
    """Over the last map."""

    places: Float[Tensor, "P _ T"]
    """What the places of the middle map that change most show."""


class PooledBranch(nn.Module):
    """Classify the motion between neighbouring snippets by what sums and places of maps tell.

    Args:
        middle: Channels of a backbone's 14 x 14 map.
        last: Channels of its last map.
        num_classes: Classes to tell apart.
        dropout: Share of what a classifier reads hidden from it in training, alike for all pairs
            of a video.

    Attributes:
        levels: The sizes of the maps that it classifies by.
        heads: Names of its classifiers.
    """

    levels = (_MIDDLE, _LAST)
    heads: tuple[str, ...] = ("off14", "off7_energy", "off7_direction")

    def __init__(self, middle: int, last: int, *, num_classes: int, dropout: float = 0.8) -> None:
        super().__init__()
        self.dropout = dropout
        self.codebook = Codebook(2 * middle)
        self.words = nn.Linear(self.codebook.length, num_classes)
        self.energy = nn.Linear(last, num_classes)
        self.direction = nn.Linear(_DIRECTED * last, num_classes)
        for head in (self.words, self.energy, self.direction):
            nn.init.normal_(head.weight, std=0.001)
            nn.init.zeros_(head.bias)
        self.centre: Tensor
        self.spread: Tensor
        sizes = [head.in_features for head in (self.words, self.energy, self.direction)]
        self.register_buffer("centre", torch.zeros(sum(sizes)))
        self.register_buffer("spread", torch.ones(sum(sizes)))
        self._sizes = sizes

    def forward(
        self, levels: LevelMaps, *, snippets: int
    ) -> dict[str, Float[Tensor, "N {snippets}-1 classes"]]:
        """Return logits of heads `off14`, `off7_energy` and `off7_direction`.

        Args:
            levels: Maps of the snippets of all videos, video by video: of level 14 the last is
                read, and level 7 is a backbone's last map. Or what `read` made of them.
            snippets: Snippets of each video.
        """
        return self._heads(self._hidden(self._seen(levels, snippets)))

    def shares(self, levels: LevelMaps) -> Shares:
        """Return what snippets contribute to the pairs that they are in: the maps themselves."""
        maps = _maps_read(levels)
        return Shares(earlier=maps, later=maps)

    def pairs(
        self,
        earlier: Sequence[Float[Tensor, "P _ _ _"]],
        later: Sequence[Float[Tensor, "P _ _ _"]],
    ) -> dict[str, Float[Tensor, "P classes"]]:
        """Return logits of all heads for pairs, from the shares of both snippets."""
        return self._heads(self._seen_of_pairs(earlier, later))

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
        """Find the words of some maps, and make what is told of them have mean 0 and spread 1.

        Each sum is scaled by itself. The words are scaled together, as rare ones would otherwise
        be as loud as frequent ones.

        Args:
            levels: Of training videos, as for `forward`.
            snippets: Snippets of each video.
        """
        read = _of_videos(levels, snippets)
        self.codebook.fit(read.places.transpose(1, 2).flatten(0, 1))
        # Of videos, as the classifier's answers are averaged over the pairs of each.
        by_video = self._told(read).unflatten(0, (-1, snippets - 1)).mean(dim=1)
        self.centre.copy_(by_video.mean(dim=0))
        self.spread.copy_(by_video.std(dim=0).clamp(min=LEAST_SPREAD))
        words = self._sizes[0]
        together = (by_video[:, :words] - self.centre[:words]).square().mean().sqrt()
        self.spread[:words] = together.clamp(min=LEAST_SPREAD)

    @staticmethod
    def read(levels: LevelMaps, *, snippets: int, stride: int = 1) -> dict[int, Tensor]:
        """Return all that is read of pairs, to be kept: its level, and maps of the pairs.

        Args:
            levels: Maps of the snippets of all videos, video by video.
            snippets: Snippets of each video.
            stride: How many snippets later the other one of a pair comes.
        """
        found = _of_videos(levels, snippets, stride)
        return {SUMS: found.sums[..., None, None], PLACES: found.places[..., None]}

    def _told(self, read: PairsRead) -> Float[Tensor, "P D"]:
        """Return the words of the places, and the sums."""
        return torch.cat([self.codebook(read.places), read.sums], dim=1)

    def _seen(self, levels: LevelMaps, snippets: int) -> Float[Tensor, "N {snippets}-1 D"]:
        """Return what the classifiers read of the pairs of all videos."""
        scaled = self._scaled(self._told(_of_videos(levels, snippets)))
        seen: Tensor = scaled.unflatten(0, (-1, snippets - 1))
        return seen

    def _seen_of_pairs(
        self, earlier: Sequence[Tensor], later: Sequence[Tensor]
    ) -> Float[Tensor, "P D"]:
        """Return what the classifiers read of pairs, from the shares of both snippets."""
        return self._scaled(self._told(_of_pairs(earlier, later)))

    def _hidden(self, seen: Float[Tensor, "N P D"]) -> Float[Tensor, "N P D"]:
        """Return what is left of it in training: of all pairs of a video the same is hidden."""
        if not self.training:
            return seen
        left: Tensor = seen * F.dropout(torch.ones_like(seen[:, :1]), self.dropout)
        return left

    def _heads(self, seen: Float[Tensor, "*P D"]) -> dict[str, Tensor]:
        """Return the logits of what is scaled."""
        words, energy, direction = seen.split(self._sizes, dim=-1)
        return {
            "off14": self.words(words),
            "off7_energy": self.energy(energy),
            "off7_direction": self.direction(direction),
        }

    def _scaled(self, told: Float[Tensor, "P D"]) -> Float[Tensor, "P D"]:
        return (told - self.centre) / self.spread


def places_of(
    earlier: Float[Tensor, "P C H W"], later: Float[Tensor, "P C H W"]
) -> Float[Tensor, "P 2*C T"]:
    """Return f_t and f of the places that change most, a tenth of them, at least one.

    Args:
        earlier: A map of the earlier snippet of each pair.
        later: Of the later one.
    """
    change = (later - earlier).flatten(2)
    energy = change.square().sum(dim=1)
    chosen = energy.topk(max(energy.shape[1] // _OF_PLACES, 1), dim=1).indices
    both = torch.cat([change, earlier.flatten(2)], dim=1)
    return both.gather(2, chosen[:, None].expand(-1, both.shape[1], -1))


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


def _maps_read(levels: LevelMaps) -> tuple[Tensor, Tensor]:
    """Return the maps that are read: the last one of level 14, and the backbone's last."""
    return levels[_MIDDLE][-1], levels[_LAST][-1]


def _of_pairs(earlier: Sequence[Tensor], later: Sequence[Tensor]) -> PairsRead:
    """Return what is read of pairs of maps."""
    (middle, last), (next_middle, next_last) = earlier, later
    return PairsRead(sums=sums_of(last, next_last), places=places_of(middle, next_middle))


def _of_videos(levels: Mapping[int, Sequence[Tensor]], snippets: int, stride: int = 1) -> PairsRead:
    """Return what is read of the pairs of all videos, kept or found now."""
    if SUMS in levels:
        (sums,), (places,) = levels[SUMS], levels[PLACES]
        return PairsRead(sums=sums[..., 0, 0], places=places[..., 0])
    by_video = [maps.unflatten(0, (-1, snippets)) for maps in _maps_read(levels)]
    return _of_pairs(
        [maps[:, :-stride].flatten(0, 1) for maps in by_video],
        [maps[:, stride:].flatten(0, 1) for maps in by_video],
    )
