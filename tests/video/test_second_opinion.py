"""VP9 that FFmpeg's decoder takes for sound is shown to a stricter one."""

import av
import numpy as np
import pytest

from marey.video import check_video
from marey.video._second_opinion import second_opinion


@pytest.fixture(scope="module")
def film(encode, moving_frames, tmp_path_factory):
    frames = moving_frames(20, 96, 128)
    grain = np.random.default_rng(0).integers(0, 32, frames.shape, np.uint8)
    path = tmp_path_factory.mktemp("vp9") / "film.webm"
    return encode(path, frames // 2 + grain, codec="libvpx-vp9", options={"cpu-used": "8"})


def first_packet(path):
    with av.open(str(path)) as container:
        return bytes(next(container.demux(container.streams.video[0])))


def test_holes_in_the_first_picture_are_noticed(film, tmp_path, sequential):
    """The first decoder alone gives twenty wrong frames for most of them, and no error."""
    data, picture = film.read_bytes(), first_packet(film)
    start = data.index(picture)
    hurt = tmp_path / "hurt.webm"
    silent = 0
    for part in range(3, 9):
        hole = start + len(picture) * part // 10
        hurt.write_bytes(data[:hole] + bytes(300) + data[hole + 300 :])
        verdict = check_video(hurt)
        assert verdict.status == "damaged", part
        silent += verdict.reason.startswith("a packet does not decode strictly (first: packet 0")
        assert not np.array_equal(sequential(hurt), sequential(film))
    assert silent >= 3


def test_there_is_none_on_codecs_without_a_stricter_decoder(film, tmp_path):
    hurt = tmp_path / "hurt.webm"
    hurt.write_bytes(film.read_bytes()[:-100])
    assert second_opinion(hurt, "h264", "yuv420p") == ""
    assert second_opinion(hurt, "vp9", "yuv420p10le") == ""


def test_there_is_none_where_the_library_was_built_without_it(film, monkeypatch):
    monkeypatch.setattr(av, "codecs_available", {"vp9"})
    monkeypatch.setattr(av.VideoCodecContext, "create", None)
    assert second_opinion(film, "vp9", "yuv420p") == ""


@pytest.mark.parametrize("options", [{"lossless": "1"}, {"auto-alt-ref": "1"}, {"profile": "1"}])
def test_sound_films_of_every_kind_pass(options, encode, moving_frames, tmp_path):
    kind = {"codec": "libvpx-vp9", "options": {"cpu-used": "8", "lag-in-frames": "8"} | options}
    if "profile" in options:
        kind["pix_fmt"] = "yuv444p"
    path = encode(tmp_path / "film.webm", moving_frames(24), **kind)
    assert second_opinion(path, "vp9", kind.get("pix_fmt", "yuv420p")) == ""
    assert check_video(path).status == "ok"
