"""Files and addresses give their frames, with times, and nothing else is opened."""

import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from marey.errors import VideoError
from marey.video import open_video, write_video
from marey.watching import Feed, Piece, source_of
from marey.watching._feed import address_feed, file_feed


def film(path: Path, *, frames: int = 8, fps: float = 25.0) -> Path:
    levels = np.linspace(20, 230, frames).astype(np.uint8)
    write_video(path, np.broadcast_to(levels[:, None, None, None], (frames, 48, 64, 3)), fps=fps)
    return path


def noise(path: Path) -> Path:
    write_video(path, np.random.default_rng(0).integers(0, 256, (40, 48, 64, 3), dtype=np.uint8))
    return path


def frames_of(feed: Feed) -> list[tuple[float, float]]:
    """Return the time of each frame and its mean brightness."""
    try:
        return list(times_and_levels(feed.pieces))
    finally:
        feed.close()


def times_and_levels(pieces: Iterator[Piece]) -> Iterator[tuple[float, float]]:
    for piece in pieces:
        for frame, moment in piece.frames():
            yield moment, float(frame.to_ndarray(format="gray").mean())


@pytest.mark.parametrize("name", ["a.mp4", "a.mkv", "a.avi"])
def test_a_file_gives_all_its_frames_in_order_with_their_times(tmp_path: Path, name: str) -> None:
    path = film(tmp_path / name, fps=10.0)
    feed = file_feed(path)
    assert feed.recorded
    found = frames_of(feed)
    assert [moment for moment, _ in found] == pytest.approx([n / 10 for n in range(8)], abs=1e-3)
    with open_video(path) as video:
        grey = [float(frame.mean()) for frame in video.in_order(range(8))]
    assert [brightness for _, brightness in found] == pytest.approx(grey, abs=20)
    assert sorted(grey) == grey


def test_pieces_of_a_file_are_due_in_its_own_time(tmp_path: Path) -> None:
    feed = file_feed(film(tmp_path / "a.mkv", fps=10.0))
    due = [piece.time for piece in feed.pieces]
    feed.close()
    assert due[0] == 0
    assert due == sorted(due)
    # Eight frames, and the packet that ends the stream.
    assert due[-1] == pytest.approx(0.8, abs=0.21)


def test_what_is_no_video_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.mp4").write_text("no video at all\n" * 50)
    with pytest.raises(VideoError, match="not a video"):
        source_of(str(tmp_path / "a.mp4")).open()


def test_a_damaged_file_gives_what_decodes(tmp_path: Path) -> None:
    path = noise(tmp_path / "a.avi")
    data = bytearray(path.read_bytes())
    middle = len(data) // 2
    data[middle : middle + 40] = bytes(40)
    path.write_bytes(data)
    assert 10 < len(frames_of(file_feed(path))) <= 40


def test_a_file_on_a_server_is_a_recording(tmp_path: Path, served, whole) -> None:
    address = served(whole(film(tmp_path / "a.mp4").read_bytes()))
    feed = address_feed(address, "server")
    assert feed.recorded
    assert len(frames_of(feed)) == 8


def test_motion_jpeg_is_live(served, motion_jpeg) -> None:
    feed = address_feed(served(motion_jpeg(20)), "server")
    assert not feed.recorded
    brightness = []
    for _, level in (found := times_and_levels(feed.pieces)):
        brightness.append(level)
        if len(brightness) == 18:
            break
    assert brightness[:3] == pytest.approx([20, 25, 30], abs=2)
    with pytest.raises(VideoError, match="server gives nothing more"):
        list(found)
    feed.close()


def test_a_file_that_breaks_off_is_an_error(tmp_path: Path, served, whole) -> None:
    data = noise(tmp_path / "a.mp4").read_bytes()
    address = served(whole(data[: len(data) // 2], announced=len(data)))
    with pytest.raises(VideoError, match="server gives nothing more"):
        frames_of(address_feed(address, "server"))


def test_a_server_that_says_nothing_is_left_in_time(
    served, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("marey.watching._feed._OPEN_SECONDS", 0.2)
    address = served(lambda request: time.sleep(1.5))
    begun = time.monotonic()
    with pytest.raises(VideoError, match="server cannot be opened: no answer in time"):
        address_feed(address, "server")
    assert time.monotonic() - begun < 1.4


def test_a_server_that_falls_silent_is_left_in_time(
    served, motion_jpeg, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("marey.watching._feed._READ_SECONDS", 0.2)
    pictures = motion_jpeg(40)

    def answer(request) -> None:
        pictures(request)
        time.sleep(1.5)

    feed = address_feed(served(answer), "server")
    begun = time.monotonic()
    with pytest.raises(VideoError, match="server gives nothing more: no answer in time"):
        frames_of(feed)
    assert time.monotonic() - begun < 1.4


def test_what_is_not_there_is_an_error_with_the_servers_answer(served) -> None:
    with pytest.raises(VideoError, match=r"server cannot be opened: .*404"):
        address_feed(served(lambda request: request.send_error(404)), "server")


def test_a_server_cannot_make_us_read_files(tmp_path: Path, served) -> None:
    secret = film(tmp_path / "secret.mp4")

    def redirects(request) -> None:
        request.send_response(302)
        request.send_header("Location", f"file://{secret}")
        request.send_header("Content-Length", "0")
        request.end_headers()

    with pytest.raises(VideoError, match="cannot be opened"):
        address_feed(served(redirects), "server")


@pytest.mark.parametrize(
    "playlist",
    [
        "#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\n{}\n#EXT-X-ENDLIST\n",
        "ffconcat version 1.0\nfile {}\n",
    ],
)
def test_a_playlist_is_not_followed(tmp_path: Path, served, whole, playlist: str) -> None:
    asked = []
    data = film(tmp_path / "a.mp4").read_bytes()

    def answer(request) -> None:
        asked.append(request.path)
        whole(data)(request)

    canary = served(answer)
    text = playlist.format(f"{canary}/a.ts").encode()
    with pytest.raises(VideoError, match="cannot be opened"):
        address_feed(served(whole(text)), "server")
    assert asked == []
