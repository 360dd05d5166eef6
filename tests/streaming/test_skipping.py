"""Frames that a stream does not need may stay away."""

import numpy as np
import pytest
from small_films import SIZE
from telling_networks import telling_apart

import marey
from marey.models import OFF, Network, tsn_efficientnet_lite0
from marey.streaming import Stream


def both_ways(
    kept, network: Network, times: list[float], window: float
) -> tuple[list[marey.Prediction | None], list[marey.Prediction | None], int]:
    """Push all frames, or only those wanted; return the answers and how many were wanted."""
    path = kept(network)
    whole, sparing = Stream(path, window=window), Stream(path, window=window)
    rng = np.random.default_rng(3)
    frames = rng.integers(0, 256, (len(times), SIZE, SIZE, 3), dtype=np.uint8)
    pushed = [whole.push(frame, time) for frame, time in zip(frames, times, strict=True)]
    answers: list[marey.Prediction | None] = []
    wanted = 0
    for frame, time in zip(frames, times, strict=True):
        if sparing.wants(time):
            wanted += 1
            answers.append(sparing.push(frame, time))
        else:
            sparing.skip(time)
            answers.append(None)
    return pushed, answers, wanted


def test_skipping_what_is_not_wanted_changes_no_answer(telling_network: OFF, kept) -> None:
    # A jump of 0.9 s after a frame that is not wanted is none after the one before.
    times = [0.0, 0.03, 0.04, 0.05, 0.09, 0.1, 0.11, 1.05, 1.06, 3.0, 3.01, 2.0, 2.02, 2.05]
    pushed, answers, wanted = both_ways(kept, telling_network, times, window=1.0)
    assert answers == pushed
    assert wanted == sum(answer is not None for answer in answers) < len(times)


def test_differences_want_six_frames_from_each_start(kept) -> None:
    network = tsn_efficientnet_lite0(num_classes=3, modality="rgbdiff")
    telling_apart(network)
    times = [number * 0.02 for number in range(18)]
    pushed, answers, wanted = both_ways(kept, network, times, window=5.0)
    assert answers == pushed
    # Every 0.2 s, so from frames 0 and 10.
    assert wanted == 12
    assert [number for number, answer in enumerate(answers) if answer] == [5, 15]


def test_pictures_of_the_right_size_are_taken_as_they_are(telling_network: OFF, kept) -> None:
    assert Stream(kept(telling_network)).short_side == SIZE


@pytest.mark.parametrize("time", [0.04, 2.5, -1.0])
def test_what_begins_a_new_stream_is_wanted(telling_network: OFF, kept, time: float) -> None:
    stream = Stream(kept(telling_network), window=1.0)
    stream.push(np.zeros((SIZE, SIZE, 3), np.uint8), 0.0)
    assert stream.wants(time)
    assert not stream.wants(0.02)
