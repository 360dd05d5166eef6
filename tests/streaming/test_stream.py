"""Frames pushed one by one give the answer of the whole clip at once."""

import math

import numpy as np
import pytest
import torch
from small_films import FUSION, SIZE
from telling_networks import telling_apart

import marey
from marey.data import normalise
from marey.errors import UsageError
from marey.evaluation import fuse_heads
from marey.models import (
    OFF,
    Network,
    off_ordered_efficientnet_lite0,
    off_pooled_efficientnet_lite0,
    tsn_efficientnet_lite0,
)
from marey.streaming import Stream


def film(frames: int) -> np.ndarray:
    """Frames already of the size that the network sees, none like another."""
    rng = np.random.default_rng(5)
    noise = rng.integers(0, 256, (frames, SIZE, SIZE, 3), dtype=np.uint8)
    brightness = np.linspace(0.2, 1, frames)[:, None, None, None]
    return (noise * brightness).astype(np.uint8)


def whole(network: Network, frames: np.ndarray, distance: int, half_life: float) -> np.ndarray:
    """Return the probabilities of a clip that is seen at once; `half_life` counts snippets."""
    pictures = torch.from_numpy(frames).movedim(-1, 1)
    clip = normalise(pictures, network.preprocessing, modality=network.modality)[None]
    count = len(frames)
    with torch.inference_mode():
        found = {"tsn": (network(clip)["tsn"][0], torch.arange(count))}
        for head in network.branch.heads:
            # Each start in turn, as a test of a whole video does.
            parts = [network(clip[:, first::distance])[head][0] for first in range(distance)]
            ends = [torch.arange(count)[first::distance][1:] for first in range(distance)]
            found[head] = (torch.cat(parts), torch.cat(ends))
    heads = {}
    for head, (logits, ends) in found.items():
        weights = 0.5 ** ((count - 1 - ends) / half_life)
        heads[head] = ((weights[:, None] * logits).sum(0) / weights.sum()).numpy()
    fused = fuse_heads(heads, {head: FUSION[head] for head in heads})
    raised = np.exp(fused - fused.max())
    return raised / raised.sum()


def pushed(stream: Stream, frames: np.ndarray, step: float) -> list[marey.Prediction | None]:
    return [stream.push(frame, 3.0 + number * step) for number, frame in enumerate(frames)]


def by_class(prediction: marey.Prediction | None) -> list[float]:
    assert prediction is not None
    return [p for _, p in sorted(zip(prediction.labels, prediction.probabilities, strict=True))]


@pytest.mark.parametrize(("pace", "distance"), [(8, 3), (25, 1), (4, 6)])
@pytest.mark.parametrize("half_life", [math.inf, 0.5])
def test_the_last_answer_is_that_of_the_whole_clip(
    telling_network: OFF, kept, pace: int, distance: int, half_life: float
) -> None:
    window, snippets = 2.0, 25
    path = kept(telling_network, pace)
    stream = marey.Stream(path, window=window, half_life=half_life)
    frames = film(snippets)
    answers = pushed(stream, frames, window / snippets)
    expected = whole(telling_network, frames, distance, half_life / (window / snippets))
    assert by_class(answers[-1]) == pytest.approx(expected.tolist(), abs=1e-5)
    # Were the order of frames, or their number, all the same, this would show nothing.
    backwards = whole(telling_network, frames[::-1].copy(), distance, half_life * 12.5)
    assert np.abs(backwards - expected).max() > 1e-3


@pytest.mark.parametrize("build", [off_pooled_efficientnet_lite0, off_ordered_efficientnet_lite0])
def test_the_last_answer_of_a_branch_that_pools_is_that_of_the_whole_clip(build, kept) -> None:
    torch.manual_seed(6)
    network = telling_apart(build(num_classes=3))
    assert isinstance(network, OFF)
    stream = marey.Stream(kept(network), window=2.0, half_life=math.inf)
    frames = film(25)
    answers = pushed(stream, frames, 2.0 / 25)
    expected = whole(network, frames, 3, math.inf)
    assert by_class(answers[-1]) == pytest.approx(expected.tolist(), abs=1e-5)


