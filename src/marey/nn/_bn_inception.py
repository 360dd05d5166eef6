"""BN-Inception, the backbone of the original temporal segment networks.

https://arxiv.org/abs/1502.03167, with the names of the layers that its published weights use.

Axes: B images, C channels, H rows, W columns.
"""

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from ._backbone import Backbone, Maps
from ._conv import ConvBN

# Channels of each block: 1x1; 3x3 reduced, 3x3; double 3x3 reduced, first, second; pool projected.
# A block without 1x1 halves the resolution and passes its pooled input on as it is.
_BLOCKS = {
    "3a": (64, 64, 64, 64, 96, 96, 32),
    "3b": (64, 64, 96, 64, 96, 96, 64),
    "3c": (0, 128, 160, 64, 96, 96, 0),
    "4a": (224, 64, 96, 96, 128, 128, 128),
    "4b": (192, 96, 128, 96, 128, 128, 128),
    "4c": (160, 128, 160, 128, 160, 160, 128),
    "4d": (96, 128, 192, 160, 192, 192, 128),
    "4e": (0, 128, 192, 192, 256, 256, 0),
    "5a": (352, 192, 320, 160, 224, 224, 128),
    "5b": (352, 192, 320, 192, 224, 224, 128),
}
_LEVELS = {28: ("3a", "3b"), 14: ("3c", "4a", "4b", "4c", "4d"), 7: ("5a", "5b")}


class BNInception(Backbone):
    """Ten Inception blocks after three convolutions.

    Args:
        in_channels: Channels of an image.
    """

    def __init__(self, *, in_channels: int = 3) -> None:
        super().__init__()
        self.conv1_7x7_s2 = ConvBN(in_channels, 64, 7, stride=2, padding=3, bias=True)
        self.conv2_3x3_reduce = ConvBN(64, 64, 1, bias=True)
        self.conv2_3x3 = ConvBN(64, 192, 3, padding=1, bias=True)
        widths = {}
        channels = 192
        for block in _BLOCKS:
            channels = self._add_block(block, channels)
            widths[block] = channels
        self.channels = {
            level: tuple(widths[block] for block in blocks) for level, blocks in _LEVELS.items()
        }
        self.feature_channels = channels

    def forward(self, images: Float[Tensor, "B C H W"]) -> Maps:
        """Return the answers of all blocks but 4e at their three resolutions."""
        maps = F.max_pool2d(self.conv1_7x7_s2(images), 3, stride=2, ceil_mode=True)
        maps = self.conv2_3x3(self.conv2_3x3_reduce(maps))
        maps = F.max_pool2d(maps, 3, stride=2, ceil_mode=True)
        answers = {}
        for block in _BLOCKS:
            maps = self._block(block, maps)
            answers[block] = maps
        levels = {level: [answers[block] for block in blocks] for level, blocks in _LEVELS.items()}
        return Maps(levels=levels, features=maps)

    def stages(self) -> list[list[nn.Module]]:
        """Return the two groups of convolutions, then the blocks."""
        convolutions: list[list[nn.Module]] = [
            [self.conv1_7x7_s2],
            [self.conv2_3x3_reduce, self.conv2_3x3],
        ]
        blocks = [
            [module for name, module in self.named_children() if name.startswith(f"inception_{b}_")]
            for b in _BLOCKS
        ]
        return convolutions + blocks

    def _add_block(self, block: str, in_channels: int) -> int:
        """Add the convolutions of a block and return its channels."""
        single, reduce, three, double_reduce, double_one, double_two, project = _BLOCKS[block]
        stride = 1 if single else 2

        def add(name: str, incoming: int, outgoing: int, kernel: int, step: int = 1) -> None:
            convolution = ConvBN(
                incoming, outgoing, kernel, stride=step, padding=kernel // 2, bias=True
            )
            self.add_module(f"inception_{block}_{name}", convolution)

        if single:
            add("1x1", in_channels, single, 1)
        add("3x3_reduce", in_channels, reduce, 1)
        add("3x3", reduce, three, 3, stride)
        add("double_3x3_reduce", in_channels, double_reduce, 1)
        add("double_3x3_1", double_reduce, double_one, 3)
        add("double_3x3_2", double_one, double_two, 3, stride)
        if project:
            add("pool_proj", in_channels, project, 1)
        return single + three + double_two + (project or in_channels)

    def _block(self, block: str, maps: Float[Tensor, "B C H W"]) -> Float[Tensor, "B _ _ _"]:
        """Return the answers of a block's branches, one after the other."""

        def run(incoming: Tensor, *names: str) -> Tensor:
            for name in names:
                incoming = self.get_submodule(f"inception_{block}_{name}")(incoming)
            return incoming

        three = run(maps, "3x3_reduce", "3x3")
        double = run(maps, "double_3x3_reduce", "double_3x3_1", "double_3x3_2")
        if _BLOCKS[block][0] == 0:
            # The original pools without padding, which only fits maps of even size.
            odd = (maps.shape[2] % 2, maps.shape[3] % 2)
            pooled = F.max_pool2d(maps, 3, stride=2, padding=odd, ceil_mode=True)
            return torch.cat([three, double, pooled], dim=1)
        if block == "5b":
            pooled = F.max_pool2d(maps, 3, stride=1, padding=1)
        else:
            pooled = F.avg_pool2d(maps, 3, stride=1, padding=1, count_include_pad=True)
        return torch.cat([run(maps, "1x1"), three, double, run(pooled, "pool_proj")], dim=1)
