import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from marey.data import (
    caffe_draws,
    caffe_steps,
    frames_of,
    paced_draws,
    segment_centres,
    segment_draws,
)
from marey.errors import VideoError

lengths = st.integers(1, 600)
spans = st.sampled_from([1, 5, 6, 10])
seeds = st.integers(0, 2**32 - 1)


def places_of(frames: int, span: int) -> int:
    return max(frames - span + 1, 1)


@given(frames=lengths, count=st.integers(1, 30), span=spans, seed=seeds)
def test_every_rule_gives_as_many_places_as_asked_in_order_and_in_the_video(
    frames: int, count: int, span: int, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    for places in (
        segment_centres(frames, segments=count, span=span),
        segment_draws(frames, segments=count, span=span, rng=rng),
        paced_draws(frames, snippets=count, span=span, rng=rng),
        caffe_draws(frames, snippets=min(count, 25), span=span, rng=rng),
        caffe_steps(frames, snippets=max(count, 2), span=span),
    ):
        assert places.min() >= 0
        assert places.max() < places_of(frames, span)
    for places in (
        segment_centres(frames, segments=count, span=span),
        segment_draws(frames, segments=count, span=span, rng=rng),
        paced_draws(frames, snippets=count, span=span, rng=rng),
    ):
        assert len(places) == count
        assert (np.diff(places) >= 0).all()


@given(frames=st.integers(7, 600), seed=seeds)
def test_paced_snippets_never_repeat_a_frame_while_there_are_frames_enough(
    frames: int, seed: int
) -> None:
    places = paced_draws(frames, snippets=7, rng=np.random.default_rng(seed))
    assert (np.diff(places) >= 1).all()


@given(frames=st.integers(25, 600), seed=seeds)
def test_paced_snippets_are_a_25th_of_the_video_apart(frames: int, seed: int) -> None:
    gaps = np.diff(paced_draws(frames, snippets=7, rng=np.random.default_rng(seed)))
    assert (np.abs(gaps - frames / 25) < 1).all()


def test_paced_snippets_start_anywhere_they_fit() -> None:
    # 50 frames, steps of 2: seven snippets span 12 frames, so starts are 0..37.
    rng = np.random.default_rng(0)
    starts = {int(paced_draws(50, snippets=7, rng=rng)[0]) for _ in range(2000)}
    assert starts == set(range(38))


def test_a_video_of_seven_frames_is_seen_whole() -> None:
    rng = np.random.default_rng(0)
    assert paced_draws(7, snippets=7, rng=rng).tolist() == [0, 1, 2, 3, 4, 5, 6]


def test_in_a_video_of_three_frames_seven_snippets_spread_over_all() -> None:
    places = paced_draws(3, snippets=7, rng=np.random.default_rng(0)).tolist()
    assert set(places) == {0, 1, 2}


def test_centres_of_three_thirds() -> None:
    assert segment_centres(9, segments=3).tolist() == [1, 4, 7]


def test_the_test_rule_of_25_snippets_on_100_frames() -> None:
    assert segment_centres(100, segments=25).tolist() == list(range(2, 100, 4))


@given(frames=st.integers(1, 300), segments=st.integers(1, 25), seed=seeds)
def test_a_random_snippet_lies_in_its_own_segment(frames: int, segments: int, seed: int) -> None:
    places = segment_draws(frames, segments=segments, rng=np.random.default_rng(seed))
    edges = np.arange(segments + 1) * frames / segments
    assert (places >= np.floor(edges[:-1])).all()
    assert (places <= edges[1:]).all()


def test_caffe_counts_whole_steps_from_the_first_frame() -> None:
    # 100 frames, one frame a snippet: steps of (100 - 1) // 24 = 4.
    assert caffe_steps(100).tolist() == list(range(0, 100, 4))


def test_caffe_never_takes_the_last_place() -> None:
    assert caffe_steps(25).tolist() == [*range(24), 23]


@given(frames=st.integers(49, 600), seed=seeds)
def test_caffe_draws_each_snippet_within_its_own_step(frames: int, seed: int) -> None:
    step = (frames - 1) // 24
    slots = caffe_draws(frames, rng=np.random.default_rng(seed)) // step
    assert (np.diff(slots) == 1).all() or slots.max() == (frames - 1) // step


def test_caffe_can_draw_every_start_slot() -> None:
    rng = np.random.default_rng(0)
    # 241 frames: steps of 10, so a place's tens are its slot.
    first = {int(caffe_draws(241, rng=rng)[0]) // 10 for _ in range(2000)}
    assert first == set(range(19))


def test_a_short_video_still_has_motion_under_the_caffe_rule() -> None:
    places = caffe_draws(20, rng=np.random.default_rng(0))
    assert (np.diff(places) >= 1).all()


def test_the_same_generator_draws_the_same_places() -> None:
    draws = [paced_draws(100, rng=np.random.default_rng(3)).tolist() for _ in range(2)]
    assert draws[0] == draws[1]


def test_a_snippet_longer_than_its_video_repeats_the_last_frame() -> None:
    places = segment_centres(4, segments=1, span=6)
    assert frames_of(places, frames=4, span=6).tolist() == [[0, 1, 2, 3, 3, 3]]


def test_no_frames_no_snippets() -> None:
    with pytest.raises(VideoError, match="without frames"):
        segment_centres(0, segments=3)
