from collections.abc import Sequence
from dataclasses import replace
from typing import Literal

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.testing import assert_close

from marey.data import Preprocessing, normalise, ten_crops
from marey.evaluation import Views, clips_of, phases, score_snippets, snippets_of
from marey.evaluation._views import usual_frames_at_once
from marey.models import SNIPPET_CHANNELS, Network, build_model

LITE = Preprocessing(colour="rgb", mean=(127.0,), std=(128.0,), size=16, short_side=16)
RGB = Preprocessing(colour="rgb", mean=(0.0,), std=(1.0,))


class Numbered:
    """A video whose every pixel is its frame's number."""

    def __init__(self, frames: int, height: int = 256, width: int = 320) -> None:
        self.frames = frames
        self.shape = (height, width, 3)

    def __len__(self) -> int:
        return self.frames

    def frames_at(self, indices: Sequence[int], /) -> np.ndarray:
        return np.stack([np.full(self.shape, index, dtype=np.uint8) for index in indices])


def noise(*shape: int) -> torch.Tensor:
    return torch.randint(0, 256, shape, dtype=torch.uint8)


def seen(frames: int, **options: int) -> list[int]:
    snippets = snippets_of(
        Numbered(frames), views=Views(**options), preprocessing=RGB, modality="rgb"
    )
    return [int(number) for number in snippets[:, 0, 0, 0]]


def test_a_long_video_is_seen_at_the_centres_of_25_segments() -> None:
    assert seen(100) == list(range(2, 100, 4))


def test_a_short_video_is_seen_once_frame_by_frame() -> None:
    assert seen(10) == list(range(10))


def test_a_single_frame_is_seen_twice_for_there_must_be_a_pair() -> None:
    assert seen(1) == [0, 0]


def test_six_frames_of_a_snippet_are_stacked_in_order() -> None:
    snippets = snippets_of(
        Numbered(6), views=Views(snippets=1), preprocessing=RGB, modality="rgbdiff"
    )
    assert snippets[0, ::3, 0, 0].tolist() == [0, 1, 2, 3, 4, 5]


def test_snippets_stay_bytes_until_they_are_where_the_network_is() -> None:
    snippets = snippets_of(Numbered(4), views=Views(), preprocessing=LITE, modality="rgb")
    assert snippets.dtype == torch.uint8
    clips = clips_of(snippets, crops=1, preprocessing=LITE, modality="rgb")
    assert clips.dtype == torch.float32
    assert clips[0, :, 0, 0, 0].tolist() == [(number - 127) / 128 for number in range(4)]


@given(
    height=st.integers(16, 40),
    width=st.integers(16, 40),
    modality=st.sampled_from(["rgb", "rgbdiff", "flow"]),
    colour=st.sampled_from(["rgb", "bgr"]),
)
def test_crops_are_the_same_bits_whether_cut_before_or_after_they_are_normalised(
    height: int, width: int, modality: str, colour: Literal["rgb", "bgr"]
) -> None:
    mean = (128.0,) if modality == "flow" else (104.0, 117.0, 123.0)
    wants = Preprocessing(colour=colour, mean=mean, std=(57.0,), size=16, short_side=16)
    snippets = noise(2, SNIPPET_CHANNELS[modality], height, width)
    floats = normalise(snippets, wants, modality=modality)
    ten = clips_of(snippets, crops=10, preprocessing=wants, modality=modality)
    assert torch.equal(ten, ten_crops(floats, size=16, modality=modality))
    (centre,) = clips_of(snippets, crops=1, preprocessing=wants, modality=modality)
    assert torch.equal(centre, ten[4])


class Counting:
    """A network that only keeps how many crops it was shown at once."""

    modality, preprocessing, sees_motion = "rgb", LITE, False
    device = torch.device("cpu")

    def __init__(self) -> None:
        self.seen: list[int] = []

    def __call__(self, clips: torch.Tensor) -> dict[str, torch.Tensor]:
        self.seen.append(len(clips))
        return {"tsn": torch.zeros(len(clips), clips.shape[1], 2)}