def test_a_window_moves_on_and_forgets(telling_network: OFF, kept) -> None:
    path = kept(telling_network)
    frames = film(60)
    long, short = (Stream(path, window=1.0, half_life=math.inf) for _ in range(2))
    for number, frame in enumerate(frames):
        last = long.push(frame, number / 25)
    # Pairs that end in the window begin up to three frames before it, in a moving one.
    for number in range(60 - 25 - 3, 60):
        late = short.push(frames[number], number / 25)
    assert by_class(last) == pytest.approx(by_class(late), abs=1e-5)
    assert last is not None
    assert last.segments[0].start == pytest.approx((60 - 25) / 25)
    assert last.segments[0].end == pytest.approx(59 / 25)


def test_frames_between_those_looked_at_pass_unseen(telling_network: OFF, kept) -> None:
    stream = Stream(kept(telling_network), window=2.0)
    answers = pushed(stream, film(50), 0.02)
    looked_at = [number for number, answer in enumerate(answers) if answer is not None]
    assert looked_at == list(range(0, 50, 4))


def test_slow_frames_are_all_looked_at_and_compared_with_the_nearest(
    telling_network: OFF, kept
) -> None:
    stream = Stream(kept(telling_network), window=1.0, half_life=math.inf)
    frames = film(6)
    # Pairs should be 0.125 s apart, but frames come 0.1 s apart only: neighbours are nearest.
    answers = pushed(stream, frames, 0.1)
    expected = whole(telling_network, frames, 1, math.inf)
    assert by_class(answers[-1]) == pytest.approx(expected.tolist(), abs=1e-5)


@pytest.mark.parametrize("jump", [-1.0, 100.0])
def test_time_that_jumps_begins_a_new_stream(telling_network: OFF, kept, jump: float) -> None:
    path = kept(telling_network)
    frames = film(20)
    jumped, fresh = Stream(path, window=1.0), Stream(path, window=1.0)
    pushed(jumped, frames[:10], 0.04)
    for number in range(10, 20):
        last = jumped.push(frames[number], 3.36 + jump + number * 0.04)
        late = fresh.push(frames[number], number * 0.04)
    assert by_class(last) == pytest.approx(by_class(late), abs=1e-6)


def test_a_tsn_on_differences_sees_six_frames_from_each_start(kept) -> None:
    network = tsn_efficientnet_lite0(num_classes=3, modality="rgbdiff")
    telling_apart(network)
    frames = film(16)
    stream = Stream(kept(network), window=1.0, half_life=math.inf)
    answers = pushed(stream, frames, 0.02)
    assert [number for number, answer in enumerate(answers) if answer] == [5, 7, 9, 11, 13, 15]
    starts = [0, 2, 4, 6, 8, 10]
    stacked = np.stack([np.concatenate(list(frames[s : s + 6]), axis=-1) for s in starts])
    clip = normalise(
        torch.from_numpy(stacked).movedim(-1, 1), network.preprocessing, modality="rgbdiff"
    )
    with torch.inference_mode():
        expected = network(clip[None])["tsn"][0].mean(dim=0).softmax(dim=0)
    assert by_class(answers[-1]) == pytest.approx(expected.tolist(), abs=1e-5)


def test_what_cannot_be_streamed_is_refused(telling_network: OFF, kept) -> None:
    flow = tsn_efficientnet_lite0(num_classes=3, modality="flow")
    with pytest.raises(UsageError, match="takes longer to compute than to watch"):
        Stream(kept(flow))
    for window in (0.0, -1.0, math.nan, math.inf):
        with pytest.raises(UsageError, match="window must be some seconds"):
            Stream(kept(telling_network), window=window)
    with pytest.raises(UsageError, match="half-life"):
        Stream(kept(telling_network), half_life=0.0)
