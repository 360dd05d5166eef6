import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from torch.nn import functional as F

from marey.errors import UsageError
from marey.flow import METHODS, flow_estimator, making_of
from marey.flow._methods import grey_levels

OPENCV = ("tvl1-opencv", "dis", "farneback")


@pytest.fixture
def cv2() -> Any:
    module: Any = pytest.importorskip("cv2", reason="OpenCV is not installed")
    if not hasattr(module, "optflow"):
        pytest.skip("this OpenCV has no contributed modules")
    return module


def moving(steps: list[tuple[int, int]], height: int = 64, width: int = 88) -> np.ndarray:
    """Return frames of smooth random colours that move by each of the steps (x, y) in turn."""
    dice = torch.Generator().manual_seed(3)
    coarse = torch.rand(1, 3, height // 8 + 5, width // 8 + 5, generator=dice)
    size = height + 32, width + 32
    smooth = F.interpolate(coarse, size=size, mode="bicubic", align_corners=False)[0]
    wide = (255 * smooth).clamp(0, 255).byte().permute(1, 2, 0).numpy()
    x, y = 16, 16
    frames = [wide[y : y + height, x : x + width]]
    for right, down in steps:
        x, y = x - right, y - down
        frames.append(wide[y : y + height, x : x + width])
    return np.stack(frames)


@pytest.mark.parametrize("method", ["tvl1", *OPENCV])
def test_every_method_sees_where_things_move(cv2: Any, method: str) -> None:
    steps = [(3, -2), (-2, 0), (0, 4)]
    flow = flow_estimator(method)(moving(steps))
    assert flow.shape == (3, 64, 88, 2)
    assert flow.dtype == np.float32
    for field, step in zip(flow, steps, strict=True):
        errors = np.linalg.norm(field[12:-12, 12:-12] - step, axis=-1)
        assert errors.mean() < 0.5, step


@pytest.mark.parametrize("method", ["tvl1", *OPENCV])
def test_a_pair_has_the_same_flow_whatever_came_before(cv2: Any, method: str) -> None:
    # In smaller frames DIS looks at other scales, and keeps to them.
    size = (96, 128) if method == "dis" else (40, 48)
    frames = moving([(3, -2), (-2, 0), (0, 4)], *size)
    estimate = flow_estimator(method)
    together = estimate(frames)
    for pair in (2, 0, 1):
        np.testing.assert_array_equal(estimate(frames[pair : pair + 2])[0], together[pair])
    np.testing.assert_array_equal(flow_estimator(method)(frames), together)


@pytest.mark.parametrize("method", ["tvl1", *OPENCV])
def test_a_single_frame_has_no_flow(cv2: Any, method: str) -> None:
    assert flow_estimator(method)(moving([])).shape == (0, 64, 88, 2)


def test_opencv_s_methods_are_called_as_their_names_say(cv2: Any) -> None:
    """Each with OpenCV's defaults, or those of its documentation."""
    frames = moving([(3, -2)])
    one, other = grey_levels(frames)
    dis = cv2.DISOpticalFlow_create(cv2.DISOPTICAL_FLOW_PRESET_FAST)
    expected = {
        "tvl1-opencv": cv2.optflow.DualTVL1OpticalFlow_create().calc(one, other, None),
        "dis": dis.calc(one, other, None),
        "farneback": cv2.calcOpticalFlowFarneback(one, other, None, 0.5, 5, 15, 3, 5, 1.2, 0),
    }
    for method, flow in expected.items():
        np.testing.assert_array_equal(flow_estimator(method)(frames)[0], flow)


@given(arrays(np.uint8, st.tuples(st.integers(1, 3), *[st.integers(1, 9)] * 2, st.just(3))))
def test_grey_is_the_weighted_sum_of_colours_rounded(frames: np.ndarray) -> None:
    red, green, blue = np.moveaxis(frames.astype(int), -1, 0)
    expected = (4899 * red + 9617 * green + 1868 * blue) / 2**14
    np.testing.assert_array_equal(grey_levels(frames), np.floor(expected + 0.5))


def test_grey_is_opencv_s_but_for_a_level_in_a_few_pixels(cv2: Any) -> None:
    frame = np.random.default_rng(0).integers(0, 256, (200, 300, 3), np.uint8)
    theirs = cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY).astype(int)
    difference = np.abs(grey_levels(frame[None])[0] - theirs)
    # OpenCV has weights of 15 bits since version 4.
    assert difference.max() <= 1
    assert difference.mean() < 0.005


def test_grey_of_known_colours_is_known() -> None:
    colours = np.array([[[0, 0, 0], [255, 255, 255], [255, 0, 0], [0, 255, 0], [0, 0, 255]]])
    levels = grey_levels(colours[None].astype(np.uint8))
    assert levels.tolist() == [[[0, 255, 76, 150, 29]]]


# By name.


def test_every_method_says_how_it_makes_flow() -> None:
    assert METHODS == ("tvl1", "tvl1-opencv", "dis", "farneback", "raft")
    for method in METHODS:
        making = making_of(method)
        assert making.method == method
        assert (making.width, making.height, making.bound) == (340, 256, 20)
    ours, theirs = making_of("tvl1"), making_of("tvl1-opencv")
    assert ours.parameters == theirs.parameters
    assert ours.parameters["lambda"] == 0.15
    assert ours.parameters["warps"] == 5


def test_the_parameters_that_are_told_are_opencv_s_own(cv2: Any) -> None:
    dual = cv2.optflow.DualTVL1OpticalFlow_create()
    assert making_of("tvl1-opencv").parameters == {
        "tau": dual.getTau(),
        "lambda": dual.getLambda(),
        "theta": dual.getTheta(),
        "scales": dual.getScalesNumber(),
        "scale_step": dual.getScaleStep(),
        "warps": dual.getWarpingsNumber(),
        "outer_iterations": dual.getOuterIterations(),
        "inner_iterations": dual.getInnerIterations(),
        "median": dual.getMedianFiltering(),
        "epsilon": dual.getEpsilon(),
    }
    assert not dual.getUseInitialFlow()


def test_a_method_that_does_not_exist_is_refused_with_those_that_do() -> None:
    with pytest.raises(UsageError) as caught:
        flow_estimator("tvl2")
    assert str(caught.value) == (
        "no flow method is called 'tvl2'; there are tvl1, tvl1-opencv, dis, farneback, raft"
    )


def test_raft_without_weights_says_what_to_give() -> None:
    with pytest.raises(UsageError, match=r"raft needs weights, .* with --weights"):
        flow_estimator("raft")


@pytest.mark.parametrize("method", ["tvl1", "tvl1-opencv", "dis", "farneback"])
def test_weights_for_a_method_without_are_refused(method: str) -> None:
    with pytest.raises(UsageError, match=f"{method} has no weights; leave --weights out"):
        flow_estimator(method, weights=Path("raft-small.pth"))


@pytest.mark.parametrize("method", OPENCV)
def test_without_opencv_its_methods_say_what_to_install(
    monkeypatch: pytest.MonkeyPatch, method: str
) -> None:
    monkeypatch.setitem(sys.modules, "cv2", None)
    with pytest.raises(UsageError, match=r"pip install 'marey\[opencv\]'; tvl1 needs nothing"):
        flow_estimator(method)
    flow_estimator("tvl1")
