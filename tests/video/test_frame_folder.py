"""A folder of numbered images reads like a film."""

import av
import numpy as np
import pytest

from marey.errors import UsageError, VideoError
from marey.video import FrameFolder, check_video


@pytest.fixture
def pictures(moving_frames):
    return moving_frames(12)


@pytest.fixture
def store(tmp_path, pictures, encode_jpeg):
    def write(numbers, name="img_{:05d}.jpg"):
        for picture, number in zip(pictures, numbers, strict=False):
            (tmp_path / name.format(number)).write_bytes(encode_jpeg(picture))
        return tmp_path

    return write


def by_file(path):
    with av.open(str(path)) as container:
        return next(container.decode(video=0)).to_ndarray(format="rgb24")


@pytest.mark.parametrize("start", [0, 1])
def test_images_are_frames_in_the_order_of_their_numbers(start, store):
    folder = store(range(start, start + 12))
    truth = np.stack([by_file(folder / f"img_{n:05d}.jpg") for n in range(start, start + 12)])
    with FrameFolder(folder, fps=30.0) as video:
        assert len(video) == 12
        assert video.fps == 30
        assert (video.height, video.width) == (48, 64)
        np.testing.assert_array_equal(video.frames_at([11, 0, 3, 3]), truth[[11, 0, 3, 3]])
        np.testing.assert_array_equal(video[-1], truth[-1])
        verdict = video.verdict()
        assert (verdict.status, verdict.reason, verdict.frames) == ("ok", "", 12)
        assert "12 frames of 64x48" in repr(video)


def test_the_decoded_picture_is_the_one_that_was_stored(store, pictures):
    difference = FrameFolder(store(range(12)))[4].astype(int) - pictures[4]
    assert np.abs(difference).mean() < 20


def test_numbers_beyond_the_padding_still_count(store):
    video = FrameFolder(store([99998, 99999, 100000]))
    assert len(video) == 3
    assert "do not start at 0 or 1" in video.verdict().reason


def test_a_gap_is_damage_that_names_the_missing_numbers(store):
    video = FrameFolder(store([1, 2, 5, 6, 8]))
    verdict = video.verdict()
    assert len(video) == verdict.frames == 5
    assert verdict.status == "damaged"
    assert "images are missing (first: number 3 to 4, 2 in all)" in verdict.reason


def test_an_image_that_is_empty_or_something_else_is_left_out(store):
    folder = store(range(1, 9))
    (folder / "img_00001.jpg").write_bytes(b"")
    (folder / "img_00004.jpg").write_bytes(b"<html>")
    verdict = check_video(folder)
    assert len(FrameFolder(folder)) == verdict.frames == 6
    assert verdict.status == "damaged"
    assert "an image is empty (img_00001.jpg)" in verdict.reason
    assert "neither JPEG nor PNG (img_00004.jpg)" in verdict.reason


def test_an_image_cut_short_is_damage(store):
    folder = store(range(1, 9))
    image = folder / "img_00004.jpg"
    image.write_bytes(image.read_bytes()[:-300])
    verdict = check_video(folder)
    assert verdict.status == "damaged"
    assert "img_00004.jpg" in verdict.reason
    assert FrameFolder(folder).frames_at(range(8)).shape == (8, 48, 64, 3)


def test_an_image_without_a_picture_is_named_when_it_is_asked_for(store):
    folder = store(range(1, 9))
    (folder / "img_00004.jpg").write_bytes(b"\xff\xd8\xff\xd9")
    video = FrameFolder(folder)
    with pytest.raises(VideoError, match=r"img_00004\.jpg does not decode"):
        video[3]
    assert video[4].shape == (48, 64, 3)
    assert video.verdict().frames == 7


def test_images_of_another_size_are_brought_to_that_of_the_first(store, encode_jpeg, moving_frames):
    folder = store(range(1, 9))
    (folder / "img_00004.jpg").write_bytes(encode_jpeg(moving_frames(1, 96, 128)[0]))
    assert FrameFolder(folder).frames_at([3]).shape == (1, 48, 64, 3)


def test_other_names_are_read_by_their_pattern(store):
    folder = store(range(1, 4), name="flow_x_{:05d}.jpg")
    assert len(FrameFolder(folder, pattern="flow_x_%05d.jpg")) == 3
    with pytest.raises(VideoError, match=r"named like img_%05d\.jpg"):
        FrameFolder(folder)
    with pytest.raises(UsageError, match="one %d"):
        FrameFolder(folder, pattern="flow.jpg")


def test_png_images_come_back_bit_for_bit(tmp_path, pictures):
    for number, picture in enumerate(pictures):
        image = tmp_path / f"frame{number}.png"
        av.VideoFrame.from_ndarray(picture, format="rgb24").save(str(image))
    video = FrameFolder(tmp_path, pattern="frame%d.png")
    np.testing.assert_array_equal(video.frames_at(range(12)), pictures)


def test_a_frame_outside_is_refused_with_folder_length_and_index(store):
    folder = store(range(1, 4))
    with pytest.raises(IndexError, match=r"has 3 frames, 0 to 2; there is no frame 7"):
        FrameFolder(folder).frames_at([7])


def test_images_one_by_one_are_those_at_once(store):
    video = FrameFolder(store(range(1, 9)))
    places = [0, 3, 4, 7]
    frames = list(video.in_order(places))
    np.testing.assert_array_equal(np.stack(frames), video.frames_at(places))
    assert list(video.in_order([])) == []
    with pytest.raises(IndexError, match=r"has 8 frames, 0 to 7; there is no frame 8"):
        next(video.in_order([0, 8]))


def test_an_image_without_a_picture_is_named_when_its_turn_comes(store):
    folder = store(range(1, 9))
    (folder / "img_00004.jpg").write_bytes(b"\xff\xd8\xff\xd9")
    frames = FrameFolder(folder).in_order([2, 3])
    next(frames)
    with pytest.raises(VideoError, match=r"img_00004\.jpg does not decode"):
        next(frames)


def test_images_that_are_left_out_leave_gaps_in_the_numbers(store):
    folder = store([1, 2, 4, 5, 6, 8])
    assert FrameFolder(folder).numbers == [1, 2, 4, 5, 6, 8]
    (folder / "img_00001.jpg").write_bytes(b"\xff\xd8\xff\xd9")
    (folder / "img_00005.jpg").write_bytes(b"")
    assert FrameFolder(folder).numbers == [2, 4, 6, 8]


@pytest.mark.parametrize("what", ["missing", "file", "empty"])
def test_what_is_no_folder_of_images_is_refused_by_name(what, tmp_path):
    path = tmp_path / what
    if what == "file":
        path.write_text("x")
    elif what == "empty":
        path.mkdir()
    with pytest.raises(VideoError, match=what):
        FrameFolder(path)
