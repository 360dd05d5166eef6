import pytest
import torch

from marey.errors import MareyError
from marey.nn import OFFUnit, diagonal_gradient, sobel_gradient


@pytest.mark.parametrize(
    ("spatial", "gradient", "channels"), [(2, "diagonal", 6), (2, "sobel", 8), (0, "diagonal", 4)]
)
def test_channels_are_spatial_then_temporal(spatial, gradient, channels) -> None:
    unit = OFFUnit(3, spatial=spatial, temporal=4, gradient=gradient).eval()
    features = torch.randn(2, 3, 3, 5, 6)
    answer = unit(features)
    seen = unit.gradients(features)
    assert unit.out_channels == channels
    assert answer.shape == (2, 2, channels, 5, 6)
    assert torch.equal(answer, torch.cat([seen.spatial, seen.temporal], dim=2))


def test_a_still_video_has_only_a_spatial_gradient() -> None:
    unit = OFFUnit(3, spatial=2, temporal=4)
    seen = unit.gradients(torch.randn(1, 1, 3, 5, 6).expand(-1, 4, -1, -1, -1))
    assert not seen.temporal.any()
    assert seen.spatial.any()


def test_only_the_temporal_part_is_rectified() -> None:
    unit = OFFUnit(1, spatial=1, temporal=1, gradient="sobel")
    torch.nn.init.constant_(unit.reduce.weight, -1)
    torch.nn.init.zeros_(unit.reduce.bias)
    slope = torch.arange(4.0).expand(1, 2, 1, 4, 4) * torch.tensor([1.0, 2.0]).view(1, 2, 1, 1, 1)
    seen = unit.gradients(slope)
    assert seen.spatial[0, 0, 0, 1, 1] == -1
    assert not seen.temporal.any()


def test_each_spatial_gradient_belongs_to_the_earlier_snippet_of_its_own_video() -> None:
    unit = OFFUnit(3, spatial=2, temporal=2)
    features = torch.randn(3, 4, 3, 5, 6)
    together = unit.gradients(features).spatial
    for video in range(3):
        for pair in range(3):
            alone = unit.gradients(features[video : video + 1, pair : pair + 2]).spatial
            torch.testing.assert_close(together[video, pair], alone[0, 0])


def test_training_hides_four_fifths_of_the_spatial_gradient_and_scales_the_rest() -> None:
    unit = OFFUnit(3, spatial=8, temporal=4)
    features = torch.randn(2, 3, 3, 16, 16)
    seen = unit.gradients(features)
    spatial, temporal = unit(features).split([8, 4], dim=2)
    kept = spatial != 0
    assert 0.18 < float(kept.float().mean()) < 0.22
    torch.testing.assert_close(spatial[kept], 5 * seen.spatial[kept])
    assert torch.equal(temporal, seen.temporal)


def test_one_snippet_has_no_motion() -> None:
    with pytest.raises(MareyError, match="at least 2 snippets of each video, got 1"):
        OFFUnit(3, spatial=2, temporal=2)(torch.randn(2, 1, 3, 5, 6))


@pytest.mark.parametrize("gradient", ["diagonal", "sobel"])
def test_the_unit_can_be_learnt_through(gradient) -> None:
    unit = OFFUnit(2, spatial=1, temporal=1, gradient=gradient).double().eval()
    features = torch.randn(1, 3, 2, 3, 3, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(unit, (features,))


@pytest.mark.parametrize(
    ("gradient", "apply"), [("diagonal", diagonal_gradient), ("sobel", sobel_gradient)]
)
def test_the_kernel_of_the_spatial_gradient_goes_where_the_weights_go_and_into_no_checkpoint(
    gradient, apply
) -> None:
    unit = OFFUnit(2, spatial=2, temporal=1, gradient=gradient)
    assert unit.state_dict().keys() == {"reduce.weight", "reduce.bias"}
    maps = torch.randn(3, 2, 5, 6)
    assert torch.equal(unit.in_space(maps), apply(maps))
    unit.to("meta", torch.bfloat16)
    assert unit.kernel.is_meta
    assert unit.kernel.dtype == unit.reduce.weight.dtype == torch.bfloat16
