from functools import partial
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.utils.data import default_collate

from marey.data import (
    EpochOrder,
    Key,
    Preprocessing,
    Sample,
    SnippetDataset,
    floats_of,
    paced_draws,
    segment_draws,
)
from marey.index import Index

CPU = torch.device("cpu")
SMALL = Preprocessing(colour="rgb", mean=(127.0,), std=(128.0,), size=32)


def dataset(index: Index, *, seed: int = 0, modality: str = "rgb", **rule: Any) -> SnippetDataset:
    draw = partial(segment_draws, segments=3)
    return SnippetDataset(
        index, modality=modality, preprocessing=SMALL, draw=rule.get("draw", draw), seed=seed
    )


def clip_of(data: SnippetDataset, epoch: int, number: int) -> torch.Tensor:
    clip = data[Key(epoch, number)].clip
    assert isinstance(clip, torch.Tensor)
    return clip


def test_a_sample_is_what_the_network_wants(clips: Index) -> None:
    sample = dataset(clips)[Key(0, 1)]
    assert isinstance(sample.clip, torch.Tensor)
    assert sample.clip.shape == (3, 3, 32, 32)
    assert sample.clip.dtype == torch.uint8
    seen = floats_of(default_collate([sample]), SMALL, modality="rgb", device=CPU)
    assert seen.dtype == torch.float32
    assert -1 <= float(seen.min()) < float(seen.max()) <= 1
    assert (sample.label, sample.number) == (1, 1)


def test_rgb_difference_comes_as_six_frames(clips: Index) -> None:
    assert clip_of(dataset(clips, modality="rgbdiff"), 0, 0).shape == (3, 18, 32, 32)


def test_a_sample_depends_on_seed_pass_and_video(clips: Index) -> None:
    one = clip_of(dataset(clips), 0, 0)
    assert torch.equal(one, clip_of(dataset(clips), 0, 0))
    assert not torch.equal(one, clip_of(dataset(clips, seed=1), 0, 0))
    assert not torch.equal(one, clip_of(dataset(clips), 1, 0))


def test_a_sample_does_not_depend_on_what_else_the_index_holds(clips: Index) -> None:
    turned = Index(clips.root, clips.entries[:0:-1], clips.classes)
    for number, entry in enumerate(turned.entries):
        there = clips.entries.index(entry)
        assert torch.equal(clip_of(dataset(turned), 2, number), clip_of(dataset(clips), 2, there))


def test_a_stretch_is_another_video_than_the_whole(clips: Index) -> None:
    data = dataset(clips)
    assert data.name_of(3) == "3.avi"
    assert data.name_of(4) == "3.avi from 0.5 to 1.0"
    assert len(data) == 5
    assert not torch.equal(clip_of(data, 0, 3), clip_of(data, 0, 4))


def test_about_half_of_the_samples_are_mirrored(clips: Index) -> None:
    data = dataset(clips)
    turned = [data[Key(epoch, 0)].mirrored for epoch in range(60)]
    # Four standard deviations around the half.
    assert 15 < sum(turned) < 45


@pytest.mark.parametrize("modality", ["rgb", "rgbdiff", "flow"])
def test_those_of_a_batch_that_are_mirrored_and_no_others_are_turned_once_they_are_floats(
    modality: str,
) -> None:
    channels = {"rgb": 3, "rgbdiff": 18, "flow": 10}[modality]
    snippets = torch.randint(0, 256, (3, 2, channels, 32, 32), dtype=torch.uint8)
    samples = [
        Sample(clip, label=0, number=number, mirrored=number != 1)
        for number, clip in enumerate(snippets)
    ]
    seen = floats_of(default_collate(samples), SMALL, modality=modality, device=CPU)
    plain = (snippets.float() - 127) / 128
    assert torch.equal(seen[1], plain[1])
    for number in (0, 2):
        turned = plain[number].flip(-1)
        if modality == "flow":
            turned[:, 0::2] *= -1
        assert torch.equal(seen[number], turned)


def test_any_number_of_workers_draws_the_same_in_the_same_order(clips: Index) -> None:
    data = dataset(clips, draw=partial(paced_draws, snippets=2))
    order = list(EpochOrder(len(data), seed=0, epoch=1))
    pieces = [order[:2], order[2:4], order[4:]]
    several = [
        list(torch.utils.data.DataLoader(data, batch_sampler=pieces, num_workers=workers))
        for workers in (0, 1, 2)
    ]
    for batches in several[1:]:
        for batch, expected in zip(batches, several[0], strict=True):
            assert torch.equal(batch.clip, expected.clip)
            assert batch.mirrored.tolist() == expected.mirrored.tolist()
            assert batch.number.tolist() == expected.number.tolist()
            assert batch.label.tolist() == expected.label.tolist()


@given(videos=st.integers(1, 60), seed=st.integers(0, 2**40), epoch=st.integers(0, 500))
def test_each_pass_sees_every_video_once(videos: int, seed: int, epoch: int) -> None:
    order = list(EpochOrder(videos, seed=seed, epoch=epoch))
    assert sorted(order) == [Key(epoch, number) for number in range(videos)]


@given(videos=st.integers(1, 60), start=st.integers(0, 60))
def test_what_is_left_of_a_pass_is_its_end(videos: int, start: int) -> None:
    whole = list(EpochOrder(videos, seed=3, epoch=2))
    assert list(EpochOrder(videos, seed=3, epoch=2, start=start)) == whole[start:]


def test_passes_and_seeds_have_orders_of_their_own() -> None:
    orders = {
        tuple(key.number for key in EpochOrder(50, seed=seed, epoch=epoch))
        for seed in range(3)
        for epoch in range(3)
    }
    assert len(orders) == 9
