"""EfficientNet-Lite, backbones for small computers.

EfficientNet (https://arxiv.org/abs/1905.11946) without squeeze-and-excitation and with ReLU6.
Lite2 is Lite0 with its stages 1.1 times as wide and 1.2 times as deep (section 3.3 there).

Axes: B images, C channels, H rows, W columns.
"""

from collections.abc import Sequence
from typing import NamedTuple

from jaxtyping import Float
from torch import Tensor, nn

from ._backbone import Backbone, Maps
from ._conv import ConvBN


class _Stage(NamedTuple):
    kernel: int
    stride: int
    expansion: int
    channels: int
    repeats: int


_LITE0 = (
    _Stage(3, 1, 1, 16, 1),
    _Stage(3, 2, 6, 24, 2),
    _Stage(5, 2, 6, 40, 2),
    _Stage(3, 2, 6, 80, 3),
    _Stage(5, 1, 6, 112, 3),
    _Stage(5, 2, 6, 192, 4),
    _Stage(3, 1, 6, 320, 1),
)
_LITE2 = (
    _Stage(3, 1, 1, 16, 1),
    _Stage(3, 2, 6, 24, 3),
    _Stage(5, 2, 6, 48, 3),
    _Stage(3, 2, 6, 88, 4),
    _Stage(5, 1, 6, 120, 4),
    _Stage(5, 2, 6, 208, 5),
    _Stage(3, 1, 6, 352, 1),
)
_STEM, _HEAD = 32, 1280
_LEVELS = {28: (2,), 14: (3, 4), 7: (5, 6)}  # by position of the stage
_EPS, _MOMENTUM = 1e-3, 0.01


class EfficientNetLite(Backbone):
    """Stages of inverted residual blocks between two convolutions.

    Args:
        stages: The seven stages.
        in_channels: Channels of an image.
    """

    def __init__(self, stages: Sequence[_Stage], *, in_channels: int) -> None:
        super().__init__()
        self.stem = _conv(in_channels, _STEM, 3, stride=2)
        blocks: list[nn.Module] = []
        ends = []
        channels = _STEM
        for stage in stages:
            for repeat in range(stage.repeats):
                stride = stage.stride if repeat == 0 else 1
                blocks.append(_InvertedResidual(channels, stage, stride))
                channels = stage.channels
            ends.append(len(blocks))
        self.blocks = nn.ModuleList(blocks)
        self.head = _conv(channels, _HEAD, 1)
        self.channels = {
            level: tuple(stages[place].channels for place in places)
            for level, places in _LEVELS.items()
        }
        self.feature_channels = _HEAD
        self._ends = ends

    def forward(self, images: Float[Tensor, "B C H W"]) -> Maps:
        """Return the answers of the last five stages and of the last convolution."""
        maps = self.stem(images)
        ends = {}
        for count, block in enumerate(self.blocks, start=1):
            maps = block(maps)
            ends[count] = maps
        levels = {
            level: [ends[self._ends[stage]] for stage in stages]
            for level, stages in _LEVELS.items()
        }
        return Maps(levels=levels, features=self.head(maps))

    def stages(self) -> list[list[nn.Module]]:
        """Return the first convolution, the seven stages and the last convolution."""
        starts = [0, *self._ends[:-1]]
        groups = [
            list(self.blocks[start:end]) for start, end in zip(starts, self._ends, strict=True)
        ]
        return [[self.stem], *groups, [self.head]]


def efficientnet_lite0(*, in_channels: int = 3) -> EfficientNetLite:
    """Return EfficientNet-Lite0: 16 blocks, 0.39 GMAC for an image of 224 x 224.

    Args:
        in_channels: Channels of an image.
    """
    return EfficientNetLite(_LITE0, in_channels=in_channels)


def efficientnet_lite2(*, in_channels: int = 3) -> EfficientNetLite:
    """Return EfficientNet-Lite2: 21 blocks, 0.64 GMAC for an image of 224 x 224.

    Args:
        in_channels: Channels of an image.
    """
    return EfficientNetLite(_LITE2, in_channels=in_channels)


class _InvertedResidual(nn.Module):
    """Widen a map, convolve each channel by itself, narrow the map, add the input if it fits."""

    def __init__(self, in_channels: int, stage: _Stage, stride: int) -> None:
        super().__init__()
        inner = in_channels * stage.expansion
        self.expand: nn.Module = nn.Identity()
        if stage.expansion > 1:
            self.expand = _conv(in_channels, inner, 1)
        self.depthwise = _conv(inner, inner, stage.kernel, stride=stride, groups=inner)
        self.project = _conv(inner, stage.channels, 1, rectify=False)
        self.adds = stride == 1 and in_channels == stage.channels

    def forward(self, maps: Float[Tensor, "B C H W"]) -> Float[Tensor, "B _ _ _"]:
        """Return the block's answer."""
        answer: Tensor = self.project(self.depthwise(self.expand(maps)))
        return answer + maps if self.adds else answer


def _conv(
    in_channels: int,
    out_channels: int,
    kernel: int,
    *,
    stride: int = 1,
    groups: int = 1,
    rectify: bool = True,
) -> ConvBN:
    """Return a convolution as TensorFlow, which trained the published weights, means it."""
    return ConvBN(
        in_channels,
        out_channels,
        kernel,
        stride=stride,
        padding="same",
        groups=groups,
        eps=_EPS,
        momentum=_MOMENTUM,
        activation="relu6" if rectify else "none",
    )
