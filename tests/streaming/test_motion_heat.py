"""The motion that OFF sees, place by place."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from marey.errors import UsageError
from marey.models import build_model, for_inference
from marey.streaming import MotionHeat


def heat(
    name: str = "off_efficientnet_lite0",
    *,
    pace: int = 25,
    fps: float = 25.0,
    window: float = 1.0,
) -> MotionHeat:
    torch.manual_seed(0)
    network = build_model(name, num_classes=2, modality="rgb")
    network.preprocessing = replace(network.preprocessing, pace=pace)
    return MotionHeat(for_inference(network), fps=fps, window=window)


def scene(left: int | None, *, height: int = 96, width: int = 160) -> np.ndarray:
    """Return a grey frame with a chequered block, if any."""
    frame = np.full((height, width, 3), 110, np.uint8)
    if left is not None:
        block = (np.indices((32, 32)).sum(axis=0) // 4 % 2 * 200 + 20).astype(np.uint8)
        frame[32:64, left : left + 32] = block[..., None]
    return frame


def test_the_first_frame_has_nothing_to_be_compared_with() -> None:
    assert heat()(0, scene(16)) is None


def test_a_still_film_is_dark() -> None:
    motion = heat()
    motion(0, scene(16))
    strength = motion(1, scene(16))
    assert strength is not None
    assert strength.max() < 1e-3


@pytest.mark.parametrize("name", ["off_efficientnet_lite0", "off_ordered_efficientnet_lite0"])
def test_it_is_bright_where_something_moved(name: str) -> None:
    motion = heat(name)
    motion(0, scene(None))
    strength = motion(1, scene(112))
    assert strength is not None
    assert strength.shape[1] > strength.shape[0]
    middle = strength.shape[1] // 2
    assert strength[:, middle:].mean() > 3 * strength[:, :middle].mean()
    assert strength.max() == 1.0


def test_a_frame_is_compared_with_the_one_a_share_of_the_window_before() -> None:
    motion = heat(pace=10, fps=20.0, window=1.0)
    strengths = [motion(n, scene(16 if n < 3 else 48)) for n in range(7)]
    moved = [strength is not None and strength.max() > 0.1 for strength in strengths]
    assert moved == [False, False, False, True, True, False, False]


def test_stillness_after_motion_stays_dark() -> None:
    motion = heat()
    for number, left in enumerate((16, 48, 48)):
        strength = motion(number, scene(left))
    assert strength is not None
    assert strength.max() < 1e-3


@pytest.mark.parametrize(
    ("name", "modality", "named"),
    [("tsn_efficientnet_lite0", "rgb", "TSN on rgb"), ("off_efficientnet_lite0", "flow", "flow")],
)
def test_networks_without_motion_in_frames_are_refused(
    name: str, modality: str, named: str
) -> None:
    network = build_model(name, num_classes=2, modality=modality)  # type: ignore[arg-type]
    with pytest.raises(UsageError, match=named):
        MotionHeat(network, fps=25.0, window=1.0)
