"""The telling network and its graph under shorter names."""

import onnx
import pytest

from marey.models import OFF


@pytest.fixture(scope="session")
def network(telling_network: OFF) -> OFF:
    return telling_network


@pytest.fixture(scope="session")
def graph(telling_graph: onnx.ModelProto) -> onnx.ModelProto:
    return telling_graph
