"""A run may begin with what was imported."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from marey.importing import import_weights
from marey.models import save_checkpoint, tsn_bn_inception
from marey.settings import Training
from marey.training._setup import build_network


@pytest.fixture
def imagenet(tmp_path: Path) -> Path:
    """BN-Inception as it is published, of numbers that mean nothing."""
    state = {}
    for name, tensor in tsn_bn_inception(num_classes=1000).state_dict().items():
        layer = name.removeprefix("backbone.").replace(".conv.", ".").replace(".bn.", "_bn.")
        state[layer.replace("head.", "fc.")] = tensor
    torch.save(state, tmp_path / "bn_inception.pth")
    return tmp_path / "bn_inception.pth"


def test_imagenet_begins_a_tsn_and_that_an_off_network(
    imagenet: Path, short: Callable[..., Training], tmp_path: Path
) -> None:
    classes = ("left", "right")
    network = import_weights(imagenet, modality="rgb", classes=classes).network
    start = tmp_path / "start.safetensors"
    save_checkpoint(network, start, classes=classes)
    tsn = build_network(short(model="tsn_bn_inception", init=start), classes)
    off = build_network(short(model="off_bn_inception_port", init=start, snippets=2), classes)
    given = network.state_dict()
    for begun in (tsn, off.tsn):
        assert all(torch.equal(tensor, given[name]) for name, tensor in begun.state_dict().items())
        # As those who trained it had it, and not as Caffe's networks have it.
        assert begun.preprocessing.mean == (104.0, 117.0, 128.0)
