"""The command line in this process, and a network small in all but its size."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from films import CLASSES, Run

from marey.cli import main
from marey.models import build_model, save_checkpoint


@pytest.fixture
def run() -> Run:
    """Run `marey` with these words and return its exit code."""

    def command(*words: str | Path) -> int:
        with pytest.raises(SystemExit) as caught:
            main([str(word) for word in words])
        assert isinstance(caught.value.code, int)
        return caught.value.code

    return command


@pytest.fixture(scope="session")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint of an OFF network that has learnt nothing."""
    torch.manual_seed(0)
    model = build_model("off_efficientnet_lite0", num_classes=3)
    path = tmp_path_factory.mktemp("model") / "untrained.safetensors"
    save_checkpoint(model, path, classes=CLASSES)
    return path


@pytest.fixture(scope="session")
def flow_checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint of a TSN on flow by DIS whose training held half of the videos out."""
    torch.manual_seed(0)
    model = build_model("tsn_efficientnet_lite0", num_classes=3, modality="flow")
    torch.nn.init.normal_(model.head.weight)
    model.preprocessing = replace(model.preprocessing, flow="dis")
    path = tmp_path_factory.mktemp("model") / "flow.safetensors"
    save_checkpoint(model, path, classes=CLASSES, recipe={"hold_out": 0.5, "hold_out_seed": 0})
    return path
