"""RAFT-small: optical flow by a recurrent network (Teed and Deng, ECCV 2020).

https://arxiv.org/abs/2003.12039, written from the paper and from the names and shapes of the
released weights. Nothing here learns: it serves those weights alone.

Axes: B pairs of frames, C channels, H rows, W columns; h and w, an eighth of those, where the
network works; 2 is always x, then y.
"""

from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from ._raft_correlation import LEVELS, RADIUS, Correlation

STRIDE = 8
"""Pixels of a frame for each place where the network estimates motion."""
SHORTEST: int = STRIDE * 2 ** (LEVELS - 1)
"""Pixels of the smallest side whose features can be halved for each level."""
_FEATURES, _HIDDEN, _CONTEXT, _MOTION = 128, 96, 64, 80
_SEEN = LEVELS * (2 * RADIUS + 1) ** 2

Step = Callable[[Float[Tensor, "B C h w"], Float[Tensor, "B M h w"]], Float[Tensor, "B C h w"]]


class RAFTSmall(nn.Module):
    """Estimate the motion from one frame to the next, coarsely at first, then ever better.

    Its tensors have the names of the released weights, without their `module.`.

    Attributes:
        fnet: What is to be found again in the next frame; normalised image by image.
        cnet: What the first frame says about where motion is uniform.
        update_block: What corrects the flow in each iteration.
    """

    def __init__(self) -> None:
        super().__init__()
        self.fnet = Encoder(_FEATURES, norm=nn.InstanceNorm2d)
        self.cnet = Encoder(_HIDDEN + _CONTEXT, norm=nn.Identity)
        self.update_block = UpdateBlock()

    @property
    def device(self) -> torch.device:
        """Where the network is."""
        return self.fnet.conv1.weight.device

    def forward(
        self,
        context: Float[Tensor, "B 160 h w"],
        features: Float[Tensor, "B 128 h w"],
        next_features: Float[Tensor, "B 128 h w"],
        *,
        iterations: int,
    ) -> Float[Tensor, "B 2 H W"]:
        """Return the flow in pixels, one vector for each pixel of the frames.

        Args:
            context: What `cnet` says of each first frame.
            features: What `fnet` says of each first frame.
            next_features: What `fnet` says of each second frame.
            iterations: How often the flow is corrected; at first nothing moves.
        """
        hidden, steady = context.split([_HIDDEN, _CONTEXT], dim=1)
        correlation = Correlation(features, next_features)
        flow = self.update_block(hidden.tanh(), steady.relu(), correlation, iterations=iterations)
        size = [STRIDE * length for length in flow.shape[2:]]
        return STRIDE * F.interpolate(flow, size=size, mode="bilinear", align_corners=True)


class Encoder(nn.Module):
    """Turn frames, from -1 to 1, into maps of an eighth of their size.

    Args:
        out_channels: Channels of the maps.
        norm: Makes what follows each convolution but the last, given its channels.
    """

    def __init__(self, out_channels: int, *, norm: Callable[[int], nn.Module]) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 32, 7, stride=2, padding=3)
        self.norm1 = norm(32)
        self.layer1 = nn.Sequential(Bottleneck(32, 32, norm=norm), Bottleneck(32, 32, norm=norm))
        self.layer2 = nn.Sequential(
            Bottleneck(32, 64, stride=2, norm=norm), Bottleneck(64, 64, norm=norm)
        )
        self.layer3 = nn.Sequential(
            Bottleneck(64, 96, stride=2, norm=norm), Bottleneck(96, 96, norm=norm)
        )
        self.conv2 = nn.Conv2d(96, out_channels, 1)

    def forward(self, frames: Float[Tensor, "B 3 H W"]) -> Float[Tensor, "B C h w"]:
        """Return the maps."""
        maps = F.relu(self.norm1(self.conv1(frames)))
        maps = self.layer3(self.layer2(self.layer1(maps)))
        return self.conv2(maps)  # type: ignore[no-any-return]


class Bottleneck(nn.Module):
    """Add to maps what three convolutions find in them, the second with a quarter of channels."""

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        *,
        stride: int = 1,
        norm: Callable[[int], nn.Module],
    ) -> None:
        super().__init__()
        inner = out_channels // 4
        self.conv1 = nn.Conv2d(in_channels, inner, 1)
        self.conv2 = nn.Conv2d(inner, inner, 3, stride=stride, padding=1)
        self.conv3 = nn.Conv2d(inner, out_channels, 1)
        self.norm1, self.norm2, self.norm3 = norm(inner), norm(inner), norm(out_channels)
        self.downsample: nn.Module = nn.Identity()
        if stride != 1:
            shortcut = nn.Conv2d(in_channels, out_channels, 1, stride=stride)
            self.downsample = nn.Sequential(shortcut, norm(out_channels))

    def forward(self, maps: Float[Tensor, "B _ _ _"]) -> Float[Tensor, "B _ _ _"]:
        """Return the sum, rectified."""
        found = F.relu(self.norm1(self.conv1(maps)))
        found = F.relu(self.norm2(self.conv2(found)))
        # The paper's released code rectifies the third as well, before the sum.
        found = F.relu(self.norm3(self.conv3(found)))
        return F.relu(self.downsample(maps) + found)


