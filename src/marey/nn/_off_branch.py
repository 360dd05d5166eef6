"""The OFF branch: a small residual network over the OFF units of all resolutions.

It has no normalization. Widths and order follow the released networks of
https://github.com/kevin-ssy/Optical-Flow-Guided-Feature.

Axes: N videos, K snippets of each, P pairs of neighbouring snippets in all videos, C channels,
H rows, W columns.
"""

from collections.abc import Mapping, Sequence
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from ._conv import RectifiedConv2d
from ._off_unit import Gradient, Gradients, OFFUnit

Init = Literal["msra", "xavier"]
LevelMaps = Mapping[int, Sequence[Float[Tensor, "B _ _ _"]]]


class Bottleneck(nn.Module):
    """Add to a map what three convolutions make of it.

    Args:
        in_channels: Channels of the map; it is projected where they are not 4 times `width`.
        width: Channels between the convolutions.
        last_kernel: Rows and columns of the third convolution.
        rectify: Whether the sum is rectified.
    """

    def __init__(
        self, in_channels: int, width: int, *, last_kernel: int = 1, rectify: bool = True
    ) -> None:
        super().__init__()
        self.rectify = rectify
        self.conv1 = nn.Conv2d(in_channels, width, 1)
        self.conv2 = nn.Conv2d(width, width, 3, padding=1)
        self.conv3 = nn.Conv2d(width, 4 * width, last_kernel, padding=last_kernel // 2)
        self.shortcut: nn.Module = nn.Identity()
        if in_channels != 4 * width:
            self.shortcut = nn.Conv2d(in_channels, 4 * width, 1)

    def forward(self, maps: Float[Tensor, "P C H W"]) -> Float[Tensor, "P D H W"]:
        """Return the sum."""
        total = self.inner(maps) + self.shortcut(maps)
        return F.relu(total, inplace=True) if self.rectify else total

    def inner(self, maps: Float[Tensor, "P C H W"]) -> Float[Tensor, "P D H W"]:
        """Return what the three convolutions make of the map."""
        inside = F.relu(self.conv1(maps), inplace=True)
        inside = F.relu(self.conv2(inside), inplace=True)
        return self.conv3(inside)  # type: ignore[no-any-return]


class OFFLevel(nn.Module):
    """Join the OFF units of one resolution and what the finer level found.

    Args:
        units: One for each map of the level.
        stem: The convolution that joins the units and what the finer level found.
        blocks: Follow it.
        head: The level's own classifier.
    """

    def __init__(
        self,
        units: Sequence[OFFUnit],
        stem: nn.Conv2d,
        blocks: Sequence[nn.Module],
        head: nn.Linear,
    ) -> None:
        super().__init__()
        self.units = nn.ModuleList(units)
        self.stem = stem
        self.blocks = nn.Sequential(*blocks)
        self.head = head

    def forward(
        self, maps: Sequence[Float[Tensor, "B _ _ _"]], snippets: int, carried: list[Tensor]
    ) -> Float[Tensor, "P C H W"]:
        """Return the motion that this level and finer ones see."""
        motion = [
            unit(features.unflatten(0, (-1, snippets))).flatten(0, 1)
            for unit, features in zip(self.units, maps, strict=True)
        ]
        return self.blocks(self.stem(torch.cat(motion + carried, dim=1)))  # type: ignore[no-any-return]

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
        level28: Reads the maps of level 28 of a backbone.
        level14: Reads those of level 14, and what `level28` found.
        level7: Reads those of level 7, and what `level14` found.
        dropout: Share of the averaged features hidden from the classifiers in training.
        scale: Factor on the maps. Without normalisation the branch wants them to spread by about
            one; what a backbone rectifies does, what it leaves linear may not.

    Attributes:
        levels: The sizes of the maps that it reads.
        heads: Names of its classifiers that answer out of training.
    """

    levels = (28, 14, 7)
    heads = ("off7", "off14")

    def __init__(
        self,
        level28: OFFLevel,
        level14: OFFLevel,
        level7: OFFLevel,
        *,
        dropout: float = 0.8,
        scale: float = 1.0,
    ) -> None:
        super().__init__()
        self.dropout = dropout
        self.scale = scale
        self.level28 = level28
        self.level14 = level14
        self.level7 = level7

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
        motion28 = self.level28(self._scaled(levels[28]), snippets, [])
        motion14 = self.level14(self._scaled(levels[14]), snippets, [motion28])
        motion7 = self.level7(self._scaled(levels[7]), snippets, [motion14])
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
        return {
            size: level.gradients(self._scaled(levels[size]), snippets)
            for size, level in sizes.items()
        }

    def _scaled(self, maps: Sequence[Float[Tensor, "B _ _ _"]]) -> Sequence[Tensor]:
        return maps if self.scale == 1 else [self.scale * features for features in maps]

    def _scores(
        self, level: OFFLevel, motion: Float[Tensor, "P C H W"]
    ) -> Float[Tensor, "P classes"]:
        """Return the logits of one level's classifier."""
        features = F.dropout(motion.mean(dim=(2, 3)), self.dropout, self.training)
        return level.head(features)  # type: ignore[no-any-return]


def off_branch(
    channels: Mapping[int, Sequence[int]],
    *,
    num_classes: int,
    spatial: int,
    temporal: int,
    stems: tuple[int, int, int] = (64, 128, 256),
    gradient: Gradient = "diagonal",
    dropout: float = 0.8,
    gradient_dropout: float = 0.8,
    scale: float = 1.0,
    init: Init = "msra",
) -> OFFBranch:
    """Return the branch of the released networks.

    Args:
        channels: Channels of each map that a backbone offers at levels 28, 14 and 7.
        num_classes: Classes to tell apart.
        spatial: Channels of each unit whose spatial gradient is taken; 0 for none.
        temporal: Channels of each unit whose temporal gradient is taken.
        stems: Channels of the convolution that joins the units of levels 28, 14 and 7.
        gradient: Spatial gradient of the units.
        dropout: Share of the averaged features hidden from the classifiers in training.
        gradient_dropout: Share of the spatial gradients hidden in training.
        scale: Factor on the maps.
        init: How convolutions begin, scaled by their inputs: normal (`msra`) or uniform
            (`xavier`).
    """
    fine, middle, coarse = stems

    def level(size: int, stem: nn.Conv2d, *blocks: Bottleneck) -> OFFLevel:
        units = [
            OFFUnit(
                width,
                spatial=spatial,
                temporal=temporal,
                gradient=gradient,
                gradient_dropout=gradient_dropout,
            )
            for width in channels[size]
        ]
        return OFFLevel(units, stem, blocks, nn.Linear(4 * stem.out_channels, num_classes))

    unit = spatial * (2 if gradient == "sobel" else 1) + temporal
    joined = {size: unit * len(maps) for size, maps in channels.items()}
    branch = OFFBranch(
        level(
            28,
            RectifiedConv2d(joined[28], fine, 7, stride=2, padding=3),
            Bottleneck(fine, fine),
            Bottleneck(4 * fine, fine),
            Bottleneck(4 * fine, fine),
        ),
        level(
            14,
            RectifiedConv2d(joined[14] + 4 * fine, middle, 5, stride=2, padding=2),
            Bottleneck(middle, middle),
            Bottleneck(4 * middle, middle, last_kernel=3),
        ),
        level(
            7,
            RectifiedConv2d(joined[7] + 4 * middle, coarse, 3, padding=1),
            Bottleneck(coarse, coarse, rectify=False),
        ),
        dropout=dropout,
        scale=scale,
    )
    _initialize(branch, init)
    return branch


def _initialize(branch: OFFBranch, init: Init) -> None:
    """Draw the weights that the released networks begin with."""
    for module in branch.modules():
        if isinstance(module, nn.Conv2d):
            fan_in = module.weight[0].numel()
            if init == "msra":
                nn.init.normal_(module.weight, std=(2 / fan_in) ** 0.5)
            else:
                bound = (3 / fan_in) ** 0.5
                nn.init.uniform_(module.weight, -bound, bound)
            assert module.bias is not None
            nn.init.constant_(module.bias, 0.2)
        elif isinstance(module, nn.Linear):
            nn.init.normal_(module.weight, std=0.001)
            nn.init.zeros_(module.bias)
