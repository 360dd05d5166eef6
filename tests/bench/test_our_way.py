"""Our way in parts, which are those of the package put together."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from telling_networks import telling_apart

from marey.bench._ours import (
    FrameByFrame,
    answers,
    frames_of_video,
    live_frames,
    views_in_memory,
)
from marey.data import segment_centres
from marey.evaluation import Views, phases, score_snippets, snippets_of
from marey.models import (
    OFF,
    Network,
    for_inference,
    off_efficientnet_lite0,
    off_ordered_efficientnet_lite0,
    tsn_efficientnet_lite0,
)
from marey.video import open_video


def telling(network: Network, *, pace: int = 25) -> Network:
    torch.manual_seed(2)
    telling_apart(network)
    network.preprocessing = replace(network.preprocessing, size=32, short_side=40, pace=pace)
    return for_inference(network)


@pytest.mark.parametrize("crops", [1, 10])
@pytest.mark.parametrize("pace", [25, 2])
def test_the_parts_answer_as_a_test_does(
    film: Callable[[int], Path], crops: int, pace: int
) -> None:
    network = telling(off_efficientnet_lite0(num_classes=4), pace=pace)
    video, looks = film(9), Views(snippets=4, crops=crops)
    with open_video(video) as reader:
        snippets = snippets_of(
            reader, views=looks, preprocessing=network.preprocessing, modality="rgb"
        )
    expected = score_snippets(network, snippets, views=looks)
    found = answers(network, views_in_memory(frames_of_video(video, 4), network, crops=crops))
    assert found.keys() == expected.keys()
    for head, row in expected.items():
        np.testing.assert_allclose(found[head].numpy(), row, rtol=0, atol=0)


def test_frames_looked_at_are_those_in_the_middle_of_segments(film: Callable[[int], Path]) -> None:
    with open_video(film(9)) as reader:
        expected = reader.frames_at(segment_centres(9, segments=4).tolist())
    np.testing.assert_array_equal(frames_of_video(film(9), 4), expected)


def test_live_frames_are_those_of_the_video_again_and_again(film: Callable[[int], Path]) -> None:
    with open_video(film(3)) as reader:
        expected = reader.frames_at([0, 1, 2, 0, 1])
    live = live_frames(film(3))
    np.testing.assert_array_equal(np.stack([next(live) for _ in range(5)]), expected)


def test_a_stream_answers_as_the_network_does_to_the_last_snippets() -> None:
    network = telling(off_efficientnet_lite0(num_classes=4))
    stream = FrameByFrame(network, snippets=3, stride=1)
    snippets = torch.randn(5, 3, 32, 32)
    for end, snippet in enumerate(snippets, start=1):
        streamed = stream(snippet)
        if end < 2:
            assert list(streamed) == ["tsn"]
            continue
        with torch.inference_mode():
            whole = network(snippets[None, max(end - 3, 0) : end])
        expected = {head: logits[0].mean(dim=0) for head, logits in whole.items()}
        torch.testing.assert_close(streamed, expected, rtol=1e-3, atol=1e-4)


def test_pairs_of_a_stream_are_as_far_apart_as_is_wanted() -> None:
    network = telling(off_efficientnet_lite0(num_classes=4), pace=2)
    stream = FrameByFrame(network, snippets=4, stride=2)
    snippets = torch.randn(5, 3, 32, 32)
    for snippet in snippets:
        streamed = stream(snippet)
    # The last four are 1 to 4; pairs of them two apart are 1 and 3, 2 and 4.
    with torch.inference_mode():
        pairs = [network(snippets[None, ends]) for ends in ([1, 3], [2, 4])]
        frames = network.tsn(snippets[None, 1:])["tsn"][0]
    for head in ("off7", "off14"):
        mean = torch.stack([pair[head][0, 0] for pair in pairs]).mean(dim=0)
        torch.testing.assert_close(streamed[head], mean, rtol=1e-3, atol=1e-4)
    torch.testing.assert_close(streamed["tsn"], frames.mean(dim=0), rtol=1e-3, atol=1e-4)
    # The network as it is used elsewhere puts them together likewise.
    assert len(phases(network, 4)) == 2
    torch.testing.assert_close(streamed, answers(network, snippets[None, 1:]), rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize(("snippets", "pace"), [(6, 3), (5, 3), (2, 1), (4, 4)])
def test_a_stream_hears_the_order_as_a_test_does(snippets: int, pace: int) -> None:
    network = telling(off_ordered_efficientnet_lite0(num_classes=4), pace=pace)
    stream = FrameByFrame(network, snippets=snippets, stride=len(phases(network, snippets)))
    seen = torch.randn(snippets + 2, 3, 32, 32)
    for snippet in seen:
        streamed = stream(snippet)
    expected = answers(network, seen[None, 2:])
    torch.testing.assert_close(streamed, expected, rtol=1e-3, atol=1e-4)


def test_a_stream_of_a_network_without_motion_has_one_head() -> None:
    network = telling(tsn_efficientnet_lite0(num_classes=4))
    assert not isinstance(network, OFF)
    stream = FrameByFrame(network, snippets=2, stride=1)
    snippets = torch.randn(3, 3, 32, 32)
    for snippet in snippets:
        streamed = stream(snippet)
    with torch.inference_mode():
        expected = network(snippets[None, 1:])["tsn"][0].mean(dim=0)
    torch.testing.assert_close(streamed, {"tsn": expected}, rtol=1e-3, atol=1e-4)
