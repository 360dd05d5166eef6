import pytest
import torch
from torch import nn
from torch.nn import functional as F

from marey.nn import BNInception, ConvBN, SameConv2d, efficientnet_lite0, efficientnet_lite2


def randomize_norms(module: nn.Module) -> None:
    for norm in module.modules():
        if isinstance(norm, nn.BatchNorm2d):
            nn.init.uniform_(norm.weight, 0.5, 1.5)
            nn.init.normal_(norm.bias)
            nn.init.normal_(norm.running_mean)
            nn.init.uniform_(norm.running_var, 0.5, 1.5)


@pytest.mark.parametrize("backbone", [BNInception, efficientnet_lite0, efficientnet_lite2])
@pytest.mark.parametrize("size", [96, 80])
def test_maps_have_the_channels_they_announce_and_stay_channels_last(backbone, size) -> None:
    network = backbone(in_channels=5).eval().to(memory_format=torch.channels_last)
    images = torch.randn(2, 5, size, size).to(memory_format=torch.channels_last)
    with torch.inference_mode():
        maps = network(images)
    assert {k: tuple(m.shape[1] for m in v) for k, v in maps.levels.items()} == network.channels
    assert maps.features.shape[1] == network.feature_channels
    for level, parts in maps.levels.items():
        for part in parts:
            assert part.shape[2:] == (round(size * level / 224 + 0.1),) * 2
            assert part.is_contiguous(memory_format=torch.channels_last)
    assert maps.features.is_contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize("backbone", [BNInception, efficientnet_lite0, efficientnet_lite2])
def test_stages_hold_every_module_once(backbone) -> None:
    network = backbone()
    staged = [id(p) for stage in network.stages() for m in stage for p in m.parameters()]
    assert sorted(staged) == sorted(id(p) for p in network.parameters())


@pytest.mark.parametrize("activation", ["relu", "relu6", "none"])
def test_folding_changes_no_answer(activation) -> None:
    layer = ConvBN(3, 4, 3, padding=1, bias=True, activation=activation)
    randomize_norms(layer)
    layer.eval()
    images = 3 * torch.randn(2, 3, 5, 5)
    expected = layer(images)
    layer.fold()
    assert not any(isinstance(m, nn.BatchNorm2d) for m in layer.modules())
    torch.testing.assert_close(layer(images), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("kernel", [3, 5])
@pytest.mark.parametrize(("rows", "columns"), [(6, 8), (7, 9), (6, 9)])
def test_same_padding_of_stride_2_puts_the_odd_zero_at_the_end(kernel, rows, columns) -> None:
    layer = SameConv2d(2, 3, kernel, stride=2)
    images = torch.randn(1, 2, rows, columns)
    # Zeros in total, so that as many windows fit as half the size, rounded up.
    down, right = (kernel - 2 + size % 2 for size in (rows, columns))
    padded = F.pad(images, (right // 2, right - right // 2, down // 2, down - down // 2))
    expected = F.conv2d(padded, layer.weight, layer.bias, stride=2)
    assert expected.shape[2:] == ((rows + 1) // 2, (columns + 1) // 2)
    torch.testing.assert_close(layer(images), expected)


def test_same_padding_of_stride_1_keeps_the_size() -> None:
    layer = SameConv2d(2, 3, 5)
    images = torch.randn(1, 2, 6, 7)
    expected = F.conv2d(images, layer.weight, layer.bias, padding=2)
    torch.testing.assert_close(layer(images), expected)
