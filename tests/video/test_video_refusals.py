"""What is no video gets an error that names it and says why."""

from fractions import Fraction

import av
import numpy as np
import pytest

from marey.errors import VideoError
from marey.video import VideoReader, check_video, open_video


def refusal(path):
    with pytest.raises(VideoError) as caught:
        VideoReader(path)
    assert str(path) in str(caught.value)
    verdict = check_video(path)
    assert (verdict.status, verdict.frames, verdict.declared) == ("unusable", 0, None)
    assert str(path) in verdict.reason
    return str(caught.value)


def test_a_missing_file_is_named(tmp_path):
    assert "does not exist" in refusal(tmp_path / "gone.mp4")


def test_a_name_too_long_for_the_file_system_is_named(tmp_path):
    assert "cannot be read: file name too long" in refusal(tmp_path / ("n" * 300 + ".mp4"))


def test_a_folder_is_no_file(tmp_path):
    assert "folder" in refusal(tmp_path)


def test_an_empty_file_is_called_empty(tmp_path):
    path = tmp_path / "empty.avi"
    path.touch()
    assert "empty" in refusal(path)


@pytest.mark.parametrize(
    "content",
    [b"hello\n", b"<html><body>404</body></html>", b"\0" * 5000, bytes(range(256)) * 40],
    ids=["text", "html", "zeros", "noise"],
)
@pytest.mark.parametrize("name", ["film.mp4", "film.avi", "film.mkv"])
def test_other_files_under_a_film_name_are_not_videos(name, content, tmp_path):
    path = tmp_path / name
    path.write_bytes(content)
    assert "is not a video" in refusal(path)


def test_an_image_is_not_a_video(tmp_path, encode_jpeg):
    path = tmp_path / "photo.mp4"
    path.write_bytes(encode_jpeg(np.zeros((32, 32, 3), np.uint8)))
    assert "is not a video" in refusal(path)


def test_sound_alone_is_not_a_video(tmp_path):
    path = tmp_path / "song.mp4"
    with av.open(str(path), "w") as output:
        stream = output.add_stream("aac", rate=8000)
        sound = av.AudioFrame.from_ndarray(
            np.zeros((1, 8000), np.float32), format="fltp", layout="mono"
        )
        sound.sample_rate = 8000
        sound.time_base = Fraction(1, 8000)
        sound.pts = 0
        output.mux(stream.encode(sound))
        output.mux(stream.encode(None))
    assert "no video stream, only audio" in refusal(path)


def test_a_header_without_one_frame_that_decodes_is_refused(tmp_path, films):
    data = films["plain avi"].read_bytes()
    path = tmp_path / "cut.avi"
    path.write_bytes(data[: data.index(b"movi") + 4])
    assert "no frame decodes" in refusal(path)


def test_a_frame_too_large_to_be_meant_is_refused(tmp_path, films):
    """The width and height in an AVI's format header say 10000."""
    data = bytearray(films["plain avi"].read_bytes())
    format_header = data.index(b"strf") + 8
    for place in (4, 8):
        data[format_header + place : format_header + place + 4] = (10000).to_bytes(4, "little")
    path = tmp_path / "huge.avi"
    # Uncompressed video: nothing else tells the size.
    data[format_header + 16 : format_header + 20] = b"\0\0\0\0"
    data = data.replace(b"vidsFMP4", b"vidsDIB ")
    path.write_bytes(data)
    assert "10000x10000" in refusal(path)


def playlists(films):
    inside = films["mp4 with b-frames"].name
    head = "#EXTM3U\n#EXT-X-VERSION:3\n#EXT-X-TARGETDURATION:2\n#EXTINF:2,\n"
    return {
        "list.m3u8": f"{head}{inside}\n#EXT-X-ENDLIST\n",
        "hls.mp4": f"{head}{inside}\n#EXT-X-ENDLIST\n",
        "concat.mp4": f"ffconcat version 1.0\nfile {inside}\n",
        "concat.avi": f"ffconcat version 1.0\nfile '{films['plain avi']}'\n",
    }


@pytest.mark.parametrize("name", ["list.m3u8", "hls.mp4", "concat.mp4", "concat.avi"])
def test_a_playlist_is_not_followed_to_other_files(name, films):
    """The film it names is sound and lies beside it, so following it would succeed."""
    path = films["mp4 with b-frames"].parent / name
    path.write_text(playlists(films)[name])
    if name == "list.m3u8":  # The trap is real: PyAV as it comes walks into it.
        with av.open(str(path)) as container:
            assert next(container.decode(video=0)).width == 64
    assert "is not a video" in refusal(path)


def test_open_video_chooses_by_what_is_there(films, tmp_path, encode_jpeg):
    with open_video(films["mkv"]) as video:
        assert len(video) == 40
    (tmp_path / "img_00001.jpg").write_bytes(encode_jpeg(np.zeros((32, 32, 3), np.uint8)))
    with open_video(str(tmp_path)) as video:
        assert len(video) == 1
