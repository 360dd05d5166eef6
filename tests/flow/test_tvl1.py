"""TV-L1 compiled for the processor, and the same in torch.

Where there is OpenCV with its contributed modules, both are compared with its `DualTVL1`.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from marey.flow._methods import flow_estimator, grey_levels
from marey.flow._tvl1_kernel import tvl1_pair
from marey.flow._tvl1_torch import tvl1_pairs
from marey.video import VideoReader

CLIPS = Path(__file__).parents[2] / "src" / "marey" / "clips"
JHMDB = Path(__file__).parents[3] / "shared" / "data" / "jhmdb" / "videos"

Pair = tuple[np.ndarray, np.ndarray]


def texture(height: int, width: int) -> np.ndarray:
    """Return smooth random grey levels, with structure of about eight pixels."""
    dice = torch.Generator().manual_seed(3)
    coarse = torch.rand(1, 1, height // 8 + 1, width // 8 + 1, generator=dice)
    smooth = F.interpolate(coarse, size=(height, width), mode="bicubic", align_corners=False)
    return (255 * smooth[0, 0]).clamp(0, 255).round().numpy()


def moving(right: int, down: int, height: int = 96, width: int = 128) -> Pair:
    """Return two images whose content moves by so many pixels."""
    wide = texture(height + 40, width + 40)
    rows, columns = slice(20, 20 + height), slice(20, 20 + width)
    later = wide[20 - down : 20 - down + height, 20 - right : 20 - right + width]
    return wide[rows, columns].copy(), later.copy()


def in_torch(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    flow = tvl1_pairs(torch.from_numpy(first)[None], torch.from_numpy(second)[None])
    return flow[0].permute(1, 2, 0).numpy()


def distance(one: np.ndarray, other: np.ndarray | tuple[float, float]) -> np.ndarray:
    """Return the end-point error of each pixel."""
    return np.linalg.norm(one - np.asarray(other), axis=-1)


def inside(field: np.ndarray) -> np.ndarray:
    return field[12:-12, 12:-12]


both = pytest.mark.parametrize("method", [tvl1_pair, in_torch], ids=["compiled", "torch"])
Method = Callable[[np.ndarray, np.ndarray], np.ndarray]


# What is known of the answer.


@both
@pytest.mark.parametrize(("right", "down"), [(3, -2), (-3, 2), (0, 5)])
def test_a_known_motion_has_its_known_flow(method: Method, right: int, down: int) -> None:
    flow = method(*moving(right, down))
    assert flow.shape == (96, 128, 2)
    assert flow.dtype == np.float32
    x, y = inside(flow).reshape(-1, 2).T
    assert (np.sign(x[np.abs(x) > 1]) == np.sign(right)).all()
    assert (np.sign(y[np.abs(y) > 1]) == np.sign(down)).all()
    assert distance(inside(flow), (right, down)).mean() < 0.05
    assert distance(flow, (right, down)).mean() < 0.25


@both
def test_a_still_pair_does_not_move(method: Method) -> None:
    still, _ = moving(0, 0)
    assert not method(still, still).any()


@both
@pytest.mark.parametrize("axis", [0, 1])
def test_turning_both_images_turns_the_flow(method: Method, axis: int) -> None:
    """But for borders: differences look ahead, so the discrete problem is not symmetric."""
    pair = moving(3, -2)
    plain = method(*pair)
    first, second = (np.ascontiguousarray(np.flip(image, axis)) for image in pair)
    turned = np.flip(method(first, second), axis) * ([-1, 1] if axis else [1, -1])
    # Seen: 0.018 px over all, 0.005 px inside.
    assert distance(turned, plain).mean() < 0.04
    assert inside(distance(turned, plain)).mean() < 0.01


@both
def test_a_picture_of_one_grey_has_no_flow(method: Method) -> None:
    flat = np.full((40, 50), 77, np.float32)
    assert not method(flat, flat).any()
    # Brighter all over, there is still nothing that moves.
    assert not method(flat, flat + 20).any()


# The same as OpenCV's.


@pytest.fixture(scope="module")
def opencv() -> Method:
    cv2: Any = pytest.importorskip("cv2", reason="OpenCV is not installed")
    if not hasattr(cv2, "optflow"):
        pytest.skip("this OpenCV has no contributed modules")
    dual = cv2.optflow.DualTVL1OpticalFlow_create()
    return lambda first, second: dual.calc(first.astype(np.uint8), second.astype(np.uint8), None)


def assert_alike(method: Method, other: Method, pair: Pair) -> None:
    """Compare two methods as far as TV-L1 is one itself.

    A ten-thousandth of a grey level changes what either says by 0.02 px, and 0.005 px inside:
    at the border brightness falls to nothing, and a warp ends when little changes.
    """
    errors = distance(method(*pair), other(*pair))
    assert errors.mean() < 0.03
    assert inside(errors).mean() < 0.01


@both
def test_flow_of_a_synthetic_pair_is_opencv_s(method: Method, opencv: Method) -> None:
    assert_alike(method, opencv, moving(3, -2))


def test_flow_of_a_clip_is_opencv_s(opencv: Method) -> None:
    with VideoReader(CLIPS / "climb_stairs.avi") as video:
        frames = grey_levels(video.frames_at([10, 11]))[:, ::2, ::2].astype(np.float32)
    assert distance(tvl1_pair(*frames), opencv(*frames)).mean() < 0.03
    assert distance(opencv(*frames), (0, 0)).mean() > 0.3, "the clip moves"


@pytest.mark.slow
def test_flow_of_clips_of_j_hmdb_is_opencv_s() -> None:
    cv2: Any = pytest.importorskip("cv2", reason="OpenCV is not installed")
    clips = sorted(JHMDB.glob("*/*.avi"))[30::150]
    if not clips:
        pytest.skip(f"the J-HMDB clips are not at {JHMDB}")
    dual = cv2.optflow.DualTVL1OpticalFlow_create()
    noise = np.random.default_rng(0)
    errors = []
    for clip in clips:
        with VideoReader(clip) as video:
            middle = len(video) // 2
            pair = grey_levels(video.frames_at([middle, middle + 1])).astype(np.float32)
        # OpenCV takes floats up to 1.
        theirs = dual.calc(*(pair / 255), None)
        shaken = (pair + noise.normal(0, 1e-4, pair.shape).astype(np.float32)) / 255
        own = distance(dual.calc(*shaken, None), theirs).mean()
        errors.append(distance(tvl1_pair(*pair), theirs).mean())
        # Some pairs are so undecided that OpenCV does not agree with itself: 0.2 px apart.
        assert errors[-1] <= max(0.03, 1.5 * own)
    assert len(errors) == 6
    assert np.median(errors) <= 0.03


# Any input.


@both
@pytest.mark.parametrize(
    ("rows", "columns"), [(1, 1), (1, 9), (9, 1), (2, 3), (15, 15), (16, 16), (17, 40), (41, 7)]
)
def test_images_of_any_size_have_flow_of_that_size(method: Method, rows: int, columns: int) -> None:
    rng = np.random.default_rng(rows * columns)
    pair = rng.integers(0, 256, (2, rows, columns)).astype(np.float32)
    flow = method(*pair)
    assert flow.shape == (rows, columns, 2)
    assert np.isfinite(flow).all()


def test_images_may_be_views_that_cannot_be_written() -> None:
    wide = np.stack(moving(3, -2, 80, 120)).transpose(0, 2, 1)[:, ::2, ::3]
    wide.flags.writeable = False
    assert not wide[0].flags.c_contiguous
    before = wide.copy()
    flow = tvl1_pair(wide[0], wide[1])
    np.testing.assert_array_equal(wide, before)
    first, second = map(np.ascontiguousarray, wide)
    assert distance(flow, tvl1_pair(first, second)).max() < 1e-3


def test_the_same_pair_gives_the_same_bytes() -> None:
    pair = moving(3, -2)
    flows = [tvl1_pair(*(image.copy() for image in pair)).tobytes() for _ in range(3)]
    assert len(set(flows)) == 1


def test_threads_change_nothing() -> None:
    frames = np.random.default_rng(0).integers(0, 256, (6, 40, 56, 3), np.uint8)
    flows = [flow_estimator("tvl1", threads=threads)(frames) for threads in (1, 2, 4)]
    assert flows[0].shape == (5, 40, 56, 2)
    np.testing.assert_array_equal(flows[0], flows[1])
    np.testing.assert_array_equal(flows[0], flows[2])


# The one in torch.


@pytest.mark.parametrize(("right", "down"), [(3, -2), (0, 5), (1, 1)])
def test_both_say_the_same(right: int, down: int) -> None:
    assert_alike(in_torch, tvl1_pair, moving(right, down))


def test_a_pair_has_the_same_flow_in_any_company() -> None:
    pairs = [moving(*motion, 48, 64) for motion in ((3, -2), (0, 0), (-5, 1))]
    first, second = (torch.from_numpy(np.stack(images)) for images in zip(*pairs, strict=True))
    together = tvl1_pairs(first, second)
    assert together.shape == (3, 2, 48, 64)
    assert not together[1].any()
    for number, flow in enumerate(together):
        alone = tvl1_pairs(first[number : number + 1], second[number : number + 1])[0]
        torch.testing.assert_close(flow, alone, rtol=0, atol=1e-4)


@pytest.mark.gpu
def test_a_gpu_says_what_the_processor_says() -> None:
    if not torch.cuda.is_available():
        pytest.skip("torch sees no GPU")
    frames = np.repeat(np.stack(moving(3, -2))[..., None].astype(np.uint8), 3, axis=-1)
    on_gpu = flow_estimator("tvl1", device="cuda")(frames)
    assert distance(on_gpu, flow_estimator("tvl1")(frames)).mean() < 0.01
