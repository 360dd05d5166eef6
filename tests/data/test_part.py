from itertools import pairwise

import numpy as np
import pytest

from marey.data import part_of
from marey.errors import VideoError
from marey.index import Index
from marey.video import open_video

# The films have 20 frames, 10 a second: frame t is shown from t / 10 s on.


@pytest.mark.parametrize(
    ("start", "end", "first", "frames"),
    [
        (None, None, 0, 20),
        (0.0, 2.0, 0, 20),
        (0.5, None, 5, 15),
        (None, 0.5, 0, 5),
        (0.5, 1.0, 5, 5),
        (0.3, 0.7, 3, 4),  # 0.3 * 10 is a little more than 3 in binary
        (0.41, 0.59, 5, 1),
        (0.4, 0.51, 4, 2),
        (1.5, 99.0, 15, 5),
    ],
)
def test_a_part_holds_the_frames_shown_from_start_until_just_before_end(
    clips: Index, start: float | None, end: float | None, first: int, frames: int
) -> None:
    with open_video(clips.file(clips.entries[0])) as video:
        part = part_of(video, start=start, end=end)
        assert len(part) == frames
        np.testing.assert_array_equal(
            part.frames_at([0, frames - 1]), video.frames_at([first, first + frames - 1])
        )


def test_parts_side_by_side_share_no_frame_and_miss_none(clips: Index) -> None:
    edges = [0.0, 0.13, 0.4, 0.55, 1.2, 2.0]
    with open_video(clips.file(clips.entries[0])) as video:
        parts = [part_of(video, start=a, end=b) for a, b in pairwise(edges)]
    assert sum(map(len, parts)) == 20


@pytest.mark.parametrize("place", [-1, 5])
def test_no_frame_beyond_a_part_is_read(clips: Index, place: int) -> None:
    with open_video(clips.file(clips.entries[0])) as video:
        part = part_of(video, start=0.5, end=1.0)
        with pytest.raises(IndexError, match=rf"0\.avi: no frame {place} in a part of 5 frames"):
            part.frames_at([0, place])


@pytest.mark.parametrize(("start", "end"), [(2.0, None), (3.0, 4.0), (0.51, 0.59)])
def test_a_part_without_a_frame_is_refused_by_name(
    clips: Index, start: float, end: float | None
) -> None:
    with (
        open_video(clips.file(clips.entries[0])) as video,
        pytest.raises(VideoError, match=r"0\.avi: .*the video lasts 2\.00 s"),
    ):
        part_of(video, start=start, end=end)
