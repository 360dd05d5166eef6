"""Fixtures that every test may use."""

from typing import TYPE_CHECKING

import pytest
import torch

if TYPE_CHECKING:
    import onnx

    from marey.models import OFF

TELLING_CLASSES = ("clap", "jump, high", 'say "hi"')


@pytest.fixture(autouse=True)
def _run_by_torch(
    monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Spare networks the seconds that a graph of each takes, and the user's cache the graphs."""
    monkeypatch.setenv("MAREY_BACKEND", "torch")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.getbasetemp() / "cache"))


@pytest.fixture(autouse=True)
def _fixed_seed() -> None:
    torch.manual_seed(0)


@pytest.fixture(scope="session")
def telling_network() -> "OFF":
    """A small network whose answers differ from one another."""
    from dataclasses import replace

    from telling_networks import telling_apart

    from marey.models import off_efficientnet_lite0

    torch.manual_seed(7)
    made = off_efficientnet_lite0(num_classes=len(TELLING_CLASSES))
    telling_apart(made)
    made.classes = TELLING_CLASSES
    made.fusion = {"tsn": 1.0, "off7": 0.5, "off14": 0.0}
    made.preprocessing = replace(made.preprocessing, size=64, short_side=73, pace=8)
    return made


@pytest.fixture(scope="session")
def telling_graph(telling_network: "OFF") -> "onnx.ModelProto":
    """Its graph, which takes seconds to make."""
    from marey.backends import onnx_graph

    return onnx_graph(telling_network)
