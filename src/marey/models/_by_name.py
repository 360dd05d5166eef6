"""The networks by name."""

from collections.abc import Callable
from difflib import get_close_matches

from marey.errors import UsageError

from ._off import OFF
from ._tsn import TSN, Modality
from ._zoo import (
    SpatialGradient,
    off_bn_inception,
    off_bn_inception_port,
    off_efficientnet_lite0,
    off_ordered_efficientnet_lite0,
    off_pooled_efficientnet_lite0,
    tsn_bn_inception,
    tsn_efficientnet_lite0,
)

TSN_NETWORKS: dict[str, Callable[..., TSN]] = {
    "tsn_bn_inception": tsn_bn_inception,
    "tsn_efficientnet_lite0": tsn_efficientnet_lite0,
}
OFF_NETWORKS: dict[str, Callable[..., OFF]] = {
    "off_bn_inception": off_bn_inception,
    "off_bn_inception_port": off_bn_inception_port,
    "off_efficientnet_lite0": off_efficientnet_lite0,
}
POOLED_OFF_NETWORKS: dict[str, Callable[..., OFF]] = {
    "off_pooled_efficientnet_lite0": off_pooled_efficientnet_lite0,
    "off_ordered_efficientnet_lite0": off_ordered_efficientnet_lite0,
}


def build_model(
    name: str,
    *,
    num_classes: int,
    modality: Modality = "rgb",
    dropout: float = 0.8,
    gradient: SpatialGradient | None = None,
    gradient_dropout: float | None = None,
) -> TSN | OFF:
    """Return a new network, in training mode.

    Args:
        name: One of `TSN_NETWORKS`, `OFF_NETWORKS` or `POOLED_OFF_NETWORKS`.
        num_classes: Classes to tell apart.
        modality: What the snippets hold.
        dropout: Share of averaged features hidden from each classifier in training.
        gradient: Spatial gradient of an OFF network; by default that of the original.
        gradient_dropout: Share of an OFF network's spatial gradients hidden in training; 0.8
            unless given.
    """
    if name in OFF_NETWORKS:
        return OFF_NETWORKS[name](
            num_classes=num_classes,
            modality=modality,
            dropout=dropout,
            gradient=gradient,
            gradient_dropout=0.8 if gradient_dropout is None else gradient_dropout,
        )
    without = TSN_NETWORKS | POOLED_OFF_NETWORKS
    if name not in without:
        known = [*TSN_NETWORKS, *OFF_NETWORKS, *POOLED_OFF_NETWORKS]
        nearest = get_close_matches(name, known, n=1)
        hint = f"did you mean {nearest[0]}? " if nearest else ""
        raise UsageError(f"no network is called {name!r}; {hint}known are {', '.join(known)}")
    if gradient is not None or gradient_dropout is not None:
        raise UsageError(f"{name} has no choice of spatial gradient; leave its settings out")
    return without[name](num_classes=num_classes, modality=modality, dropout=dropout)
