"""What every backbone gives to the networks in `marey.models`.

Axes: B images, C channels, H rows, W columns.
"""

from typing import NamedTuple

from jaxtyping import Float
from torch import Tensor, nn


class Maps(NamedTuple):
    """Feature maps of some images.

    Attributes:
        levels: The maps that OFF units read, by their size for images of 224 x 224 pixels.
        features: The last map, which the classifier averages.
    """

    levels: dict[int, list[Float[Tensor, "B _ _ _"]]]
    features: Float[Tensor, "B _ _ _"]


class Backbone(nn.Module):
    """A network that turns images into `Maps`.

    Attributes:
        channels: Channels of each map of `Maps.levels`.
        feature_channels: Channels of `Maps.features`.
    """

    channels: dict[int, tuple[int, ...]]
    feature_channels: int

    def stages(self) -> list[list[nn.Module]]:
        """Return the modules in groups, from the image on, in the order in which to freeze them."""
        raise NotImplementedError
