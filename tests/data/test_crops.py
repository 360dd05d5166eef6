import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.testing import assert_close

from marey.data import (
    RGB_SCALES,
    Box,
    centre_box,
    crop,
    five_boxes,
    mirror,
    multi_scale_box,
    resize,
    resize_short_side,
    ten_crops,
)

sides = st.integers(1, 400)


def test_five_crops_of_a_stored_frame() -> None:
    assert five_boxes(256, 340, size=224) == [
        Box(0, 0, 224, 224),
        Box(0, 116, 224, 224),
        Box(32, 0, 224, 224),
        Box(32, 116, 224, 224),
        Box(16, 58, 224, 224),
    ]
    assert centre_box(256, 340, size=224) == Box(16, 58, 224, 224)


@given(height=sides, width=sides, seed=st.integers(0, 2**32 - 1))
def test_a_training_crop_lies_in_the_frame(height: int, width: int, seed: int) -> None:
    box = multi_scale_box(height, width, rng=np.random.default_rng(seed))
    assert 0 <= box.top <= box.top + box.height <= height
    assert 0 <= box.left <= box.left + box.width <= width


def test_training_crops_are_the_thirteen_places_and_ten_shapes_of_the_original() -> None:
    rng = np.random.default_rng(0)
    boxes = {multi_scale_box(256, 340, rng=rng) for _ in range(20_000)}
    shapes = {(box.height, box.width) for box in boxes}
    tall = [256, 224, 192, 168]
    assert shapes == {(tall[i], tall[j]) for i in range(4) for j in range(4) if abs(i - j) <= 1}
    assert len(RGB_SCALES) == 4
    places = {(box.top, box.left) for box in boxes if (box.height, box.width) == (224, 224)}
    assert places == {
        *((row * 32 // 4, column * 116 // 4) for row in (0, 2, 4) for column in (0, 2, 4)),
        *((row * 32 // 4, column * 116 // 4) for row in (1, 3) for column in (1, 3)),
    }


def test_a_crop_of_the_wanted_size_is_cut_out_unchanged() -> None:
    frames = torch.randint(0, 256, (2, 3, 10, 12), dtype=torch.uint8)
    assert_close(crop(frames, Box(1, 2, 8, 8), size=8), frames[..., 1:9, 2:10])


def test_a_flat_frame_stays_flat_when_scaled() -> None:
    frames = torch.full((1, 3, 30, 20), 77, dtype=torch.uint8)
    assert_close(resize(frames, 45, 61), torch.full((1, 3, 45, 61), 77, dtype=torch.uint8))


@given(height=st.integers(8, 300), width=st.integers(8, 300))
def test_the_short_side_is_as_asked_and_the_shape_is_kept(height: int, width: int) -> None:
    frames = resize_short_side(torch.zeros(1, 3, height, width, dtype=torch.uint8), 32)
    tall, wide = frames.shape[-2:]
    assert min(tall, wide) == 32
    assert abs(max(tall, wide) - 32 * max(height, width) / min(height, width)) <= 0.5


def test_a_4_to_3_frame_comes_out_as_the_original_stores_it_but_for_a_column() -> None:
    frames = resize_short_side(torch.zeros(1, 3, 240, 320, dtype=torch.uint8), 256)
    assert frames.shape[-2:] == (256, 341)


def test_a_mirrored_frame_is_turned_left_to_right() -> None:
    snippets = torch.arange(6.0).reshape(1, 1, 2, 3)
    assert_close(
        mirror(snippets, modality="rgb"), torch.tensor([[[[2.0, 1.0, 0.0], [5.0, 4.0, 3.0]]]])
    )


def test_mirrored_flow_moves_the_other_way_along_x_and_the_same_along_y() -> None:
    flow = torch.tensor([3.0, -2.0, 1.0, 4.0]).reshape(1, 4, 1, 1)  # x1 y1 x2 y2
    assert mirror(flow, modality="flow").flatten().tolist() == [-3.0, -2.0, -1.0, 4.0]


@given(modality=st.sampled_from(["rgb", "rgbdiff", "flow"]))
def test_mirroring_twice_changes_nothing(modality: str) -> None:
    snippets = torch.rand(2, 10, 5, 7)
    assert_close(mirror(mirror(snippets, modality=modality), modality=modality), snippets)


def test_the_last_five_of_ten_crops_are_the_first_five_mirrored() -> None:
    views = ten_crops(torch.rand(2, 3, 12, 16), size=8, modality="rgb")
    assert views.shape == (10, 2, 3, 8, 8)
    assert_close(views[5:], views[:5].flip(-1))
