"""A damaged film gives what decodes, never more, and a verdict with a reason."""

import random

import av
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from marey.errors import VideoError
from marey.video import Verdict, VideoReader, check_video


def lenient(path):
    """Return what PyAV decodes from the start, going on after packets that fail.

    Frames are converted at the end: where nothing was decoded they hold what the decoder's
    memory holds, which depends on whether earlier frames were let go.
    """
    frames: list[av.VideoFrame] = []
    with av.open(str(path), metadata_errors="replace") as container:
        stream = container.streams.video[0]
        stream.codec_context.thread_count = 1
        packets = container.demux(stream)
        try:
            for packet in packets:
                try:
                    frames += packet.decode()
                except av.FFmpegError:
                    continue
        except IndexError:  # A stream that seems to begin at the end.
            pass
        except av.FFmpegError:
            frames += stream.codec_context.decode(None)
    return [frame.to_ndarray(format="rgb24") for frame in frames]


@pytest.fixture(scope="module")
def sound(films, encode, moving_frames):
    """Films that can be cut: their headers stand in front."""
    path = films["mp4 with b-frames"].with_name("fast.mp4")
    encode(path, moving_frames(), b_frames=2, container_options={"movflags": "+faststart"})
    kinds = ("packed avi", "plain avi", "mkv", "transport stream")
    return {"mp4": path} | {kind: films[kind] for kind in kinds}


@pytest.mark.parametrize("kind", ["mp4", "packed avi", "plain avi", "mkv"])
def test_a_film_cut_short_gives_its_first_frames_and_says_so(kind, sound, tmp_path):
    data = sound[kind].read_bytes()
    path = tmp_path / f"cut{sound[kind].suffix}"
    counts = []
    for part in range(5, 100, 8):
        path.write_bytes(data[: len(data) * part // 100])
        verdict = check_video(path)
        counts.append(verdict.frames)
        assert verdict.reason
        if verdict.status == "unusable":
            assert verdict.frames == 0
            continue
        assert verdict.status == "damaged"
        assert "the file ends early" in verdict.reason
        truth = lenient(path)
        with VideoReader(path) as video:
            assert len(video) == verdict.frames == len(truth)
            np.testing.assert_array_equal(video.frames_at(range(len(truth))), np.stack(truth))
    assert counts == sorted(counts)
    assert 30 < counts[-1] <= 40
    assert len(set(counts)) > 3


@pytest.mark.parametrize("kind", ["mp4", "packed avi", "plain avi", "mkv", "transport stream"])
def test_whatever_happens_to_the_bytes_the_reader_gives_what_decodes(kind, sound, tmp_path_factory):
    data = sound[kind].read_bytes()
    path = tmp_path_factory.mktemp("hurt") / f"hurt{sound[kind].suffix}"

    @settings(max_examples=25, deadline=None)
    @given(seed=st.integers(0, 10**6), way=st.sampled_from(["flip", "zero", "noise", "lose"]))
    def check(seed, way):
        path.write_bytes(hurt(data, random.Random(seed), way))
        try:
            video = VideoReader(path)
        except VideoError:
            assert check_video(path).status == "unusable"
            return
        with video:
            truth = lenient(path)
            assert len(video) >= len(truth)  # We read on behind a place that cannot be read.
            # Frames of another size are brought to that of the first.
            few = [i for i in range(0, len(truth), 5) if truth[i].shape == truth[0].shape]
            np.testing.assert_array_equal(video.frames_at(few), np.stack([truth[i] for i in few]))
            verdict = video.verdict()
            assert verdict.frames == len(video)
            assert bool(verdict.reason) == (verdict.status != "ok")

    check()


def hurt(data: bytes, chance: random.Random, way: str) -> bytes:
    hurt = bytearray(data)
    place = chance.randrange(len(data) // 20, len(data))
    size = min(chance.choice([1, 16, 200, 2000]), len(data) - place)
    if way == "flip":
        for _ in range(size):
            hurt[chance.randrange(len(data) // 20, len(data))] ^= 1 << chance.randrange(8)
    elif way == "zero":
        hurt[place : place + size] = bytes(size)
    elif way == "noise":
        hurt[place : place + size] = chance.randbytes(size)
    else:
        del hurt[place : place + size]
    return bytes(hurt)


@pytest.mark.parametrize("kind", ["mp4", "packed avi", "plain avi", "mkv", "transport stream"])
def test_damage_that_changes_frames_is_nearly_always_noticed(kind, sound, tmp_path, sequential):
    """A flipped bit can turn one valid picture into another; a hole in the data cannot."""
    data = sound[kind].read_bytes()
    whole = sequential(sound[kind])
    path = tmp_path / f"hole{sound[kind].suffix}"
    noticed = []
    for seed in range(20):
        chance = random.Random(seed)
        place = chance.randrange(len(data) // 4, len(data) - 1000)
        path.write_bytes(data[:place] + bytes(800) + data[place + 800 :])
        with VideoReader(path) as video:
            frames = video.frames_at(range(len(video)))
            if not np.array_equal(frames, whole):
                noticed.append(video.verdict().status == "damaged")
    assert len(noticed) > 8
    assert sum(noticed) >= 0.9 * len(noticed)


def test_an_avi_header_that_promises_more_is_no_damage(films, tmp_path):
    data = bytearray(films["plain avi"].read_bytes())
    frames_in_stream_header = data.index(b"strh") + 8 + 32
    assert data[frames_in_stream_header] == 40
    data[frames_in_stream_header] = 48
    path = tmp_path / "boast.avi"
    path.write_bytes(data)
    assert check_video(path) == Verdict(status="ok", reason="", frames=40, declared=48)


def test_a_long_film_that_misleads_is_decoded_whole_and_judged(sound, tmp_path, monkeypatch):
    """Its index is sound but a stretch of data is gone, which shows only on the way."""
    monkeypatch.setattr("marey.video._reader._DECODED_WHOLE_PIXELS", 0)
    data = bytearray(sound["mp4"].read_bytes())
    start = len(data) // 2
    data[start : start + 2500] = b"\xff" * 2500
    path = tmp_path / "hole.mp4"
    path.write_bytes(data)
    truth = lenient(path)
    assert len(truth) < 40
    with VideoReader(path) as video:
        assert len(video) == 40
        with pytest.raises(IndexError, match=f"{len(truth)} frames"):
            video.frames_at([5, 20, 38])
        assert len(video) == len(truth)
        np.testing.assert_array_equal(video.frames_at(range(len(truth))), np.stack(truth))
        verdict = video.verdict()
    assert verdict.status == "damaged"
    assert verdict.frames == len(truth)
    assert "time stamps" in verdict.reason


def test_a_reason_names_the_first_place_and_the_number(sound, tmp_path):
    data = bytearray(sound["mp4"].read_bytes())
    start = len(data) // 2
    data[start : start + 2500] = b"\xff" * 2500
    path = tmp_path / "hole.mp4"
    path.write_bytes(data)
    assert "a packet does not decode (first: packet " in check_video(path).reason
