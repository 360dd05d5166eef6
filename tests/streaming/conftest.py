"""Checkpoints of small networks."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from small_films import FUSION, SIZE

from marey.models import Network, save_checkpoint


@pytest.fixture
def kept(tmp_path: Path) -> Callable[..., Path]:
    """Write a network that sees whole frames and compares `pace`-ths of a window."""

    def keep(network: Network, pace: int = 8) -> Path:
        preprocessing = network.preprocessing
        network.preprocessing = replace(preprocessing, size=SIZE, short_side=SIZE, pace=pace)
        path = tmp_path / f"{pace}.safetensors"
        save_checkpoint(network, path, classes=["a", "b", "c"], fusion=FUSION)
        network.preprocessing = preprocessing
        return path

    return keep
