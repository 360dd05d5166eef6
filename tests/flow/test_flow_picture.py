import colorsys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from marey.errors import UsageError
from marey.flow._picture import flow_picture, wheel_picture


def colour(x: float, y: float, *, longest: float | None = 1.0) -> list[int]:
    """Return the colour of a motion."""
    return flow_picture(np.array([[[x, y]]], np.float32), longest=longest)[0, 0].tolist()


def hue(x: float, y: float) -> float:
    """Return the hue of a motion as a share of a full turn, red being 0."""
    return colorsys.rgb_to_hsv(*colour(x, y))[0]


def turned(steps: float) -> tuple[float, float]:
    """Return the motion of length 1 at as many of the wheel's 55 steps from the right."""
    angle = 2 * np.pi * steps / 55
    return float(np.cos(angle)), float(np.sin(angle))


def test_still_is_white() -> None:
    picture = flow_picture(np.zeros((4, 5, 2), np.float32))
    assert picture.shape == (4, 5, 3)
    assert picture.dtype == np.uint8
    assert (picture == 255).all()


@pytest.mark.parametrize(
    ("steps", "rgb"),
    [
        (0, [255, 0, 0]),
        (15, [255, 255, 0]),
        (15 + 6, [0, 255, 0]),
        (15 + 6 + 4, [0, 255, 255]),
        (15 + 6 + 4 + 11, [0, 0, 255]),
        (15 + 6 + 4 + 11 + 13, [255, 0, 255]),
        (5, [255, 85, 0]),
        (18, [128, 255, 0]),
        (36 + 6.5, [128, 0, 255]),
        (49 + 3, [255, 0, 128]),
    ],
)
def test_hues_follow_the_published_steps_clockwise_from_the_right(
    steps: float, rgb: list[int]
) -> None:
    np.testing.assert_allclose(colour(*turned(steps)), rgb, atol=1)


def test_directions_have_the_colours_of_the_original_wheel() -> None:
    # A quarter turn is 13.75 of 55 steps: down is 13.75 / 15 of the way from red to yellow.
    assert colour(1, 0) == [255, 0, 0]
    assert colour(0, 1) == [255, round(255 * 13.75 / 15), 0]
    assert colour(-1, 0) == [0, 255 - round(255 * 2.5 / 11), 255]
    # The hue of step 41 is 5 of 13 from blue to magenta; a quarter of a step is added.
    assert colour(0, -1) == [round(255 * 5.25 / 13), 0, 255]


@settings(max_examples=50, deadline=None)
@given(st.floats(0, 55))
def test_opposite_directions_look_different(steps: float) -> None:
    x, y = turned(steps)
    apart = abs(hue(x, y) - hue(-x, -y))
    assert min(apart, 1 - apart) > 0.25


@settings(max_examples=50, deadline=None)
@given(st.floats(0, 55))
def test_the_hue_turns_without_a_jump(steps: float) -> None:
    one, other = colour(*turned(steps)), colour(*turned(steps + 0.1))
    # The fastest arc goes from one hue to the next in 4 steps.
    assert np.abs(np.subtract(one, other)).max() <= 255 * 0.1 / 4 + 1


@settings(max_examples=50, deadline=None)
@given(st.floats(0, 55), st.floats(0.3, 1))
def test_the_hue_does_not_depend_on_the_length(steps: float, length: float) -> None:
    x, y = turned(steps)
    apart = abs(hue(length * x, length * y) - hue(x, y))
    assert min(apart, 1 - apart) < 0.02  # Of short motion, 8 bits say less.


def test_twice_the_length_is_twice_as_far_from_white() -> None:
    assert colour(1, 0, longest=4.0) == [255, 191, 191]
    assert colour(2, 0, longest=4.0) == [255, 128, 128]
    assert colour(4, 0, longest=4.0) == [255, 0, 0]


def test_what_is_longer_than_the_scale_is_darkened() -> None:
    assert colour(1.01, 0) == [191, 0, 0]
    assert colour(50, 0) == [191, 0, 0]


def test_one_pixel_of_a_hundred_may_be_longer_than_the_scale() -> None:
    flow = np.full((10, 20, 2), 0, np.float32)
    flow[..., 0] = 8
    flow[0, 0] = 500
    picture = flow_picture(flow)
    assert (picture.reshape(-1, 3)[1:] == [255, 0, 0]).all()
    assert picture[0, 0].max() == 191


def test_noise_is_not_blown_up() -> None:
    flow = np.full((8, 8, 2), 0, np.float32)
    flow[..., 0] = 0.2
    assert flow_picture(flow)[0, 0].tolist() == [
        255,
        204,
        204,
    ]  # A fifth of the way, not all of it.


@pytest.mark.parametrize("longest", [0.0, -2.0, float("nan")])
def test_a_scale_without_length_is_refused(longest: float) -> None:
    with pytest.raises(UsageError, match=f"longest must be above 0 pixels, got {longest}"):
        flow_picture(np.zeros((1, 1, 2), np.float32), longest=longest)


def test_the_legend_is_a_disc_of_the_colours_of_moving_outwards() -> None:
    wheel = wheel_picture(101)
    assert wheel.shape == (101, 101, 3)
    assert wheel[50, 50].tolist() == [255, 255, 255]
    assert (wheel[[0, 0, -1, -1], [0, -1, 0, -1]] == 255).all()
    edge = 100 / 101
    for row, column, x, y in [(50, 100, 1, 0), (100, 50, 0, 1), (50, 0, -1, 0), (0, 50, 0, -1)]:
        np.testing.assert_allclose(wheel[row, column], colour(edge * x, edge * y), atol=1)
    assert wheel.max(axis=2).min() == 255, "nothing is longer than the scale"


def test_a_legend_has_pixels() -> None:
    assert wheel_picture(1).tolist() == [[[255, 255, 255]]]
    with pytest.raises(UsageError, match="at least 1 pixel a side, got 0"):
        wheel_picture(0)
