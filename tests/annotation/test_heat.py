"""Heat covers a frame as far as it is strong."""

import av
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from marey.annotation._heat import Heat
from marey.annotation._planes import canvas_of, planes_of


def frame_of(picture: np.ndarray) -> av.VideoFrame:
    return av.VideoFrame.from_ndarray(picture, format="rgb24").reformat(format="yuv420p")


def picture(seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return rng.integers(0, 256, (6, 8, 3), dtype=np.uint8).repeat(8, 0).repeat(8, 1)


@given(rows=st.integers(1, 60), columns=st.integers(1, 60), seed=st.integers(0, 99))
def test_where_nothing_changes_the_frame_stays_as_it_is(rows: int, columns: int, seed: int) -> None:
    frame = frame_of(picture(seed))
    before = [plane.copy() for plane in planes_of(frame)]
    Heat(canvas_of(frame)).lay(planes_of(frame), np.zeros((rows, columns), np.float32))
    for old, new in zip(before, planes_of(frame), strict=True):
        assert np.array_equal(old, new)


def test_the_strongest_heat_leaves_a_quarter_of_the_frame() -> None:
    frame = frame_of(picture())
    before = [plane.astype(float) for plane in planes_of(frame)]
    canvas = canvas_of(frame)
    Heat(canvas).lay(planes_of(frame), np.ones((3, 3), np.float32))
    # The last colour of inferno.
    hottest = canvas.colours(np.array([[[252, 255, 164]]], np.uint8))[0, 0].astype(float)
    for old, new, level in zip(before, planes_of(frame), hottest, strict=True):
        assert np.abs(new - (0.25 * old + 0.75 * level)).max() <= 1.5


@pytest.mark.parametrize("wrong", [np.nan, -1.0, -np.inf])
def test_what_is_no_strength_is_none(wrong: float) -> None:
    frame = frame_of(picture())
    before = planes_of(frame)[0].copy()
    Heat(canvas_of(frame)).lay(planes_of(frame), np.full((4, 4), wrong, np.float32))
    assert np.array_equal(planes_of(frame)[0], before)


def test_more_heat_is_brighter() -> None:
    levels = []
    for strength in np.linspace(0, 1, 9, dtype=np.float32):
        frame = frame_of(np.full((16, 16, 3), 60, np.uint8))
        Heat(canvas_of(frame)).lay(planes_of(frame), np.full((2, 2), strength))
        levels.append(int(planes_of(frame)[0].mean()))
    assert levels[-1] > levels[0] + 100
    assert levels[3:] == sorted(levels[3:])
