"""A convolution with its batch normalization.

Axes: B images, C channels, H rows, W columns.
"""

from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.fusion import fuse_conv_bn_eval


class SameConv2d(nn.Conv2d):
    """A convolution that pads as TensorFlow's "same": of an odd number of zeros, more at the end.

    On maps of even size, a stride of 2 needs a zero less before the map than after it, which
    no symmetric padding gives. Rather than to copy the map into a padded one, which takes
    three times as long, the kernel gets two rows and columns of zeros before it.
    """

    def _conv_forward(
        self,
        input: Float[Tensor, "B C H W"],  # noqa: A002
        weight: Float[Tensor, "D _ _ _"],
        bias: Float[Tensor, " D"] | None,
    ) -> Float[Tensor, "B D _ _"]:
        rows, columns = (
            2 if step == 2 and size % 2 == 0 else 0
            for step, size in zip(self.stride, input.shape[2:], strict=True)
        )
        weight = F.pad(weight, (columns, 0, rows, 0))
        padding = [kernel // 2 for kernel in weight.shape[2:]]
        return F.conv2d(input, weight, bias, self.stride, padding, self.dilation, self.groups)


class RectifiedConv2d(nn.Conv2d):
    """A convolution whose answer is rectified."""

    def forward(self, input: Float[Tensor, "B C H W"]) -> Float[Tensor, "B D _ _"]:  # noqa: A002
        """Return the rectified maps."""
        return F.relu(super().forward(input), inplace=True)


class ConvBN(nn.Module):
    """Convolve, normalize, rectify.

    Args:
        in_channels: Channels of the incoming maps.
        out_channels: Channels of the answer.
        kernel: Rows and columns of the kernel.
        stride: Step between two positions of the kernel.
        padding: Zeros added on every side, or `same` for what `SameConv2d` adds.
        groups: Groups of channels that do not see each other.
        bias: Whether the convolution adds a bias of its own.
        eps: Added to the variance.
        momentum: Share of a new batch in the running statistics.
        activation: What rectifies the answer.
    """

    conv: nn.Conv2d
    bn: nn.Module

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel: int,
        *,
        stride: int = 1,
        padding: int | Literal["same"] = 0,
        groups: int = 1,
        bias: bool = False,
        eps: float = 1e-5,
        momentum: float = 0.1,
        activation: Literal["relu", "relu6", "none"] = "relu",
    ) -> None:
        super().__init__()
        if padding == "same":
            self.conv = SameConv2d(
                in_channels, out_channels, kernel, stride, groups=groups, bias=bias
            )
        else:
            self.conv = nn.Conv2d(
                in_channels, out_channels, kernel, stride, padding, groups=groups, bias=bias
            )
        self.bn = nn.BatchNorm2d(out_channels, eps=eps, momentum=momentum)
        self.activation = activation
        nn.init.kaiming_normal_(self.conv.weight, nonlinearity="relu")
        if self.conv.bias is not None:
            nn.init.zeros_(self.conv.bias)

    def forward(self, images: Float[Tensor, "B C H W"]) -> Float[Tensor, "B _ _ _"]:
        """Return the rectified maps."""
        maps = self._normalised(images)
        if self.activation == "relu":
            return F.relu(maps, inplace=True)
        if self.activation == "relu6":
            return F.relu6(maps, inplace=True)
        return maps

    def _normalised(self, images: Float[Tensor, "B C H W"]) -> Float[Tensor, "B D _ _"]:
        bn, conv = self.bn, self.conv
        if not isinstance(bn, nn.BatchNorm2d) or bn.training or not torch.is_grad_enabled():
            return bn(conv(images))  # type: ignore[no-any-return]
        # With frozen statistics it is a factor on the kernel. Training is a quarter faster so.
        assert bn.running_var is not None
        assert bn.running_mean is not None
        scale = bn.weight * (bn.running_var + bn.eps).rsqrt()
        shift = bn.bias - bn.running_mean * scale
        if conv.bias is not None:
            shift = shift + conv.bias * scale
        answer: Tensor = conv._conv_forward(images, conv.weight * scale.view(-1, 1, 1, 1), shift)
        return answer

    def fold(self) -> None:
        """Merge the normalization into the convolution, which then answers as in eval mode."""
        if isinstance(self.bn, nn.BatchNorm2d):
            self.conv = fuse_conv_bn_eval(self.conv.eval(), self.bn.eval())
            self.bn = nn.Identity()
