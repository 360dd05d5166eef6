"""How alike each place of a frame is to the places of the next, at four scales.

Axes: B pairs of frames, C channels, h rows and w columns of the features, P = h w places of the
first frame, S places of the second frame at all levels together, L levels.
"""

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import functional as F

LEVELS = 4
"""Each has half the rows and columns of the one before."""
RADIUS = 3
"""A window reaches this many places to each side of its centre, at every level."""


class Correlation:
    """The scalar product of every feature of one frame with every feature of the next."""

    def __init__(
        self, features: Float[Tensor, "B C h w"], next_features: Float[Tensor, "B C h w"]
    ) -> None:
        levels = [next_features / features.shape[1] ** 0.5]
        while len(levels) < LEVELS:
            # The mean of products is the product with the mean, which is far less work.
            levels.append(F.avg_pool2d(levels[-1], 2))
        every = torch.cat([level.flatten(2) for level in levels], dim=2)
        self._products: Float[Tensor, "B S P"] = every.transpose(1, 2) @ features.flatten(2)
        sizes = [level.shape[2] * level.shape[3] for level in levels]
        starts = [sum(sizes[:level]) for level in range(LEVELS)]
        device = features.device
        self._starts = torch.tensor(starts, device=device).view(-1, 1, 1)
        self._rows = torch.tensor([level.shape[2] for level in levels], device=device)
        self._columns = torch.tensor([level.shape[3] for level in levels], device=device)
        self._down = torch.arange(features.shape[2], device=device)[:, None]
        self._across = torch.arange(features.shape[3], device=device)

    def around(self, flow: Float[Tensor, "B 2 h w"]) -> Float[Tensor, "B _ h w"]:
        """Return the window of products around where the flow takes each place.

        The channels go by level, then by x, then by y: the released weights want the columns
        of a window one after the other. Between places the products are interpolated; outside
        of the frame they are 0.
        """
        batch, _, height, width = flow.shape
        x, left, right = _axis(flow[:, 0] + self._across, self._columns)
        y, above, below = _axis(flow[:, 1] + self._down, self._rows)
        y = y * self._columns.view(-1, 1, 1) + self._starts
        places = (x[:, :, :, None] + y[:, :, None]).flatten(1, 3)
        window = self._products.gather(1, places).view(*x.shape[:3], *y.shape[2:])
        window = window[:, :, :-1] * left[:, :, :, None] + window[:, :, 1:] * right[:, :, :, None]
        window = window[..., :-1, :] * above[:, :, None] + window[..., 1:, :] * below[:, :, None]
        return window.view(batch, -1, height, width)


def _axis(
    centres: Float[Tensor, "B h w"], sizes: Int[Tensor, " L"]
) -> tuple[
    Int[Tensor, "B L whole P"], Float[Tensor, "B L window P"], Float[Tensor, "B L window P"]
]:
    """Return which places a window needs along one axis, and how to interpolate between them.

    All points of a window lie equally far between two places, so that it needs only one place
    more than it has points. Point i is the sum of places i and i + 1 times the weights i.

    Args:
        centres: Of the windows, in places of the finest level.
        sizes: Places along the axis at each level; those that are not there weigh nothing.
    """
    levels = torch.arange(LEVELS, device=centres.device)
    scaled = centres.flatten(1)[:, None] * 0.5 ** levels[:, None]
    corner = scaled.floor()
    after = (scaled - corner)[:, :, None]
    offsets = torch.arange(-RADIUS, RADIUS + 2, device=centres.device)
    whole = corner.long()[:, :, None] + offsets[:, None]
    last = sizes.view(-1, 1, 1) - 1
    inside = (whole >= 0) & (whole <= last)
    return (
        whole.clamp(min=0).minimum(last),
        inside[:, :, :-1] * (1 - after),
        inside[:, :, 1:] * after,
    )
