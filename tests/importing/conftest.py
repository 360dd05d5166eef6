"""State dicts of BN-Inception as others have them, that take next to no memory or disk."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from marey.models import tsn_bn_inception

State = dict[str, Tensor]


@pytest.fixture(scope="session")
def layers() -> dict[str, tuple[int, ...]]:
    """The shapes of the backbone's tensors, by the names that all others use."""
    shapes = {}
    for name, tensor in tsn_bn_inception(num_classes=1).backbone.state_dict().items():
        layer, part, kind = name.split(".")
        if kind != "num_batches_tracked":
            shapes[f"{layer}_bn.{kind}" if part == "bn" else f"{layer}.{kind}"] = tensor.shape
    return shapes


@pytest.fixture
def state(layers: dict[str, tuple[int, ...]]) -> Callable[..., State]:
    """Make a state dict of a backbone with a classifier."""

    def make(
        classifier: str = "last_linear", classes: int = 3, channels: int = 3, prefix: str = ""
    ) -> State:
        shapes = dict(layers)
        shapes["conv1_7x7_s2.weight"] = (64, channels, 7, 7)
        shapes[f"{classifier}.weight"] = (classes, 1024)
        shapes[f"{classifier}.bias"] = (classes,)
        # One number each, seen as often as the shape wants.
        return {
            f"{prefix}{name}": torch.full((), 1 / (1 + number)).expand(shape)
            for number, (name, shape) in enumerate(shapes.items())
        }

    return make
