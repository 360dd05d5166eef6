"""The telling network and its graph under shorter names."""

from importlib.resources import files
from pathlib import Path

import onnx
import pytest

from marey.backends import facts_of
from marey.exporting import Clips, clips_of
from marey.models import OFF

FOLDER = Path(str(files("marey") / "clips"))


@pytest.fixture(scope="session")
def network(telling_network: OFF) -> OFF:
    return telling_network


@pytest.fixture(scope="session")
def graph(telling_graph: onnx.ModelProto) -> onnx.ModelProto:
    return telling_graph


@pytest.fixture(scope="session")
def clips(network: OFF) -> Clips:
    """The bundled clips as the network wants them."""
    return clips_of(sorted(FOLDER.glob("*.avi")), facts_of(network))
