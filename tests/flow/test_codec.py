import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from marey.flow import BOUND, to_bytes, to_pixels

HALF_A_STEP = BOUND / 255
# Rounding errors of float32, far below the step of 0.157 pixels.
SLACK = 1e-5

Shape = tuple[int, ...]


def flows(largest: float) -> st.SearchStrategy[np.ndarray]:
    """Return flow of any shape that ends in the two directions."""
    shapes = array_shapes(min_dims=2, max_dims=3, max_side=5).map(lambda shape: (*shape, 2))
    pixels = st.floats(-largest, largest, width=32)
    return arrays(np.float32, shapes, elements=pixels)


@given(flows(BOUND))
def test_within_the_bound_what_is_read_back_is_at_most_half_a_step_off(flow: np.ndarray) -> None:
    back = to_pixels(to_bytes(flow))
    assert back.dtype == np.float32
    assert back.shape == flow.shape
    assert np.abs(back - flow).max() <= HALF_A_STEP + SLACK


@given(flows(2.0**100))
def test_beyond_the_bound_flow_is_cut_to_it(flow: np.ndarray) -> None:
    quantised = to_bytes(flow)
    assert quantised.dtype == np.uint8
    np.testing.assert_array_equal(quantised, to_bytes(np.clip(flow, -BOUND, BOUND)))
    assert (quantised[flow >= BOUND] == 255).all()
    assert (quantised[flow <= -BOUND] == 0).all()


@given(flows(1.5 * BOUND))
def test_bytes_are_those_of_the_formula(flow: np.ndarray) -> None:
    levels = 255 * (np.clip(flow.astype(np.float64), -20, 20) + 20) / 40
    between = np.abs(levels - np.floor(levels) - 0.5)
    # Where two levels are as near, rounding errors choose.
    decided = between > 1e-4
    np.testing.assert_array_equal(to_bytes(flow)[decided], np.round(levels)[decided])


@given(flows(1.5 * BOUND))
def test_the_opposite_motion_has_the_opposite_byte(flow: np.ndarray) -> None:
    total = to_bytes(flow).astype(int) + to_bytes(-flow)
    # Of two levels as near, the even one is taken on either side: 127.5 becomes 128 twice.
    assert ((total >= 254) & (total <= 256)).all()


@pytest.mark.parametrize(
    ("pixels", "level"),
    [(0, 128), (-20, 0), (20, 255), (4, 153), (-4, 102), (0.1, 128), (-0.1, 127)],
)
def test_known_motions_have_known_bytes(pixels: float, level: int) -> None:
    assert (to_bytes(np.full((1, 1, 2), pixels, np.float32)) == level).all()


def test_every_byte_comes_back_from_its_pixels() -> None:
    levels = np.arange(256, dtype=np.uint8).reshape(16, 8, 2)
    np.testing.assert_array_equal(to_bytes(to_pixels(levels)), levels)


def test_larger_motion_never_has_a_smaller_byte() -> None:
    rising = np.linspace(-25, 25, 20_002, dtype=np.float32).reshape(1, -1, 2)
    levels = to_bytes(rising).ravel().astype(int)
    assert (np.diff(levels) >= 0).all()
    assert set(levels) == set(range(256))
