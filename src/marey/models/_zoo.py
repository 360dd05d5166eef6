"""The functions that build networks."""

import copy
from typing import Literal, TypeVar

import torch

from marey.data import Preprocessing
from marey.errors import UsageError
from marey.nn import (
    Backbone,
    BNInception,
    ConvBN,
    OFFBranch,
    OrderedBranch,
    PooledBranch,
    SplitBranch,
    efficientnet_lite0,
    off_branch,
    port_branch,
)

from ._off import OFF
from ._tsn import BACKBONE_CHANNELS, TSN, Modality

SpatialGradient = Literal["diagonal", "sobel", "none"]

_Model = TypeVar("_Model", bound=TSN | OFF)


def tsn_bn_inception(*, num_classes: int, modality: Modality = "rgb", dropout: float = 0.8) -> TSN:
    """Return the temporal segment network of the original, on BN-Inception.

    Args:
        num_classes: Classes to tell apart.
        modality: What the snippets hold.
        dropout: Share of averaged features hidden from the classifier in training.
    """
    if modality == "flow":
        preprocessing = Preprocessing(colour="bgr", mean=(128.0,), std=(1.0,))
    else:
        preprocessing = Preprocessing(colour="bgr", mean=(104.0, 117.0, 123.0), std=(1.0,))
    backbone = BNInception(in_channels=_channels(modality))
    model = _tsn(backbone, num_classes, modality, dropout, preprocessing)
    model.name = "tsn_bn_inception"
    return model


def off_bn_inception(
    *,
    num_classes: int,
    modality: Modality = "rgb",
    dropout: float = 0.8,
    gradient: SpatialGradient | None = None,
    gradient_dropout: float = 0.8,
) -> OFF:
    """Return the OFF network of the original, on BN-Inception.

    Args:
        num_classes: Classes to tell apart.
        modality: What the snippets hold.
        dropout: Share of averaged features hidden from each classifier in training.
        gradient: Spatial gradient of the OFF units; by default that of the original,
            `diagonal` for `rgb` and `none` for `flow` and `rgbdiff`.
        gradient_dropout: Share of the spatial gradients hidden in training.
    """
    tsn = tsn_bn_inception(num_classes=num_classes, modality=modality, dropout=dropout)
    model = _off(
        tsn, gradient, gradient_dropout, spatial=32, temporal=128, stems=(64, 128, 256), scale=1.0
    )
    model.name = "off_bn_inception"
    return model


def off_bn_inception_port(
    *,
    num_classes: int,
    modality: Modality = "rgb",
    dropout: float = 0.8,
    gradient: SpatialGradient | None = None,
    gradient_dropout: float = 0.8,
) -> OFF:
    """Return the OFF network of the port to PyTorch, which differs from the original a little.

    See `marey.nn.port_branch`. It is here for weights that were trained with the port.

    Args:
        num_classes: Classes to tell apart.
        modality: What the snippets hold.
        dropout: Share of averaged features hidden from each classifier in training.
        gradient: Spatial gradient that training begins with, for all modalities: `diagonal`.
        gradient_dropout: Share of the spatial gradients hidden in training.
    """
    if gradient not in (None, "diagonal"):
        raise UsageError(
            f"off_bn_inception_port trains its spatial gradient from diagonal on, got {gradient!r}"
        )
    tsn = tsn_bn_inception(num_classes=num_classes, modality=modality, dropout=dropout)
    branch = port_branch(
        tsn.backbone.channels,
        num_classes=num_classes,
        dropout=dropout,
        gradient_dropout=gradient_dropout,
    )
    model = OFF(tsn, branch)
    model.keywords = tsn.keywords | {"gradient": "diagonal", "gradient_dropout": gradient_dropout}
    model.name = "off_bn_inception_port"
    return channels_last(model)


def tsn_efficientnet_lite0(
    *, num_classes: int, modality: Modality = "rgb", dropout: float = 0.8
) -> TSN:
    """Return a temporal segment network on EfficientNet-Lite0.

    Args:
        num_classes: Classes to tell apart.
        modality: What the snippets hold.
        dropout: Share of averaged features hidden from the classifier in training.
    """
    mean = 128.0 if modality == "flow" else 127.0
    preprocessing = Preprocessing(colour="rgb", mean=(mean,), std=(128.0,))
    backbone = efficientnet_lite0(in_channels=_channels(modality))
    model = _tsn(backbone, num_classes, modality, dropout, preprocessing)
    model.name = "tsn_efficientnet_lite0"
    return model


def off_efficientnet_lite0(
    *,
    num_classes: int,
    modality: Modality = "rgb",
    dropout: float = 0.8,
    gradient: SpatialGradient | None = None,
    gradient_dropout: float = 0.8,
) -> OFF:
    """Return an OFF network on EfficientNet-Lite0, its branch half as wide as the original's.

    The maps of EfficientNet-Lite0 are not rectified and spread by 2.5 to 7, so they are scaled.

    Args:
        num_classes: Classes to tell apart.
        modality: What the snippets hold.
        dropout: Share of averaged features hidden from each classifier in training.
        gradient: Spatial gradient of the OFF units; by default that of the original,
            `diagonal` for `rgb` and `none` for `flow` and `rgbdiff`.
        gradient_dropout: Share of the spatial gradients hidden in training.
    """
    tsn = tsn_efficientnet_lite0(num_classes=num_classes, modality=modality, dropout=dropout)
    model = _off(
        tsn, gradient, gradient_dropout, spatial=16, temporal=64, stems=(32, 64, 128), scale=1 / 6
    )
    model.name = "off_efficientnet_lite0"
    return model


