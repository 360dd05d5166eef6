import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from marey.nn import diagonal_gradient, sobel_gradient, temporal_gradient


def ramp(along_x: float, along_y: float) -> Tensor:
    rows, columns = torch.meshgrid(torch.arange(6.0), torch.arange(7.0), indexing="ij")
    return (along_x * columns + along_y * rows)[None, None]


def inside(maps: Tensor) -> Tensor:
    return maps[..., 1:-1, 1:-1]


@settings(max_examples=20, deadline=None)
@given(st.integers(-9, 9), st.integers(-9, 9))
def test_sobel_of_a_ramp_is_its_slopes(along_x: int, along_y: int) -> None:
    x, y = sobel_gradient(ramp(along_x, along_y))[0]
    assert torch.equal(inside(x), torch.full((4, 5), float(along_x)))
    assert torch.equal(inside(y), torch.full((4, 5), float(along_y)))


@settings(max_examples=20, deadline=None)
@given(st.integers(-9, 9), st.integers(-9, 9))
def test_diagonal_of_a_ramp_is_twice_the_difference_of_its_slopes(
    along_x: int, along_y: int
) -> None:
    answer = diagonal_gradient(ramp(along_x, along_y))
    assert torch.equal(inside(answer), torch.full((1, 1, 4, 5), 2.0 * (along_x - along_y)))


def test_diagonal_spreads_a_point_as_the_released_kernel_does() -> None:
    point = torch.zeros(1, 1, 3, 3)
    point[..., 1, 1] = 1
    # Correlation mirrors the kernel [[0, 1, 0], [-1, 0, 1], [0, -1, 0]] around the point.
    expected = torch.tensor([[[[0.0, -1, 0], [1, 0, -1], [0, 1, 0]]]])
    assert torch.equal(diagonal_gradient(point), expected)


def test_sobel_of_a_constant_map_is_zero_up_to_its_border() -> None:
    assert not sobel_gradient(torch.full((1, 2, 4, 4), 3.0)).any()


def test_sobel_has_all_x_derivatives_before_the_y_derivatives() -> None:
    maps = torch.cat([ramp(1, 2), ramp(3, 4)], dim=1)
    slopes = inside(sobel_gradient(maps)).amax(dim=(2, 3))
    assert slopes.tolist() == [[1, 3, 2, 4]]


def test_mirroring_a_map_negates_its_x_derivative_alone() -> None:
    maps = torch.randn(1, 1, 5, 6)
    x, y = sobel_gradient(maps)[0]
    x_mirrored, y_mirrored = sobel_gradient(maps.flip(3))[0]
    torch.testing.assert_close(x_mirrored, -x.flip(1))
    torch.testing.assert_close(y_mirrored, y.flip(1))


@pytest.mark.parametrize("gradient", [diagonal_gradient, sobel_gradient])
def test_a_shifted_map_has_a_shifted_gradient(gradient) -> None:
    maps = torch.randn(1, 2, 6, 8)
    torch.testing.assert_close(inside(gradient(maps[..., 1:])), inside(gradient(maps))[..., 1:])


def test_temporal_gradient_is_later_minus_earlier() -> None:
    features = torch.tensor([1.0, 4.0, 2.0]).view(1, 3, 1, 1, 1)
    assert temporal_gradient(features).flatten().tolist() == [3, -2]


@pytest.mark.parametrize("gradient", [diagonal_gradient, sobel_gradient])
def test_gradients_can_be_learnt_through(gradient) -> None:
    maps = torch.randn(1, 2, 3, 4, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(gradient, (maps,))


@pytest.mark.parametrize("gradient", [diagonal_gradient, sobel_gradient])
def test_gradients_keep_channels_last(gradient) -> None:
    maps = torch.randn(2, 4, 5, 6).to(memory_format=torch.channels_last)
    assert gradient(maps).is_contiguous(memory_format=torch.channels_last)