class UpdateBlock(nn.Module):
    """Correct a flow again and again by how alike the places are that it joins."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder = MotionEncoder()
        self.gru = ConvGRU()
        self.flow_head = FlowHead()

    def forward(
        self,
        hidden: Float[Tensor, "B 96 h w"],
        context: Float[Tensor, "B 64 h w"],
        correlation: Correlation,
        *,
        iterations: int,
    ) -> Float[Tensor, "B 2 h w"]:
        """Return the flow in units of the maps' own grid."""
        flow = hidden.new_zeros(len(hidden), 2, *hidden.shape[2:])
        step = self.gru.step(context)
        for _ in range(iterations):
            hidden = step(hidden, self.encoder(flow, correlation.around(flow)))
            flow = flow + self.flow_head(hidden)
        return flow


class MotionEncoder(nn.Module):
    """Join a flow and what is seen where it leads."""

    def __init__(self) -> None:
        super().__init__()
        self.convc1 = nn.Conv2d(_SEEN, 96, 1)
        self.convf1 = nn.Conv2d(2, 64, 7, padding=3)
        self.convf2 = nn.Conv2d(64, 32, 3, padding=1)
        self.conv = nn.Conv2d(96 + 32, _MOTION, 3, padding=1)

    def forward(
        self, flow: Float[Tensor, "B 2 h w"], seen: Float[Tensor, "B 196 h w"]
    ) -> Float[Tensor, "B 82 h w"]:
        """Return what was found, and behind it the flow itself."""
        seen = F.relu(self.convc1(seen))
        moved = F.relu(self.convf2(F.relu(self.convf1(flow))))
        found = F.relu(self.conv(torch.cat([seen, moved], dim=1)))
        return torch.cat([found, flow], dim=1)


class ConvGRU(nn.Module):
    """A gated recurrent unit at each place, that sees the places around."""

    def __init__(self) -> None:
        super().__init__()
        channels = _HIDDEN + _CONTEXT + _MOTION + 2
        self.convz = nn.Conv2d(channels, _HIDDEN, 3, padding=1)
        self.convr = nn.Conv2d(channels, _HIDDEN, 3, padding=1)
        self.convq = nn.Conv2d(channels, _HIDDEN, 3, padding=1)

    def step(self, context: Float[Tensor, "B 64 h w"]) -> Step:
        """Return what takes the hidden state and the motion to the next hidden state.

        The context's share of each gate, a quarter of the work, is the same in every
        iteration, so that it is computed once. The two gates are one convolution.
        """
        gates = torch.cat([self.convz.weight, self.convr.weight])
        gates_bias = torch.cat([_bias(self.convz), _bias(self.convr)])
        gates_steady, gates_moving = _split(gates)
        new_steady, new_moving = _split(self.convq.weight)
        gates_context = F.conv2d(context, gates_steady, gates_bias, padding=1)
        new_context = F.conv2d(context, new_steady, _bias(self.convq), padding=1)

        def step(
            hidden: Float[Tensor, "B 96 h w"], motion: Float[Tensor, "B 82 h w"]
        ) -> Float[Tensor, "B 96 h w"]:
            seen = torch.cat([hidden, motion], dim=1)
            update, reset = (
                F.conv2d(seen, gates_moving, padding=1).add_(gates_context).sigmoid_().chunk(2, 1)
            )
            seen = torch.cat([reset * hidden, motion], dim=1)
            new = F.conv2d(seen, new_moving, padding=1).add_(new_context).tanh_()
            return torch.lerp(hidden, new, update)

        return step


class FlowHead(nn.Module):
    """Read from a hidden state by how much the flow is to change."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(_HIDDEN, 128, 3, padding=1)
        self.conv2 = nn.Conv2d(128, 2, 3, padding=1)

    def forward(self, hidden: Float[Tensor, "B 96 h w"]) -> Float[Tensor, "B 2 h w"]:
        """Return the change."""
        return self.conv2(F.relu(self.conv1(hidden)))  # type: ignore[no-any-return]


def _split(weight: Float[Tensor, "out 242 3 3"]) -> tuple[Tensor, Tensor]:
    """Return the part of a kernel that reads the context, and the rest, in its order."""
    hidden, context, motion = weight.split([_HIDDEN, _CONTEXT, _MOTION + 2], dim=1)
    return context, torch.cat([hidden, motion], dim=1)


def _bias(conv: nn.Conv2d) -> Tensor:
    assert conv.bias is not None
    return conv.bias
