"""The parts of TV-L1, compiled for the processor."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from marey.flow._median import median
from marey.flow._tvl1_kernel import _packed, _resized, _warp_row
from marey.flow._tvl1_scheme import sizes

BORDER = 4


@settings(max_examples=30, deadline=None)
@given(rows=st.integers(3, 40), columns=st.integers(3, 40), seed=st.integers(0, 99))
def test_an_image_is_made_smaller_as_opencv_does(rows: int, columns: int, seed: int) -> None:
    cv2: Any = pytest.importorskip("cv2", reason="OpenCV is not installed")
    image = np.random.default_rng(seed).uniform(0, 255, (rows, columns)).astype(np.float32)
    height, width = round(rows * 0.8), round(columns * 0.8)
    expected = cv2.resize(image, None, fx=0.8, fy=0.8, interpolation=cv2.INTER_LINEAR)
    ours = _resized(image, height, width, 1 / 0.8, 1 / 0.8)
    np.testing.assert_allclose(ours, expected, atol=1e-2)


def test_sizes_of_the_pyramid_are_those_of_a_step_of_four_fifths() -> None:
    assert sizes(256, 340) == [(256, 340), (205, 272), (164, 218), (131, 174), (105, 139)]
    # No smaller than 16 pixels.
    assert sizes(24, 400) == [(24, 400), (19, 320)]
    assert sizes(20, 20) == [(20, 20), (16, 16)]
    for side in (1, 15, 18):
        assert sizes(side, 100) == [(side, 100)]


@settings(max_examples=60, deadline=None)
@given(
    arrays(
        np.float32,
        st.tuples(st.integers(1, 12), st.integers(1, 12)),
        elements=st.floats(-50, 50, width=32) | st.sampled_from([0.0, 1.0, -1.0]),
    )
)
def test_the_median_is_that_of_25_values_edges_repeated(values: np.ndarray) -> None:
    height, width = values.shape
    part = np.full((height + 1, width + 1), np.nan, np.float32)
    part[:-1, :-1] = values
    copy = np.full((height + 4, width + 4), np.nan, np.float32)
    median(part, copy, np.full((5, width + 4), np.nan, np.float32))
    windows = np.lib.stride_tricks.sliding_window_view(np.pad(values, 2, mode="edge"), (5, 5))
    np.testing.assert_array_equal(part[:-1, :-1], np.median(windows, axis=(2, 3)))
    np.testing.assert_array_equal(part[:-1, -1], part[:-1, -2])
    np.testing.assert_array_equal(part[-1], part[-2])


FAR = st.floats(-30, 30, width=32) | st.sampled_from([-1e30, -1e9, 1e9, 1e30])


def cubic(t: float) -> np.ndarray:
    """Return weights of the four neighbours of a place, as Keys (1981) writes them, a = -0.75."""

    def weight(x: float) -> float:
        x, a = abs(x), -0.75
        near = (a + 2) * x**3 - (a + 3) * x**2 + 1
        return near if x <= 1 else a * (x**3 - 5 * x**2 + 8 * x - 4) if x < 2 else 0.0

    return np.array([weight(t + 1), weight(t), weight(1 - t), weight(2 - t)])


def sampled(plane: np.ndarray, x: float, y: float) -> float:
    """Return an image between its pixels, zero around."""
    height, width = plane.shape
    if not (-3 < x < width + 2 and -3 < y < height + 2):
        return 0.0
    padded = np.pad(plane, 6)
    column, row = int(np.floor(x)), int(np.floor(y))
    window = padded[row + 5 : row + 9, column + 5 : column + 9]
    return float(cubic(y - row) @ window @ cubic(x - column))


@settings(max_examples=60, deadline=None)
@given(
    rows=st.integers(1, 6),
    columns=st.integers(1, 6),
    seed=st.integers(0, 99),
    flow=st.lists(st.tuples(FAR, FAR), min_size=6, max_size=6),
)
def test_however_far_flow_leads_only_the_image_and_zeros_are_read(
    rows: int, columns: int, seed: int, flow: list[tuple[float, float]]
) -> None:
    rng = np.random.default_rng(seed)
    first, second = rng.uniform(0, 255, (2, rows, columns)).astype(np.float32)
    packed = _packed(second)
    assert packed.shape == (rows + 2 * BORDER, columns + 2 * BORDER, 4)
    # Whatever is read beyond the packed image is no number.
    margin = 200 * packed.shape[1]
    memory = np.full(packed.size + 2 * margin, np.nan, np.float32)
    amid = memory[margin : margin + packed.size].reshape(packed.shape)
    amid[:] = packed
    u, v = np.array(flow, np.float32)[:columns].T.copy()
    y = seed % rows
    ix, iy, ig, c = np.full((4, columns), np.nan, np.float32)
    _warp_row(amid, u, v, first[y], y, ix, iy, ig, c)
    slopes = [packed[BORDER:-BORDER, BORDER:-BORDER, part] for part in (1, 2)]
    for x in range(columns):
        place = x + u[x], y + v[x]
        value, along, beside = (sampled(plane, *place) for plane in (second, *slopes))
        assert ix[x] == pytest.approx(along, rel=1e-3, abs=0.05)
        assert iy[x] == pytest.approx(beside, rel=1e-3, abs=0.05)
        if abs(u[x]) < 100 > abs(v[x]):
            rest = value - along * u[x] - beside * v[x] - first[y, x]
            assert c[x] == pytest.approx(rest, rel=1e-3, abs=1)
        else:
            assert c[x] == -first[y, x]
        assert 0 < ig[x] <= 1 / 1.19e-7


def test_slopes_are_central_differences_halved_at_the_border() -> None:
    rows, columns = np.mgrid[:5, :7].astype(np.float32)
    packed = _packed(3 * columns + 10 * rows)[BORDER:-BORDER, BORDER:-BORDER]
    np.testing.assert_array_equal(packed[2, :, 1], [1.5, 3, 3, 3, 3, 3, 1.5])
    np.testing.assert_array_equal(packed[:, 2, 2], [5, 10, 10, 10, 5])
    np.testing.assert_array_equal(packed[..., 0], 3 * columns + 10 * rows)
    assert not _packed(columns)[:BORDER].any()
