"""The branch of a port of OFF to PyTorch, for the weights that were trained with it.

https://github.com/JoeHEZHAO/Optical-Flow-Guided-Feature-Pytorch differs from the released
networks, which `off_branch` makes, in three ways: the spatial gradient is a convolution of each
channel that is trained, with a bias; the first shortcut of level 28 comes from what joins the
units before it is rectified; and the last convolution of level 14 is rectified before it is added.

Axes: P pairs of neighbouring snippets in all videos, B images, C channels, H rows, W columns.
"""

from collections.abc import Mapping, Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from ._conv import RectifiedConv2d
from ._gradients import diagonal_kernels
from ._off_branch import Bottleneck, OFFBranch, OFFLevel
from ._off_unit import OFFUnit

_SPATIAL, _TEMPORAL = 32, 128  # channels of a unit
_FINE, _MIDDLE, _COARSE = 64, 128, 256  # channels of the stems of levels 28, 14 and 7


class PortUnit(OFFUnit):
    """An OFF unit whose spatial gradient is trained, from the diagonal one on.

    Args:
        in_channels: Channels of the incoming features.
        gradient_dropout: Share of the spatial gradient hidden in training.
    """

    def __init__(self, in_channels: int, *, gradient_dropout: float = 0.8) -> None:
        super().__init__(
            in_channels,
            spatial=_SPATIAL,
            temporal=_TEMPORAL,
            gradient_dropout=gradient_dropout,
        )
        self.trained = nn.Conv2d(_SPATIAL, _SPATIAL, 3, padding=1, groups=_SPATIAL)
        with torch.no_grad():
            self.trained.weight.copy_(diagonal_kernels(_SPATIAL))
        assert self.trained.bias is not None
        nn.init.zeros_(self.trained.bias)

    def in_space(self, maps: Float[Tensor, "B C H W"]) -> Float[Tensor, "B C H W"]:
        """Return what the trained kernels answer."""
        return self.trained(maps)  # type: ignore[no-any-return]


class UnrectifiedShortcut(Bottleneck):
    """A bottleneck that rectifies what comes in, but not for its shortcut."""

    def forward(self, maps: Float[Tensor, "P C H W"]) -> Float[Tensor, "P D H W"]:
        """Return the rectified sum."""
        shortcut = self.shortcut(maps)
        return F.relu(self.inner(F.relu(maps)) + shortcut, inplace=True)


def port_branch(
    channels: Mapping[int, Sequence[int]],
    *,
    num_classes: int,
    dropout: float = 0.8,
    gradient_dropout: float = 0.8,
) -> OFFBranch:
    """Return the branch of the port, which begins with PyTorch's own weights.

    Args:
        channels: Channels of each map that a backbone offers at levels 28, 14 and 7.
        num_classes: Classes to tell apart.
        dropout: Share of the averaged features hidden from the classifiers in training.
        gradient_dropout: Share of the spatial gradients hidden in training.
    """

    def level(size: int, stem: nn.Conv2d, *blocks: Bottleneck) -> OFFLevel:
        units = [PortUnit(width, gradient_dropout=gradient_dropout) for width in channels[size]]
        return OFFLevel(units, stem, blocks, nn.Linear(4 * stem.out_channels, num_classes))

    joined = {size: (_SPATIAL + _TEMPORAL) * len(maps) for size, maps in channels.items()}
    last = Bottleneck(4 * _MIDDLE, _MIDDLE, last_kernel=3)
    last.conv3 = RectifiedConv2d(_MIDDLE, 4 * _MIDDLE, 3, padding=1)
    return OFFBranch(
        level(
            28,
            nn.Conv2d(joined[28], _FINE, 7, stride=2, padding=3),
            UnrectifiedShortcut(_FINE, _FINE),
            Bottleneck(4 * _FINE, _FINE),
            Bottleneck(4 * _FINE, _FINE),
        ),
        level(
            14,
            RectifiedConv2d(joined[14] + 4 * _FINE, _MIDDLE, 5, stride=2, padding=2),
            Bottleneck(_MIDDLE, _MIDDLE),
            last,
        ),
        level(
            7,
            RectifiedConv2d(joined[7] + 4 * _MIDDLE, _COARSE, 3, padding=1),
            Bottleneck(_COARSE, _COARSE, rectify=False),
        ),
        dropout=dropout,
    )
