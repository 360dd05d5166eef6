"""A video that is written comes back, and appears only when it is complete."""

import numpy as np
import pytest

from marey.errors import UsageError
from marey.video import VideoReader, write_video


@pytest.mark.parametrize("name", ["a.mp4", "a.mkv", "a.avi", "A.MP4", "%d \n.mp4"])
@pytest.mark.parametrize("shape", [(1, 48, 64), (30, 64, 48), (7, 33, 47)])
def test_a_written_video_comes_back_nearly_the_same(name, shape, tmp_path, moving_frames):
    frames = np.full((*shape, 3), 90, np.uint8)
    frames[:, 8:24, 8:24] = (200, 60, 20)
    for t, frame in enumerate(frames):
        frame[16:, :4] = 3 * t
    path = tmp_path / name
    write_video(path, frames, fps=30000 / 1001)
    with VideoReader(path) as video:
        assert len(video) == shape[0]
        assert video.fps == pytest.approx(30000 / 1001, rel=0.02 if shape[0] < 30 else 1e-3)
        back = video.frames_at(range(shape[0])).astype(int)
        assert video.verdict().status == "ok"
    assert np.abs(back - frames).mean() < 4
    assert [entry.name for entry in tmp_path.iterdir()] == [name]


def test_a_writing_that_fails_leaves_the_old_film(tmp_path, moving_frames, monkeypatch):
    path = tmp_path / "a.mp4"
    path.write_bytes(b"old")

    def fail(*_):
        raise OSError("no space left")

    monkeypatch.setattr("marey.video._writer._encode", fail)
    with pytest.raises(OSError, match="no space"):
        write_video(path, moving_frames(3))
    assert path.read_bytes() == b"old"
    assert len(list(tmp_path.iterdir())) == 1


def test_an_ending_of_no_video_is_refused_with_those_that_are(tmp_path, moving_frames):
    with pytest.raises(UsageError, match=r"\.avi, \.mkv, \.mp4, got 'a\.txt'"):
        write_video(tmp_path / "a.txt", moving_frames(1))


def test_no_frame_makes_no_video(tmp_path, moving_frames):
    with pytest.raises(UsageError, match="no picture"):
        write_video(tmp_path / "a.mp4", moving_frames(1)[:0])


@pytest.mark.parametrize("fps", [0.0, -1.0, float("nan"), float("inf")])
def test_an_impossible_rate_is_refused(fps, tmp_path, moving_frames):
    with pytest.raises(UsageError, match="fps"):
        write_video(tmp_path / "a.mp4", moving_frames(1), fps=fps)


def test_the_codec_can_be_chosen(tmp_path, moving_frames):
    write_video(tmp_path / "a.avi", moving_frames(3), codec="libx264")
    write_video(tmp_path / "b.mp4", moving_frames(3), codec="mpeg4")
    for name in ("a.avi", "b.mp4"):
        with VideoReader(tmp_path / name) as video:
            assert len(video) == 3
