"""An OFF branch for inference: what each snippet needs is done once, whatever it is paired with.

The convolution that joins the OFF units of a level is linear, and so is all before it but the
rectifier of the maps whose change in time is taken. So it is applied to the parts of a
snippet, and its answer for a pair is a sum of two small maps: one that the earlier snippet
gives and one that the later gives. No pair is ever joined or subtracted at full width.

Axes: B snippets of all videos, P pairs, C channels, H rows, W columns.
"""

import copy
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from ._conv import RectifiedConv2d
from ._gradients import temporal_gradient
from ._off_branch import OFFBranch, OFFLevel
from ._off_unit import Gradients, OFFUnit

LevelMaps = Mapping[int, Sequence[Float[Tensor, "B _ _ _"]]]


class Shares(NamedTuple):
    """What snippets contribute to pairs, at levels 28, 14 and 7."""

    earlier: tuple[Float[Tensor, "B _ _ _"], ...]
    """As the earlier one of a pair."""

    later: tuple[Float[Tensor, "B _ _ _"], ...]
    """As the later one."""


class SplitBranch(nn.Module):
    """Answer as an `OFFBranch` in evaluation mode does, faster; it cannot be trained.

    Args:
        branch: What to answer like. Its weights are copied.

    Attributes:
        levels: The sizes of the maps that it reads.
        heads: Names of its classifiers.
    """

    levels = OFFBranch.levels
    heads = OFFBranch.heads

    def __init__(self, branch: OFFBranch) -> None:
        super().__init__()
        branch = copy.deepcopy(branch)
        levels = (branch.level28, branch.level14, branch.level7)
        self.level28, self.level14, self.level7 = (
            _SplitLevel(level, branch.scale) for level in levels
        )

    def forward(
        self, levels: LevelMaps, *, snippets: int
    ) -> dict[str, Float[Tensor, "N {snippets}-1 classes"]]:
        """Return logits of heads `off7` and `off14` for all pairs of neighbouring snippets.

        Args:
            levels: Maps of the snippets of all videos, video by video.
            snippets: Snippets of each video.
        """
        shares = self.shares(levels)
        earlier = [_videos(maps, snippets)[:, :-1].flatten(0, 1) for maps in shares.earlier]
        later = [_videos(maps, snippets)[:, 1:].flatten(0, 1) for maps in shares.later]
        heads = self.pairs(earlier, later)
        return {name: logits.unflatten(0, (-1, snippets - 1)) for name, logits in heads.items()}

    def shares(self, levels: LevelMaps) -> Shares:
        """Return what snippets contribute to the pairs that they are in."""
        found = [level.shares(levels[size]) for size, level in self._levels().items()]
        earlier, later = zip(*found, strict=True)
        return Shares(earlier, later)

    def pairs(
        self,
        earlier: Sequence[Float[Tensor, "P _ _ _"]],
        later: Sequence[Float[Tensor, "P _ _ _"]],
    ) -> dict[str, Float[Tensor, "P classes"]]:
        """Return logits of heads `off7` and `off14` for pairs, from the shares of both snippets."""
        motion28 = self.level28(earlier[0], later[0], None)
        motion14 = self.level14(earlier[1], later[1], motion28)
        motion7 = self.level7(earlier[2], later[2], motion14)
        return {
            "off7": self.level7.head(motion7.mean(dim=(2, 3))),
            "off14": self.level14.head(motion14.mean(dim=(2, 3))),
        }

    def gradients(self, levels: LevelMaps, *, snippets: int) -> dict[int, Gradients]:
        """Return what the units of each level see, their channels one after the other."""
        return {
            size: level.gradients(levels[size], snippets) for size, level in self._levels().items()
        }

    def _levels(self) -> dict[int, "_SplitLevel"]:
        return {28: self.level28, 14: self.level14, 7: self.level7}


