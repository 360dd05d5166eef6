"""One small trained-looking network and its graph, which takes seconds to make."""

import onnx
import pytest
import torch
from telling_networks import telling_apart

from marey.backends import onnx_graph
from marey.models import OFF, off_efficientnet_lite0

CLASSES = ("clap", "jump, high", 'say "hi"')


@pytest.fixture(scope="session")
def network() -> OFF:
    torch.manual_seed(7)
    made = off_efficientnet_lite0(num_classes=len(CLASSES))
    telling_apart(made)
    made.classes = CLASSES
    made.fusion = {"tsn": 1.0, "off7": 0.5, "off14": 0.0}
    made.preprocessing = type(made.preprocessing)(
        colour="rgb", mean=(127.0,), std=(128.0,), size=64, short_side=73, pace=8
    )
    return made


@pytest.fixture(scope="session")
def graph(network: OFF) -> onnx.ModelProto:
    return onnx_graph(network)
