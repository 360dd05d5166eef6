"""When the frames of a video are shown."""

import numpy as np
import pytest

from marey.video import FrameFolder, VideoReader

RATE = 25


@pytest.fixture(params=[False, True], ids=["short", "long"], autouse=True)
def treatment(request, monkeypatch):
    """Treat the little films of the tests as if they were long, too."""
    if request.param:
        monkeypatch.setattr("marey.video._reader._DECODED_WHOLE_PIXELS", 0)


@pytest.mark.parametrize("kind", ["mp4 with b-frames", "mkv", "plain avi", "transport stream"])
def test_frames_at_a_steady_rate_follow_each_other_at_it(films, kind):
    with VideoReader(films[kind]) as video:
        expected = np.arange(len(video) + 1) / RATE
        assert video.times() == pytest.approx(expected, abs=2e-3)


def test_time_stamps_say_when_frames_of_a_varying_rate_are_shown(films):
    with VideoReader(films["variable rate"]) as video:
        frames = len(video)
        expected = np.arange(frames) ** 2 / RATE
        assert video.times()[:-1] == pytest.approx(expected, abs=1e-3)
        assert video.times()[-1] > expected[-1]


def test_a_film_that_begins_late_is_counted_from_its_first_frame(encode, moving_frames, tmp_path):
    late = encode(tmp_path / "late.mkv", moving_frames(6), stamps=list(range(50, 56)))
    with VideoReader(late) as video:
        assert video.times() == pytest.approx(np.arange(7) / RATE, abs=2e-3)


def test_a_single_frame_lasts_as_long_as_its_rate_says(films):
    with VideoReader(films["one frame"]) as video:
        assert video.times() == pytest.approx([0, 1 / video.fps])


def test_images_of_a_folder_follow_each_other_at_the_rate_given(
    encode_jpeg, moving_frames, tmp_path
):
    for number, frame in enumerate(moving_frames(3)):
        (tmp_path / f"img_{number:05}.jpg").write_bytes(encode_jpeg(frame))
    assert FrameFolder(tmp_path, fps=10.0).times() == pytest.approx([0, 0.1, 0.2, 0.3])