def off_pooled_efficientnet_lite0(
    *, num_classes: int, modality: Modality = "rgb", dropout: float = 0.8
) -> OFF:
    """Return an OFF network on EfficientNet-Lite0 that sums up OFF over its maps at once.

    For data sets of hundreds of videos; see `marey.nn.PooledBranch`.

    Args:
        num_classes: Classes to tell apart.
        modality: What the snippets hold.
        dropout: Share of what each classifier reads hidden from it in training.
    """
    tsn = tsn_efficientnet_lite0(num_classes=num_classes, modality=modality, dropout=dropout)
    model = _pooled(tsn, PooledBranch)
    model.name = "off_pooled_efficientnet_lite0"
    return model


def off_ordered_efficientnet_lite0(
    *, num_classes: int, modality: Modality = "rgb", dropout: float = 0.8
) -> OFF:
    """Return an OFF network on EfficientNet-Lite0 that sums up OFF, and hears in which order.

    For data sets of hundreds of videos; see `marey.nn.OrderedBranch`.

    Args:
        num_classes: Classes to tell apart.
        modality: What the snippets hold.
        dropout: Share of what each classifier reads hidden from it in training.
    """
    tsn = tsn_efficientnet_lite0(num_classes=num_classes, modality=modality, dropout=dropout)
    model = _pooled(tsn, OrderedBranch)
    model.name = "off_ordered_efficientnet_lite0"
    return model


def for_inference(model: _Model) -> _Model:
    """Return a copy in evaluation mode that answers the same, faster.

    Batch normalization is merged into the convolutions, and the work of OFF is split between
    snippets and pairs, so the copy can neither be trained nor saved.
    """
    folded = copy.deepcopy(model)
    folded.eval().requires_grad_(False)
    for module in list(folded.modules()):
        if isinstance(module, ConvBN):
            module.fold()
    if isinstance(folded, OFF) and isinstance(folded.branch, OFFBranch):
        folded.branch = SplitBranch(folded.branch)
    return channels_last(folded)


def _channels(modality: str) -> int:
    """Return the channels of a backbone's input."""
    if modality not in BACKBONE_CHANNELS:
        raise UsageError(
            f"modality must be one of {', '.join(BACKBONE_CHANNELS)}, got {modality!r}"
        )
    return BACKBONE_CHANNELS[modality]


def _tsn(
    backbone: Backbone,
    num_classes: int,
    modality: Modality,
    dropout: float,
    preprocessing: Preprocessing,
) -> TSN:
    """Return a TSN that knows its arguments."""
    if num_classes < 1:
        raise UsageError(f"num_classes must be at least 1, got {num_classes}")
    model = TSN(
        backbone,
        num_classes=num_classes,
        modality=modality,
        preprocessing=preprocessing,
        dropout=dropout,
    )
    model.keywords = {"num_classes": num_classes, "modality": modality, "dropout": dropout}
    return channels_last(model)


def _off(
    tsn: TSN,
    gradient: SpatialGradient | None,
    gradient_dropout: float,
    *,
    spatial: int,
    temporal: int,
    stems: tuple[int, int, int],
    scale: float,
) -> OFF:
    """Return an OFF network that knows its arguments."""
    if gradient is None:
        gradient = "diagonal" if tsn.modality == "rgb" else "none"
    if gradient not in ("diagonal", "sobel", "none"):
        raise UsageError(f"gradient must be diagonal, sobel or none, got {gradient!r}")
    branch = off_branch(
        tsn.backbone.channels,
        num_classes=tsn.head.out_features,
        spatial=0 if gradient == "none" else spatial,
        temporal=temporal,
        stems=stems,
        gradient="diagonal" if gradient == "none" else gradient,
        dropout=tsn.dropout,
        gradient_dropout=gradient_dropout,
        scale=scale,
        init="xavier" if tsn.modality == "rgbdiff" else "msra",
    )
    model = OFF(tsn, branch)
    model.keywords = tsn.keywords | {"gradient": gradient, "gradient_dropout": gradient_dropout}
    return channels_last(model)


def _pooled(tsn: TSN, branch_of: type[PooledBranch]) -> OFF:
    """Return an OFF network with a pooled branch that knows its arguments."""
    branch = branch_of(
        tsn.backbone.channels[14][-1],
        tsn.backbone.feature_channels,
        num_classes=tsn.head.out_features,
        dropout=tsn.dropout,
    )
    model = OFF(tsn, branch)
    model.keywords = dict(tsn.keywords)
    return channels_last(model)


def channels_last(model: _Model) -> _Model:
    """Return the network with its kernels laid out as processors like them best."""
    model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return model
