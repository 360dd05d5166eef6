"""Videos whose numbers are tricks: what they announce costs neither time nor memory."""

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from av.video.stream import VideoStream

from marey.cli import main
from marey.video import VideoReader, check_video

FRAMES = 5


def film(path: Path, *, stamps: list[int], rate: int = 25) -> Path:
    """Write a small film whose frames are shown at the given ticks of 1/`rate` seconds."""
    with av.open(str(path), "w") as output:
        stream = output.add_stream("mpeg4", rate=rate)
        assert isinstance(stream, VideoStream)
        stream.height = stream.width = 32
        stream.pix_fmt = "yuv420p"
        stream.thread_count = 1
        for number, stamp in enumerate(stamps):
            picture = np.full((32, 32, 3), 20 * number, np.uint8)
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            frame.pts, frame.time_base = stamp, Fraction(1, rate)
            output.mux(stream.encode(frame))
        output.mux(stream.encode(None))
    return path


@pytest.mark.parametrize("suffix", ["mkv", "mov"])
def test_a_film_of_eleven_days_has_as_many_frames_as_it_has(tmp_path: Path, suffix: str) -> None:
    """The last of five frames is shown after a million seconds."""
    path = film(tmp_path / f"long.{suffix}", stamps=[0, 1, 2, 3, 25_000_000])
    assert check_video(path).frames == FRAMES
    with VideoReader(path) as video:
        assert len(video) == FRAMES
        assert video.frames_at([4]).shape == (1, 32, 32, 3)
        assert video.times().shape == (FRAMES + 1,)


def test_a_thousand_frames_a_second_are_a_rate_like_any_other(tmp_path: Path) -> None:
    path = film(tmp_path / "fast.mkv", stamps=list(range(FRAMES)), rate=1000)
    verdict = check_video(path)
    assert (verdict.status, verdict.frames) == ("ok", FRAMES)
    with VideoReader(path) as video:
        assert video.fps == pytest.approx(1000)


def test_videos_are_as_they_were_after_a_check(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    film(tmp_path / "sound.mkv", stamps=list(range(FRAMES)))
    (tmp_path / "words.avi").write_bytes(b"These are words.")
    index = tmp_path / "index.csv"
    index.write_text("path,label,split\nsound.mkv,walk,train\nwords.avi,walk,test\n")

    def state() -> dict[str, tuple[bytes, int]]:
        return {p.name: (p.read_bytes(), p.stat().st_mtime_ns) for p in tmp_path.iterdir()}

    before = state()
    with pytest.raises(SystemExit) as caught:
        main(["check", str(index), "--workers", "1"])
    assert caught.value.code == 3
    assert "2 videos: 1 ok, 0 damaged, 1 unusable" in capsys.readouterr().out
    assert state() == before