class _SplitLevel(nn.Module):
    """One level of the branch; the convolution that joins its units lies in three parts."""

    in_space: nn.Conv2d | None
    carried: nn.Conv2d | None

    def __init__(self, level: OFFLevel, scale: float) -> None:
        super().__init__()
        units = [unit for unit in level.units if isinstance(unit, OFFUnit)]
        self.units = nn.ModuleList(_SplitUnit(unit, scale) for unit in units)
        parts: list[list[Tensor]] = [[], []]
        start = 0
        for unit in units:
            for part, width in zip(
                parts,
                (unit.spatial_channels, unit.out_channels - unit.spatial_channels),
                strict=True,
            ):
                part.append(level.stem.weight[:, start : start + width])
                start += width
        spatial, temporal = (torch.cat(part, dim=1) for part in parts)
        rest = level.stem.weight[:, start:]
        self.in_space = _part(level.stem, spatial, None) if spatial.shape[1] else None
        self.in_time = _part(level.stem, temporal, None)
        # The bias is added once a pair, with what comes from the finer level if there is one.
        self.carried = _part(level.stem, rest, level.stem.bias) if rest.shape[1] else None
        assert level.stem.bias is not None
        bias = level.stem.bias.detach().view(1, -1, 1, 1)
        self.bias = nn.Parameter(bias.clone(), requires_grad=False)
        self.rectifies = isinstance(level.stem, RectifiedConv2d)
        self.blocks = level.blocks
        self.head = level.head

    def shares(self, maps: Sequence[Float[Tensor, "B _ _ _"]]) -> tuple[Tensor, Tensor]:
        """Return what snippets contribute as the earlier and as the later one of a pair."""
        seen = [unit(features) for unit, features in zip(self.units, maps, strict=True)]
        later = self.in_time(torch.cat([time for _, time in seen], dim=1))
        if self.in_space is None:
            return -later, later
        return self.in_space(torch.cat([space for space, _ in seen], dim=1)) - later, later

    def forward(
        self,
        earlier: Float[Tensor, "P C H W"],
        later: Float[Tensor, "P C H W"],
        finer: Float[Tensor, "P _ _ _"] | None,
    ) -> Float[Tensor, "P D H W"]:
        """Return the motion that this level and finer ones see in pairs."""
        joined = earlier + later
        joined = joined + (self.bias if self.carried is None else self.carried(finer))
        motion: Tensor = self.blocks(F.relu(joined) if self.rectifies else joined)
        return motion

    def gradients(self, maps: Sequence[Float[Tensor, "B _ _ _"]], snippets: int) -> Gradients:
        """Return what the units see, their channels one after the other."""
        seen = [unit(features) for unit, features in zip(self.units, maps, strict=True)]
        spatial, temporal = (torch.cat(parts, dim=1) for parts in zip(*seen, strict=True))
        return Gradients(
            spatial=_videos(spatial, snippets)[:, :-1],
            temporal=temporal_gradient(_videos(temporal, snippets)),
        )


class _SplitUnit(nn.Module):
    """The two reductions of an OFF unit, apart, and the spatial gradient."""

    def __init__(self, unit: OFFUnit, scale: float) -> None:
        super().__init__()
        self.unit = unit
        weight, bias = scale * unit.reduce.weight.detach(), unit.reduce.bias
        assert bias is not None
        in_space, in_time = (slice(None, unit.spatial), slice(unit.spatial, None))
        self.space = _reduction(weight[in_space], bias[in_space]) if unit.spatial else None
        self.time = _reduction(weight[in_time], bias[in_time])

    def forward(self, maps: Float[Tensor, "B C H W"]) -> tuple[Tensor, Tensor]:
        """Return the spatial gradient, and the map whose change in time is the other gradient."""
        time = F.relu(self.time(maps))
        if self.space is None:
            return time[:, :0], time
        return self.unit.in_space(self.space(maps)), time


def _reduction(weight: Float[Tensor, "D C 1 1"], bias: Float[Tensor, " D"]) -> nn.Conv2d:
    """Return the convolution by a kernel of one pixel."""
    return _with_weights(nn.Conv2d(weight.shape[1], weight.shape[0], 1), weight, bias)


def _part(
    stem: nn.Conv2d, weight: Float[Tensor, "D C _ _"], bias: Float[Tensor, " D"] | None
) -> nn.Conv2d:
    """Return a convolution like a stem over some of its channels."""
    rows, columns = weight.shape[2:]
    steps = (stem.stride[0], stem.stride[1])
    padding = (rows // 2, columns // 2)
    like = nn.Conv2d(
        weight.shape[1],
        weight.shape[0],
        (rows, columns),
        steps,
        padding,
        bias=bias is not None,
    )
    return _with_weights(like, weight, bias)


def _with_weights(convolution: nn.Conv2d, weight: Tensor, bias: Tensor | None) -> nn.Conv2d:
    """Give a convolution a copy of these weights."""
    convolution.weight = nn.Parameter(weight.detach().clone(), requires_grad=False)
    if bias is not None:
        convolution.bias = nn.Parameter(bias.detach().clone(), requires_grad=False)
    return convolution


def _videos(maps: Float[Tensor, "B C H W"], snippets: int) -> Float[Tensor, "N K C H W"]:
    videos: Tensor = maps.unflatten(0, (-1, snippets))
    return videos
