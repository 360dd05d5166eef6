"""A film cut at any hundredth of its bytes has a verdict, and more bytes never lose many frames."""

from pathlib import Path

import av
import numpy as np
import pytest
from av.video.stream import VideoStream

from marey.video import check_video

FRAMES, GROUP = 60, 12


def film(path: Path, codec: str) -> bytes:
    """Write a film with a whole picture every 12 frames and its index first; return its bytes."""
    chance = np.random.default_rng(0)
    still = chance.integers(0, 256, (12, 16, 3), np.uint8).repeat(8, 0).repeat(8, 1)
    options = {"movflags": "+faststart"} if path.suffix == ".mp4" else {}
    with av.open(str(path), "w", options=options) as output:
        stream = output.add_stream(codec, rate=25, options={"g": str(GROUP)})
        assert isinstance(stream, VideoStream)
        stream.height, stream.width, stream.pix_fmt = 96, 128, "yuv420p"
        stream.thread_count = 1
        for number in range(FRAMES):
            frame = av.VideoFrame.from_ndarray(np.roll(still, 3 * number, 1), format="rgb24")
            output.mux(stream.encode(frame))
        output.mux(stream.encode(None))
    return path.read_bytes()


@pytest.mark.parametrize(("container", "codec"), [("mp4", "libx264"), ("avi", "mpeg4")])
def test_every_hundredth_of_a_film_has_a_verdict(
    tmp_path: Path, container: str, codec: str
) -> None:
    path = tmp_path / f"cut.{container}"
    data = film(path, codec)
    most = 0
    for hundredth in range(101):
        path.write_bytes(data[: len(data) * hundredth // 100])
        verdict = check_video(path)
        assert verdict.status == "ok" or verdict.reason, hundredth
        assert (verdict.status == "ok") == (hundredth == 100), hundredth
        assert verdict.frames >= most - GROUP, hundredth
        most = max(most, verdict.frames)
    assert most == FRAMES
