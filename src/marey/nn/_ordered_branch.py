"""A pooled OFF branch that also hears in which order the words of places come.

The classifiers of `PooledBranch` hear the mean of all pairs of a video, and a mean does not know
what came first. One more reads the words of the places that change and weighs each pair by how late
it comes, from -1 for the first of a video to 1 for the last: what is shown in the beginning speaks
against what is shown in the end. To what stays the same all the while it is deaf.

Axes: N videos, P pairs of neighbours, D numbers of a pair.
"""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn

from ._pooled_branch import LEAST_SPREAD, PooledBranch
from ._split_branch import LevelMaps

ORDER = "off14_order"
"""The head whose answers to pairs count by how late these come."""


class OrderedBranch(PooledBranch):
    """Classify the motion between snippets by sums, places, and the order of places.

    Args:
        middle: Channels of a backbone's 14 x 14 map.
        last: Channels of its last map.
        num_classes: Classes to tell apart.
        dropout: Share of what a classifier reads hidden from it in training, alike for all pairs
            of a video.

    Attributes:
        heads: Names of its classifiers.
    """

    heads = (*PooledBranch.heads, ORDER)

    def __init__(self, middle: int, last: int, *, num_classes: int, dropout: float = 0.8) -> None:
        super().__init__(middle, last, num_classes=num_classes, dropout=dropout)
        self.order = nn.Linear(self.codebook.length, num_classes, bias=False)
        nn.init.normal_(self.order.weight, std=0.001)
        self.order_spread: Tensor
        self.register_buffer("order_spread", torch.ones(()))

    def forward(
        self, levels: LevelMaps, *, snippets: int
    ) -> dict[str, Float[Tensor, "N {snippets}-1 classes"]]:
        """Return logits of the heads of `PooledBranch`, and of `off14_order`.

        Args:
            levels: Maps of the snippets of all videos, video by video, or what `read` made of them.
            snippets: Snippets of each video, in their order.
        """
        seen = self._seen(levels, snippets)
        late = lateness(snippets - 1, like=seen)[:, None]
        heads = self._heads(self._hidden(seen))
        return heads | {ORDER: late * self._in_order(self._hidden(seen))}

    def pairs(
        self,
        earlier: Sequence[Float[Tensor, "P _ _ _"]],
        later: Sequence[Float[Tensor, "P _ _ _"]],
    ) -> dict[str, Float[Tensor, "P classes"]]:
        """Return logits of all heads for pairs, from the shares of both snippets.

        Those of `off14_order` are of the last pair of a video; a pair knows nothing of the others,
        so it is for the caller to weigh them by `lateness`.
        """
        seen = self._seen_of_pairs(earlier, later)
        return self._heads(seen) | {ORDER: self._in_order(seen)}

    @torch.no_grad()
    def standardise(self, levels: LevelMaps, *, snippets: int) -> None:
        """Find the words of some maps, and make what is told of them have mean 0 and spread 1.

        Args:
            levels: Of training videos, as for `forward`.
            snippets: Snippets of each video.
        """
        super().standardise(levels, snippets=snippets)
        seen = self._seen(levels, snippets)
        late = lateness(snippets - 1, like=seen)[:, None]
        by_video = (late * seen[..., : self.codebook.length]).mean(dim=1)
        self.order_spread.copy_(by_video.square().mean().sqrt().clamp(min=LEAST_SPREAD))

    def _in_order(self, seen: Float[Tensor, "*P D"]) -> Float[Tensor, "*P classes"]:
        """Return what the words of pairs would say, were each the last of its video."""
        logits: Tensor = self.order(seen[..., : self.codebook.length] / self.order_spread)
        return logits


def lateness(pairs: int, *, like: Tensor) -> Float[Tensor, " P"]:
    """Return how late each of some pairs comes: -1 the first, 1 the last, 0 a single one.

    Args:
        pairs: How many there are.
        like: A tensor of the wanted type and device.
    """
    place = torch.arange(pairs, dtype=like.dtype, device=like.device)
    place = place - (pairs - 1) / 2
    return place / place.amax(dim=0).clamp(min=0.5)
