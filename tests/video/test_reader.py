"""Any frame in any order is the frame that decoding from the start gives."""

import subprocess
import sys
from pathlib import Path

import av
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import marey.video._decoding
import marey.video._reader
from marey.errors import VideoError
from marey.video import VideoReader
from marey.video._decoding import StampsLie

KINDS = [
    "packed avi",
    "avi with b-frames",
    "plain avi",
    "mp4 with b-frames",
    "mp4 with open groups",
    "mkv",
    "webm",
    "webm with hidden pictures",
    "transport stream",
    "variable rate",
    "one frame",
    "portrait",
    "grey",
    "ten bits",
    "odd sides",
]
ENTERED_ANYWHERE = ["mp4 with b-frames", "mp4 with open groups", "mkv", "variable rate"]


def first_at_stamp(path, number):
    """Return a frame as one finds it by seeking to its time."""
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        stamp = round(number / stream.average_rate / stream.time_base)
        container.seek(stamp, stream=stream)
        late = (f for f in container.decode(stream) if f.pts is None or f.pts >= stamp)
        frame = next(late, None)
        return None if frame is None else frame.to_ndarray(format="rgb24")


@pytest.fixture(params=["short", "kept in part", "long"])
def treatment(request, monkeypatch):
    """Treat the little films of the tests as if they were short, middling and long."""
    if request.param != "short":
        monkeypatch.setattr("marey.video._reader._KEPT_BYTES", 5 * 64 * 48 * 3 // 2)
    if request.param == "long":
        monkeypatch.setattr("marey.video._reader._DECODED_WHOLE_PIXELS", 0)
    return request.param


@pytest.mark.parametrize("kind", KINDS)
def test_all_frames_at_once_are_those_of_a_sequential_decoding(kind, films, sequential, treatment):
    truth = sequential(films[kind])
    with VideoReader(films[kind]) as video:
        assert len(video) == len(truth)
        assert (video.height, video.width) == truth.shape[1:3]
        np.testing.assert_array_equal(video.frames_at(range(len(truth))), truth)
        assert video.verdict().status == "ok", video.verdict()


@pytest.mark.parametrize("kind", KINDS)
def test_frames_in_any_order_are_those_of_a_sequential_decoding(kind, films, sequential, treatment):
    truth = sequential(films[kind])

    @settings(max_examples=8, deadline=None)
    @given(st.lists(st.integers(0, len(truth) - 1), max_size=6))
    def check(indices):
        with VideoReader(films[kind]) as video:
            np.testing.assert_array_equal(video.frames_at(indices), truth[indices])
            for index in indices[:2]:
                np.testing.assert_array_equal(video[index], truth[index])

    check()


def test_the_packed_film_is_a_trap_for_seeking(films, sequential):
    truth = sequential(films["packed avi"])
    np.testing.assert_array_equal(truth, sequential(films["avi with b-frames"]))
    wrong = [
        number
        for number, frame in enumerate(truth)
        if not np.array_equal(first_at_stamp(films["packed avi"], number), frame)
    ]
    assert len(wrong) > 30
    plain = sequential(films["plain avi"])
    np.testing.assert_array_equal(first_at_stamp(films["plain avi"], 17), plain[17])


@pytest.mark.parametrize("kind", ENTERED_ANYWHERE)
def test_a_long_film_with_complete_stamps_is_decoded_in_part(kind, films, monkeypatch):
    monkeypatch.setattr("marey.video._reader._DECODED_WHOLE_PIXELS", 0)
    counted = count_packets(monkeypatch)
    with VideoReader(films[kind]) as video:
        assert len(video) == 40
        video.frames_at([38])
    assert len(counted) < 30


@pytest.mark.parametrize("kind", ["packed avi", "mp4 with b-frames", "mkv"])
def test_length_and_frames_of_a_short_film_cost_one_decoding(kind, films, monkeypatch):
    counted = count_packets(monkeypatch)
    with VideoReader(films[kind]) as video:
        assert len(video) == 40
        video.frames_at([39, 0, 20])
        video.frames_at([7])
        video.verdict()
    assert len(counted) == 41  # One more to empty the decoder.


def count_packets(monkeypatch):
    counted = []
    plain = marey.video._decoding.decoded

    def counting(packet, where, damage):
        counted.append(where)
        return plain(packet, where, damage)

    monkeypatch.setattr(marey.video._decoding, "decoded", counting)
    return counted


@pytest.mark.parametrize("kind", KINDS)
def test_frames_one_by_one_are_those_of_a_sequential_decoding(kind, films, sequential, treatment):
    truth = sequential(films[kind])

    @settings(max_examples=4, deadline=None)
    @given(st.sets(st.integers(0, len(truth) - 1)).map(sorted))
    def check(places):
        with VideoReader(films[kind]) as video:
            frames = list(video.in_order(places))
        assert len(frames) == len(places)
        for place, frame in zip(places, frames, strict=True):
            np.testing.assert_array_equal(frame, truth[place])

    check()


def test_frames_one_by_one_cost_one_decoding(films, monkeypatch):
    monkeypatch.setattr("marey.video._reader._KEPT_BYTES", 5 * 64 * 48 * 3 // 2)
    with VideoReader(films["packed avi"]) as video:
        assert len(video) == 40
        counted = count_packets(monkeypatch)
        assert len(list(video.in_order(range(2)))) == 2
        assert counted == []
        assert len(list(video.in_order(range(1, 40)))) == 39
    assert len(counted) <= 41


def test_frames_come_as_they_are_decoded(films, monkeypatch):
    monkeypatch.setattr("marey.video._reader._KEPT_BYTES", 0)
    with VideoReader(films["plain avi"]) as video:
        len(video)
        counted = count_packets(monkeypatch)
        frames = video.in_order(range(40))
        next(frames)
        assert len(counted) < 5


def test_a_frame_that_was_yielded_is_not_written_over(films, sequential):
    truth = sequential(films["mkv"])
    with VideoReader(films["mkv"]) as video:
        first, second = video.in_order([3, 4])
    np.testing.assert_array_equal(first, truth[3])
    np.testing.assert_array_equal(second, truth[4])


def test_stamps_that_lie_on_the_way_do_not_lead_to_wrong_frames(films, sequential, monkeypatch):
    """The rest comes from the start, as for frames at once."""
    monkeypatch.setattr("marey.video._reader._DECODED_WHOLE_PIXELS", 0)
    monkeypatch.setattr("marey.video._reader._KEPT_BYTES", 0)
    truth = sequential(films["mkv"])
    plain = marey.video._reader.frames_by_stamp

    def lying(path, wanted, order, keys):
        for number, frame in plain(path, wanted, order, keys):
            if number == 9:
                raise StampsLie
            yield number, frame

    monkeypatch.setattr("marey.video._reader.frames_by_stamp", lying)
    places = [2, 5, 9, 30, 39]
    with VideoReader(films["mkv"]) as video:
        frames = list(video.in_order(places))
        np.testing.assert_array_equal(np.stack(frames), truth[places])
        assert "time stamps lead to wrong frames" in video.verdict().reason


def test_a_place_outside_is_refused_before_any_frame_comes(films):
    with VideoReader(films["mkv"]) as video:
        for places in ([0, 40], [-1]):
            with pytest.raises(IndexError, match=f"there is no frame {places[-1]}"):
                next(video.in_order(places))
        assert list(video.in_order([])) == []


@pytest.mark.parametrize("kind", ["packed avi", "mp4 with b-frames"])
def test_single_frames_are_counted_from_both_ends_like_a_list(kind, films, sequential):
    truth = sequential(films[kind])
    with VideoReader(films[kind]) as video:
        np.testing.assert_array_equal(video[-1], truth[39])
        np.testing.assert_array_equal(video[-40], truth[0])
        np.testing.assert_array_equal(video[np.int64(3)], truth[3])
        for index in (40, -41):
            with pytest.raises(IndexError, match=rf"packed|b\.mp4.* has 40 frames.* {index}"):
                video[index]


def test_a_frame_outside_is_refused_with_the_video_its_length_and_the_index(films):
    path = films["mkv"]
    with VideoReader(path) as video:
        for indices in ([0, 40], [-1]):
            with pytest.raises(IndexError) as caught:
                video.frames_at(indices)
            message = str(caught.value)
            assert str(path) in message
            assert "40 frames" in message
            assert str(indices[-1]) in message


def test_no_frame_at_all_may_be_asked_for(films):
    with VideoReader(films["mkv"]) as video:
        assert video.frames_at([]).shape == (0, 48, 64, 3)


def test_iterating_gives_every_frame_once(films, sequential):
    with VideoReader(films["plain avi"]) as video:
        np.testing.assert_array_equal(np.stack(list(video)), sequential(films["plain avi"]))


@pytest.mark.parametrize(("turn", "quarters"), [(90, 1), (180, 2), (-90, 3)])
def test_a_film_held_sideways_comes_upright(turn, quarters, tmp_path, encode, moving_frames):
    path = encode(tmp_path / "phone.mp4", moving_frames(5), turn=turn)
    with av.open(str(path)) as container:
        stored = [f.to_ndarray(format="rgb24") for f in container.decode(video=0)]
    with VideoReader(path) as video:
        assert (video.height, video.width) == ((48, 64) if quarters == 2 else (64, 48))
        np.testing.assert_array_equal(video[3], np.rot90(stored[3], quarters))


def test_a_mirrored_film_comes_unmirrored(tmp_path, encode, moving_frames):
    path = encode(tmp_path / "selfie.mp4", moving_frames(5), turn=180)
    data = path.read_bytes()
    half_turn = b"".join(
        number.to_bytes(4, "big", signed=True) for number in (-1 << 16, 0, 0, 0, -1 << 16)
    )
    mirror = b"".join(
        number.to_bytes(4, "big", signed=True) for number in (-1 << 16, 0, 0, 0, 1 << 16)
    )
    assert data.count(half_turn) == 1
    with av.open(str(path)) as container:
        stored = next(container.decode(video=0)).to_ndarray(format="rgb24")
    path.write_bytes(data.replace(half_turn, mirror))
    with VideoReader(path) as video:
        np.testing.assert_array_equal(video[0], stored[:, ::-1])


def test_frames_that_change_size_are_brought_to_that_of_the_first(tmp_path, encode, moving_frames):
    """Raw streams may simply be joined."""
    small = encode(tmp_path / "a.h264", moving_frames(6))
    large = encode(tmp_path / "b.h264", moving_frames(6, 96, 128))
    joined = tmp_path / "joined.h264"
    joined.write_bytes(small.read_bytes() + large.read_bytes())
    with VideoReader(joined) as video:
        assert len(video) == 12
        assert video.frames_at([0, 11]).shape == (2, 48, 64, 3)


@pytest.mark.parametrize(("kind", "fps"), [("mp4 with b-frames", 25), ("packed avi", 25)])
def test_the_rate_is_told_in_frames_per_second(kind, fps, films):
    with VideoReader(films[kind]) as video:
        assert video.fps == fps


def test_a_reader_describes_itself_without_decoding(films):
    with VideoReader(films["mkv"]) as video:
        assert repr(video).endswith("b.mkv', ? frames of 64x48, 25 fps)")
        len(video)
        assert "40 frames" in repr(video)


def test_a_closed_reader_says_so(films):
    video = VideoReader(films["mkv"])
    video.close()
    with pytest.raises(VideoError, match=r"b\.mkv was closed"):
        len(video)


def test_names_with_odd_bytes_and_spaces_are_just_names(tmp_path, films, sequential):
    for name in ("concat:a|b.mp4", " %05d\n.mp4", "\udcff.mp4", "-i.mp4", "film without ending"):
        path = tmp_path / name
        path.write_bytes(films["mp4 with b-frames"].read_bytes())
        with VideoReader(path) as video:
            assert len(video) == 40


def test_reading_videos_does_not_load_torch():
    code = "import sys, marey.video; sys.exit('torch' in sys.modules)"
    root = Path(__file__).parents[2]
    assert subprocess.run([sys.executable, "-c", code], cwd=root, check=False).returncode == 0
