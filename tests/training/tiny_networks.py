"""Networks that learn in no time, under names of their own."""

from functools import partial
from typing import Any

from torch import Tensor, nn

import marey.models._zoo as zoo
from marey.data import Preprocessing
from marey.models import OFF, TSN
from marey.nn import Backbone, ConvBN, Maps, OrderedBranch, PooledBranch, off_branch

SIZE = 64
TSN_TINY, OFF_TINY = "tsn_tiny", "off_tiny"
OFF_POOLED_TINY, OFF_ORDERED_TINY = "off_tiny_pooled", "off_tiny_ordered"


class TinyBackbone(Backbone):
    """Five convolutions."""

    def __init__(self, in_channels: int) -> None:
        super().__init__()
        conv = partial(ConvBN, eps=1e-3, momentum=0.1)
        self.stem = conv(in_channels, 8, 3, stride=2, padding=1)
        self.steps = nn.ModuleList(conv(8, 8, 3, stride=2, padding=1) for _ in range(3))
        self.head = conv(8, 16, 1)
        self.channels = {28: (8,), 14: (8,), 7: (8,)}
        self.feature_channels = 16

    def forward(self, images: Tensor) -> Maps:
        maps = self.stem(images)
        levels: dict[int, list[Tensor]] = {}
        for level, step in zip(self.channels, self.steps, strict=True):
            maps = step(maps)
            levels[level] = [maps]
        return Maps(levels, self.head(maps))

    def stages(self) -> list[list[nn.Module]]:
        return [[self.stem], *([step] for step in self.steps), [self.head]]


def tsn_tiny(*, num_classes: int, modality: Any = "rgb", dropout: float = 0.8) -> TSN:
    model = TSN(
        TinyBackbone(zoo.BACKBONE_CHANNELS[modality]),
        num_classes=num_classes,
        modality=modality,
        preprocessing=small_preprocessing(colour="rgb", mean=(127.0,), std=(128.0,)),
        dropout=dropout,
    )
    model.name = TSN_TINY
    model.keywords = {"num_classes": num_classes, "modality": modality, "dropout": dropout}
    return zoo.channels_last(model)


def off_tiny(
    *,
    num_classes: int,
    modality: Any = "rgb",
    dropout: float = 0.8,
    gradient: Any = None,
    gradient_dropout: float = 0.8,
) -> OFF:
    tsn = tsn_tiny(num_classes=num_classes, modality=modality, dropout=dropout)
    branch = off_branch(
        tsn.backbone.channels,
        num_classes=num_classes,
        spatial=2 if modality == "rgb" else 0,
        temporal=4,
        stems=(4, 4, 4),
        gradient_dropout=gradient_dropout,
        dropout=dropout,
    )
    model = OFF(tsn, branch)
    model.name = OFF_TINY
    model.keywords = tsn.keywords | {
        "gradient": gradient,
        "gradient_dropout": gradient_dropout,
    }
    return zoo.channels_last(model)


def off_pooled_tiny(*, num_classes: int, modality: Any = "rgb", dropout: float = 0.8) -> OFF:
    tsn = tsn_tiny(num_classes=num_classes, modality=modality, dropout=dropout)
    branch = PooledBranch(8, 16, num_classes=num_classes, dropout=dropout)
    model = OFF(tsn, branch)
    model.name = OFF_POOLED_TINY
    model.keywords = dict(tsn.keywords)
    return zoo.channels_last(model)


def off_ordered_tiny(*, num_classes: int, modality: Any = "rgb", dropout: float = 0.8) -> OFF:
    tsn = tsn_tiny(num_classes=num_classes, modality=modality, dropout=dropout)
    branch = OrderedBranch(8, 16, num_classes=num_classes, dropout=dropout)
    model = OFF(tsn, branch)
    model.name = OFF_ORDERED_TINY
    model.keywords = dict(tsn.keywords)
    return zoo.channels_last(model)


small_preprocessing = partial(Preprocessing, size=SIZE, short_side=SIZE)
