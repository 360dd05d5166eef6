from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from marey.data import SPANS, read_snippets
from marey.index import Index
from marey.video import open_video


class Counting:
    """A video whose frame t holds the values t, 50 + t and 100 + t, of which no frame is black."""

    def __init__(self, frames: int) -> None:
        self.frames = frames
        self.asked: list[int] = []

    def __len__(self) -> int:
        return self.frames

    def frames_at(self, indices: Sequence[int], /) -> np.ndarray:
        self.asked += indices
        colours = np.array(indices)[:, None] + np.array([0, 50, 100])
        return np.broadcast_to(colours[:, None, None], (len(indices), 2, 4, 3)).astype(np.uint8)


def test_frames_of_a_snippet_are_stacked_along_the_channels() -> None:
    snippets = read_snippets(Counting(10), np.array([1, 4]), span=2)
    assert snippets.shape == (2, 6, 2, 4)
    assert snippets[:, :, 0, 0].tolist() == [[1, 51, 101, 2, 52, 102], [4, 54, 104, 5, 55, 105]]
    assert (snippets == snippets[:, :, :1, :1]).all()


@given(
    frames=st.integers(1, 40),
    places=st.lists(st.integers(0, 39), min_size=1, max_size=8),
    span=st.sampled_from(sorted(SPANS.values())),
)
def test_any_places_are_read_right_and_every_frame_once(
    frames: int, places: list[int], span: int
) -> None:
    video = Counting(frames)
    snippets = read_snippets(video, np.array(places), span=span)
    expected = [[min(place + t, frames - 1) for t in range(span)] for place in places]
    assert snippets[:, ::3, 0, 0].tolist() == expected
    assert len(video.asked) == len(set(video.asked))


@pytest.mark.parametrize("span", sorted(SPANS.values()))
def test_a_real_video_is_read_as_its_frames_say(clips: Index, span: int) -> None:
    with open_video(clips.file(clips.entries[0])) as video:
        frames = video.frames_at(range(len(video)))
        snippets = read_snippets(video, np.array([3, 0, 12]), span=span)
    for snippet, place in zip(snippets, (3, 0, 12), strict=True):
        stacked = frames[place : place + span].transpose(0, 3, 1, 2)
        np.testing.assert_array_equal(snippet.numpy(), stacked.reshape(-1, 48, 64))
