"""The OFF branch: a small residual network over the OFF units of all resolutions.

Widths and order follow the released networks of
https://github.com/kevin-ssy/Optical-Flow-Guided-Feature.

Axes: N videos, K snippets of each, P pairs of neighbouring snippets in all videos, C channels,
H rows, W columns.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from ._conv import ConvBN
from ._off_unit import Gradient, Gradients, OFFUnit

Init = Literal["msra", "xavier"]
Convolution = Callable[[int, int, int], nn.Module]
LevelMaps = Mapping[int, Sequence[Float[Tensor, "B _ _ _"]]]


def _plain(in_channels: int, out_channels: int, kernel: int, stride: int = 1) -> nn.Module:
    """Return a convolution as the released networks have it."""
    return nn.Conv2d(in_channels, out_channels, kernel, stride, padding=kernel // 2)


def _normalised(in_channels: int, out_channels: int, kernel: int, stride: int = 1) -> nn.Module:
    """Return a convolution whose answer is normalised."""
    return ConvBN(
        in_channels, out_channels, kernel, stride=stride, padding=kernel // 2, activation="none"
    )


class Bottleneck(nn.Module):
    """Add to a map what three convolutions make of it.

    Args:
        in_channels: Channels of the map; it is projected where they are not 4 times `width`.
        width: Channels between the convolutions.
        last_kernel: Rows and columns of the third convolution.
        rectify: Whether the sum is rectified.
        convolution: Builds a convolution from its channels before and after and its kernel.
    """

    def __init__(
        self,
        in_channels: int,
        width: int,
        *,
        last_kernel: int = 1,
        rectify: bool = True,
        convolution: Convolution,
    ) -> None:
        super().__init__()
        self.rectify = rectify
        self.conv1 = convolution(in_channels, width, 1)
        self.conv2 = convolution(width, width, 3)
        self.conv3 = convolution(width, 4 * width, last_kernel)
        self.shortcut: nn.Module = nn.Identity()
        if in_channels != 4 * width:
            self.shortcut = convolution(in_channels, 4 * width, 1)

    def forward(self, maps: Float[Tensor, "P C H W"]) -> Float[Tensor, "P D H W"]:
        """Return the sum."""
        inner = F.relu(self.conv1(maps), inplace=True)
        inner = F.relu(self.conv2(inner), inplace=True)
        total = self.conv3(inner) + self.shortcut(maps)
        return F.relu(total, inplace=True) if self.rectify else total


class OFFLevel(nn.Module):
    """Join the OFF units of one resolution and what the finer level found.

    Args:
        units: One for each map of the level.
        blocks: Follow the convolution that joins the units.
        carried: Channels that come from the finer level; 0 for none.
        stem: Channels of the convolution that joins the units.
        kernel: Rows and columns of that convolution.
        stride: Step of that convolution.
        num_classes: Classes that the level's own classifier tells apart.
        batch_norm: Whether what is joined, and the convolution's answer, are normalised.
    """

    def __init__(
        self,
        units: Sequence[OFFUnit],
        blocks: Sequence[Bottleneck],
        *,
        carried: int,
        stem: int,
        kernel: int,
        stride: int,
        num_classes: int,
        batch_norm: bool,
    ) -> None:
        super().__init__()
        joined = sum(unit.out_channels for unit in units) + carried
        self.units = nn.ModuleList(units)
        self.norm = nn.BatchNorm2d(joined) if batch_norm else nn.Identity()
        self.stem = (_normalised if batch_norm else _plain)(joined, stem, kernel, stride)
        self.blocks = nn.Sequential(*blocks)
        self.head = nn.Linear(4 * stem, num_classes)

    def forward(
        self, maps: Sequence[Float[Tensor, "B _ _ _"]], snippets: int, carried: list[Tensor]
    ) -> Float[Tensor, "P C H W"]:
        """Return the motion that this level and finer ones see."""
        motion = [
            unit(features.unflatten(0, (-1, snippets))).flatten(0, 1)
            for unit, features in zip(self.units, maps, strict=True)
        ]
        joined = self.norm(torch.cat(motion + carried, dim=1))
        stem: Tensor = F.relu(self.stem(joined), inplace=True)
        return self.blocks(stem)  # type: ignore[no-any-return]

    def gradients(self, maps: Sequence[Float[Tensor, "B _ _ _"]], snippets: int) -> Gradients:
        """Return what the units see, their channels one after the other."""
        seen = []
        for unit, features in zip(self.units, maps, strict=True):
            assert isinstance(unit, OFFUnit)
            seen.append(unit.gradients(features.unflatten(0, (-1, snippets))))
        spatial, temporal = (torch.cat(parts, dim=2) for parts in zip(*seen, strict=True))
        return Gradients(spatial, temporal)


class OFFBranch(nn.Module):
    """Classify the motion between neighbouring snippets at three resolutions.

    Args:
        channels: Channels of each map that a backbone offers at levels 28, 14 and 7.
        num_classes: Classes to tell apart.
        spatial: Channels of each unit whose spatial gradient is taken; 0 for none.
        temporal: Channels of each unit whose temporal gradient is taken.
        stems: Channels of the convolution that joins the units of levels 28, 14 and 7.
        gradient: Spatial gradient of the units.
        dropout: Share of the averaged features hidden from the classifiers in training.
        gradient_dropout: Share of the spatial gradients hidden in training.
        batch_norm: Whether convolutions are normalised. The released networks do without on maps
            that are rectified and spread by about one, in 20,000 steps of 128 videos; other maps
            and fewer steps never get the finer levels started.
        init: How convolutions begin, scaled by their inputs: normal (`msra`) or uniform
            (`xavier`).
    """

    def __init__(
        self,
        channels: Mapping[int, Sequence[int]],
        *,
        num_classes: int,
        spatial: int,
        temporal: int,
        stems: tuple[int, int, int] = (64, 128, 256),
        gradient: Gradient = "diagonal",
        dropout: float = 0.8,
        gradient_dropout: float = 0.8,
        batch_norm: bool = False,
        init: Init = "msra",
    ) -> None:
        super().__init__()
        self.dropout = dropout
        fine, middle, coarse = stems

        def units(level: int) -> list[OFFUnit]:
            return [
                OFFUnit(
                    width,
                    spatial=spatial,
                    temporal=temporal,
                    gradient=gradient,
                    gradient_dropout=gradient_dropout,
                )
                for width in channels[level]
            ]

        block = partial(Bottleneck, convolution=_normalised if batch_norm else _plain)
        level = partial(OFFLevel, num_classes=num_classes, batch_norm=batch_norm)
        self.level28 = level(
            units(28),
            [block(fine, fine), block(4 * fine, fine), block(4 * fine, fine)],
            carried=0,
            stem=fine,
            kernel=7,
            stride=2,
        )
        self.level14 = level(
            units(14),
            [block(middle, middle), block(4 * middle, middle, last_kernel=3)],
            carried=4 * fine,
            stem=middle,
            kernel=5,
            stride=2,
        )
        self.level7 = level(
            units(7),
            [block(coarse, coarse, rectify=False)],
            carried=4 * middle,
            stem=coarse,
            kernel=3,
            stride=1,
        )
        self._initialize(init)

    def forward(
        self, levels: LevelMaps, *, snippets: int
    ) -> dict[str, Float[Tensor, "N {snippets}-1 classes"]]:
        """Return logits of heads `off7` and `off14`, in training also of `off28`.

        Args:
            levels: Maps of the snippets of all videos, video by video.
            snippets: Snippets of each video.
        """
        heads = self.every_head(levels, snippets=snippets)
        if not self.training:
            del heads["off28"]
        return heads

    def every_head(
        self, levels: LevelMaps, *, snippets: int
    ) -> dict[str, Float[Tensor, "N {snippets}-1 classes"]]:
        """Return logits of all heads, with `off28`, which exists to train the finest level."""
        motion28 = self.level28(levels[28], snippets, [])
        motion14 = self.level14(levels[14], snippets, [motion28])
        motion7 = self.level7(levels[7], snippets, [motion14])
        pooled28 = F.max_pool2d(motion28, 3, stride=2, ceil_mode=True)
        pairs = (-1, snippets - 1)
        return {
            "off7": self._scores(self.level7, motion7).unflatten(0, pairs),
            "off14": self._scores(self.level14, motion14).unflatten(0, pairs),
            "off28": self._scores(self.level28, pooled28).unflatten(0, pairs),
        }

    def gradients(self, levels: LevelMaps, *, snippets: int) -> dict[int, Gradients]:
        """Return what the units of each level see, their channels one after the other."""
        sizes = {28: self.level28, 14: self.level14, 7: self.level7}
        return {size: level.gradients(levels[size], snippets) for size, level in sizes.items()}

    def _scores(
        self, level: OFFLevel, motion: Float[Tensor, "P C H W"]
    ) -> Float[Tensor, "P classes"]:
        """Return the logits of one level's classifier."""
        features = F.dropout(motion.mean(dim=(2, 3)), self.dropout, self.training)
        return level.head(features)  # type: ignore[no-any-return]

    def _initialize(self, init: Init) -> None:
        """Draw the weights that the released networks begin with."""
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                fan_in = module.weight[0].numel()
                if init == "msra":
                    nn.init.normal_(module.weight, std=(2 / fan_in) ** 0.5)
                else:
                    bound = (3 / fan_in) ** 0.5
                    nn.init.uniform_(module.weight, -bound, bound)
                if module.bias is not None:
                    nn.init.constant_(module.bias, 0.2)
            elif isinstance(module, nn.Linear):
                nn.init.normal_(module.weight, std=0.001)
                nn.init.zeros_(module.bias)