@pytest.mark.parametrize(
    ("asked", "seen"), [(None, [2] * 5), (250, [10]), (100, [4, 4, 2]), (1, [1] * 10)]
)
def test_as_many_crops_are_seen_at_once_as_asked_for(asked: int | None, seen: list[int]) -> None:
    network = Counting()
    score_snippets(network, noise(25, 3, 16, 16), views=Views(), frames_at_once=asked)
    assert network.seen == seen


def test_a_gpu_sees_all_crops_of_a_video_at_once() -> None:
    assert usual_frames_at_once(torch.device("cuda", 1)) == 25 * 10
    assert usual_frames_at_once(torch.device("cpu")) == 50


@pytest.fixture(scope="module")
def network() -> Network:
    torch.manual_seed(0)
    model = build_model("tsn_efficientnet_lite0", num_classes=4).eval()
    torch.nn.init.normal_(model.head.weight)
    return model


def test_views_are_looked_at_in_parts_without_changing_the_answer(network: Network) -> None:
    snippets = noise(2, 3, 256, 280)
    answers = [
        score_snippets(network, snippets, views=Views(), frames_at_once=frames)["tsn"]
        for frames in (1, 6, 100)
    ]
    np.testing.assert_allclose(answers[0], answers[1], rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(answers[0], answers[2], rtol=1e-4, atol=1e-4)


def test_the_answer_is_the_maximum_over_crops_then_the_mean_over_snippets(
    network: Network,
) -> None:
    snippets = noise(2, 3, 256, 280)
    with torch.inference_mode():
        floats = normalise(snippets, network.preprocessing, modality="rgb")
        logits = network(ten_crops(floats, size=224, modality="rgb"))["tsn"]
    for rule, over_crops in (("max", logits.amax(0)), ("mean", logits.mean(0))):
        answer = score_snippets(network, snippets, views=Views(over_crops=rule))["tsn"]
        assert_close(torch.from_numpy(answer), over_crops.mean(0), rtol=1e-4, atol=1e-4)


def test_one_crop_is_the_centre(network: Network) -> None:
    snippets = noise(2, 3, 256, 280)
    outside = snippets.clone()
    outside[..., :16, :] = 0
    outside[..., :28] = 0
    answers = [
        score_snippets(network, clip, views=Views(crops=1))["tsn"] for clip in (snippets, outside)
    ]
    np.testing.assert_allclose(*answers)


@pytest.fixture(scope="module")
def off() -> Network:
    torch.manual_seed(0)
    model = build_model("off_efficientnet_lite0", num_classes=4).eval()
    torch.nn.init.normal_(model.branch.level7.head.weight)
    return model


@given(snippets=st.integers(2, 60), pace=st.integers(2, 60))
def test_each_snippet_is_seen_once_and_never_alone(off: Network, snippets: int, pace: int) -> None:
    off.preprocessing = replace(off.preprocessing, pace=pace)
    seen = [list(range(snippets))[together] for together in phases(off, snippets)]
    assert sorted(number for together in seen for number in together) == list(range(snippets))
    assert all(len(together) >= 2 for together in seen)


def test_pairs_are_as_far_apart_as_the_network_has_learnt(off: Network) -> None:
    # 25 snippets of a network that learnt from pairs an eighth of the video apart.
    off.preprocessing = replace(off.preprocessing, pace=8)
    assert phases(off, 25) == [slice(0, None, 3), slice(1, None, 3), slice(2, None, 3)]
    off.preprocessing = replace(off.preprocessing, pace=25)
    assert phases(off, 25) == [slice(0, None, 1)]


def test_logits_of_far_pairs_are_those_of_every_second_snippet(off: Network) -> None:
    off.preprocessing = replace(off.preprocessing, pace=3)
    snippets = noise(6, 3, 256, 256)
    answer = score_snippets(off, snippets, views=Views(crops=1))
    floats = normalise(snippets, off.preprocessing, modality="rgb")
    clip = floats[None, ..., 16:240, 16:240]
    with torch.inference_mode():
        pairs = torch.cat([off(clip[:, start::2])["off7"][0] for start in (0, 1)])
        alone = off(clip)["tsn"][0]
    np.testing.assert_allclose(answer["off7"], pairs.mean(0), rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(answer["tsn"], alone.mean(0), rtol=1e-4, atol=1e-4)
