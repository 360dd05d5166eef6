"""A file that FFmpeg writes to, on a disk that takes no more."""

import av
import numpy as np
import pytest
from av.video.frame import VideoFrame

from marey.video import check_video
from marey.video._output import open_output

CODECS = {"avi": "mpeg4", "matroska": "ffv1", "mp4": "libx264"}


def write(path, container, *, pictures=20):
    noise = np.random.default_rng(0).integers(0, 256, (pictures, 64, 64, 3), np.uint8)
    with open_output(path, container=container, options={}) as output:
        stream = output.add_stream(CODECS[container], rate=25)
        stream.height, stream.width, stream.pix_fmt = 64, 64, "yuv420p"
        for picture in noise:
            output.mux(stream.encode(VideoFrame.from_ndarray(picture, format="rgb24")))
        output.mux(stream.encode(None))


@pytest.mark.parametrize("container", CODECS)
def test_what_is_put_in_is_whole_at_the_end(container, tmp_path):
    path = tmp_path / "a:b %d"  # A name is just a name.
    write(path, container)
    verdict = check_video(path)
    assert (verdict.status, verdict.frames) == ("ok", 20)


@pytest.mark.parametrize("pictures", [1, 20])
@pytest.mark.parametrize("container", CODECS)
def test_a_full_disk_is_told_once(container, pictures, tmp_path, capfd):
    path = tmp_path / "full"
    path.symlink_to("/dev/full")
    with pytest.raises(OSError, match="No space left on device") as caught:
        write(path, container, pictures=pictures)
    assert not isinstance(caught.value, av.FFmpegError)
    assert capfd.readouterr() == ("", "")


def test_what_ffmpeg_refuses_is_told_as_it_does(tmp_path):
    with (
        pytest.raises(av.FFmpegError),
        open_output(tmp_path / "a.avi", container="avi", options={}) as output,
    ):
        output.add_stream("mpeg4", rate=25).encode(VideoFrame(0, 0, "rgb24"))
