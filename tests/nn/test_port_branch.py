"""The branch of the PyTorch port, where it differs from that of the original."""

import pytest
import torch
from torch import nn

from marey.errors import UsageError
from marey.models import build_model, load_model, save_checkpoint
from marey.nn import OFFUnit, diagonal_gradient, off_branch, port_branch

CHANNELS = {28: (4, 4), 14: (4,) * 5, 7: (4, 4)}


def levels(batch: int) -> dict[int, list[torch.Tensor]]:
    return {size: [torch.rand(batch, 4, size, size) for _ in CHANNELS[size]] for size in CHANNELS}


def test_the_spatial_gradient_begins_as_the_diagonal_one_and_is_trained() -> None:
    branch = port_branch(CHANNELS, num_classes=3)
    unit = branch.level28.units[0]
    assert isinstance(unit, OFFUnit)
    maps = torch.rand(2, 32, 6, 6)
    torch.testing.assert_close(unit.in_space(maps), diagonal_gradient(maps))
    sum(
        head.square().sum() for head in branch.every_head(levels(4), snippets=2).values()
    ).backward()
    assert all(parameter.grad is not None for parameter in branch.parameters())
    assert unit.trained.weight.grad.any()
    assert unit.trained.bias.grad.any()


def test_only_the_shortcut_of_the_finest_level_sees_what_is_below_zero() -> None:
    branch = port_branch(CHANNELS, num_classes=3)
    for level, width in ((branch.level28, 64), (branch.level14, 128), (branch.level7, 256)):
        block = level.blocks[0]
        nn.init.zeros_(block.conv3.weight)
        nn.init.zeros_(block.conv3.bias)
        nn.init.constant_(block.shortcut.weight, -1)
        nn.init.zeros_(block.shortcut.bias)
        nn.init.zeros_(level.stem.weight)
        nn.init.constant_(level.stem.bias, -1)
        below = level.stem(torch.rand(1, level.stem.in_channels, 8, 8))
        answer = float(block(below).detach().mean())
        assert answer == (width if level is branch.level28 else 0)


def test_the_last_convolution_of_level_14_is_rectified_before_it_is_added() -> None:
    theirs = port_branch(CHANNELS, num_classes=3).level14.blocks[1]
    ours = off_branch(CHANNELS, num_classes=3, spatial=32, temporal=128).level14.blocks[1]
    maps = torch.ones(1, 512, 4, 4)
    for block, expected in ((theirs, 1.0), (ours, 0.75)):
        nn.init.zeros_(block.conv3.weight)
        nn.init.constant_(block.conv3.bias, -0.25)
        assert float(block(maps).detach().mean()) == expected


def test_the_network_of_the_port_saves_and_loads(tmp_path) -> None:
    model = build_model("off_bn_inception_port", num_classes=2, modality="flow").eval()
    path = tmp_path / "port.safetensors"
    save_checkpoint(model, path, classes=["a", "b"])
    again = load_model(path)
    clips = torch.randn(1, 2, 10, 64, 64)
    with torch.inference_mode():
        for name, logits in model(clips).items():
            assert torch.equal(again(clips)[name], logits)


def test_its_gradient_is_its_own() -> None:
    with pytest.raises(UsageError, match="trains its spatial gradient from diagonal on, got 'sob"):
        build_model("off_bn_inception_port", num_classes=2, gradient="sobel")
