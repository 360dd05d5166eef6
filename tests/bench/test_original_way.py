"""The originals' way, which differs from ours in how and not in what."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from telling_networks import telling_apart
from torch import nn

from marey.bench._original import (
    STORED,
    as_original,
    live_images,
    original_answers,
    original_heads,
    read_images,
    store_frames,
    views_of_images,
)
from marey.data import Preprocessing, resize_short_side
from marey.evaluation import clips_of
from marey.models import for_inference, off_efficientnet_lite0

CAFFE = Preprocessing(colour="bgr", mean=(104.0, 117.0, 123.0), std=(1.0,), size=16, short_side=20)
LITE = Preprocessing(colour="rgb", mean=(127.0,), std=(128.0,), size=16, short_side=20)


def noise(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)


@pytest.mark.parametrize("crops", [1, 10])
@pytest.mark.parametrize("preprocessing", [CAFFE, LITE], ids=["caffe", "lite"])
def test_views_of_frames_that_need_no_scaling_are_ours_to_the_bit(
    preprocessing: Preprocessing, crops: int
) -> None:
    frames = noise(3, 20, 27, 3)
    views = views_of_images(
        [Image.fromarray(frame) for frame in frames], preprocessing, crops=crops
    )
    snippets = torch.from_numpy(frames).permute(0, 3, 1, 2)
    ours = clips_of(snippets, crops=crops, preprocessing=preprocessing, modality="rgb")
    assert views.shape == (crops, 3, 3, 16, 16)
    torch.testing.assert_close(views, ours, rtol=0, atol=0)


def test_frames_are_scaled_as_ours_but_for_a_grey_level() -> None:
    frames = noise(2, 40, 60, 3)
    views = views_of_images([Image.fromarray(frame) for frame in frames], CAFFE, crops=1)
    snippets = resize_short_side(torch.from_numpy(frames).permute(0, 3, 1, 2), 20)
    ours = clips_of(snippets, crops=1, preprocessing=CAFFE, modality="rgb")
    torch.testing.assert_close(views, ours, rtol=0, atol=1)


def test_colours_are_turned_round_and_their_means_taken_away() -> None:
    red, green, blue = 10, 20, 30
    image = Image.new("RGB", (20, 20), (red, green, blue))
    [[crop]] = views_of_images([image], CAFFE, crops=1)
    assert crop[:, 0, 0].tolist() == [blue - 104, green - 117, red - 123]


def test_a_crop_that_is_turned_round_ends_with_what_it_began_with() -> None:
    frame = np.zeros((20, 20, 3), np.uint8)
    frame[:, :2] = 200
    views = views_of_images([Image.fromarray(frame)], LITE, crops=10)
    bright = [[bool(view[0, 0, 0, column] > 0) for column in (0, -1)] for view in views]
    # Upper left, upper right, lower left, lower right, centre: only those on the left see it.
    begins, ends, neither = [True, False], [False, True], [False, False]
    assert bright[:5] == [begins, neither, begins, neither, neither]
    assert bright[5:] == [ends, neither, ends, neither, neither]


def test_frames_are_stored_as_jpegs_of_one_size_and_numbered_from_one(tmp_path: Path) -> None:
    frames = np.stack([np.full((48, 64, 3), grey, np.uint8) for grey in (50, 150)])
    paths = store_frames(frames, tmp_path)
    assert [path.name for path in paths] == ["img_00001.jpg", "img_00002.jpg"]
    images = read_images(paths)
    assert [image.size for image in images] == [STORED, STORED]
    for image, grey in zip(images, (50, 150), strict=True):
        assert np.abs(np.asarray(image).astype(int) - grey).max() <= 1
    live = live_images(paths)
    levels = [round(float(np.asarray(next(live)).mean())) for _ in range(5)]
    assert levels == [50, 150, 50, 150, 50]


def test_the_network_keeps_its_normalization_and_lays_out_channel_by_channel() -> None:
    network = off_efficientnet_lite0(num_classes=3)
    original = as_original(network)
    norms = [module for module in original.modules() if isinstance(module, nn.BatchNorm2d)]
    assert len(norms) == len([m for m in network.modules() if isinstance(m, nn.BatchNorm2d)]) > 0
    assert not original.training
    assert all(weight.is_contiguous() for weight in original.parameters())
    maps = original.tsn.backbone(torch.rand(2, 3, 32, 32)).features
    assert maps.shape[1:] == (1280, 1, 1)
    kinds = [type(module) for module in original.branch.modules()]
    assert kinds == [type(module) for module in network.branch.modules()]


def test_answers_are_the_highest_over_views_of_which_the_mean_is_taken() -> None:
    torch.manual_seed(1)
    network = telling_apart(off_efficientnet_lite0(num_classes=3))
    views = torch.randn(2, 3, 3, 32, 32)
    with torch.inference_mode():
        expected = {
            head: logits.amax(dim=0).mean(dim=0)
            for head, logits in for_inference(network)(views).items()
        }
    answers = original_answers(as_original(network), views)
    assert {head: len(row) for head, row in answers.items()} == {"tsn": 3, "off7": 3, "off14": 3}
    torch.testing.assert_close(answers, expected, rtol=1e-3, atol=1e-4)
    heads = original_heads(as_original(network), views[0])
    assert [len(heads[head]) for head in ("tsn", "off7", "off14")] == [3, 2, 2]
