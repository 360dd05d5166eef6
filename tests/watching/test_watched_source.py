"""Only cameras, files and a few kinds of address are watched."""

from pathlib import Path

import pytest

from marey.errors import UsageError
from marey.watching import source_of


@pytest.mark.parametrize(
    ("word", "complaint"),
    [
        ("missing.mp4", "missing.mp4 is not there"),
        ("file:///etc/passwd", "only addresses that begin with rtsp://"),
        ("concat:a.mp4|b.mp4", "is not there"),
        ("subfile,,start,0,end,9,,://a.mp4", "only addresses"),
        ("udp://127.0.0.1:5000", "only addresses"),
        ("http://", "names no host"),
        ("http://[::1", "no address"),
        ("http://host:99999/a.mp4", "no address"),
        ("https://host/live/index.m3u8?token=1", "playlist"),
        ("987", "no camera /dev/video987"),
        ("/dev/video987", "no camera /dev/video987"),
        ("", "is a folder"),
        ("a\0b.mp4", "is not there"),
        ("x" * 5000, "is not there"),
    ],
)
def test_what_cannot_be_watched_is_refused(word: str, complaint: str) -> None:
    with pytest.raises(UsageError, match=complaint):
        source_of(word)


def test_folders_and_devices_are_no_sources(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="is a folder"):
        source_of(str(tmp_path))
    with pytest.raises(UsageError, match="not a plain file"):
        source_of("/dev/null")


@pytest.mark.parametrize(
    ("address", "name"),
    [
        ("rtsp://user:pass@camera:554/live", "rtsp://user:***@camera:554/live"),
        ("http://user:p@ss:word@camera/live", "http://user:***@camera/live"),
        ("HTTPS://camera/live?x=a:b@c", "https://camera/live?x=a:b@c"),
        ("rtsp://user@camera/live", "rtsp://user@camera/live"),
    ],
)
def test_addresses_are_live_and_their_passwords_are_not_shown(address: str, name: str) -> None:
    source = source_of(address)
    assert source.live
    assert source.name == name


def test_a_file_is_a_source_that_ends(tmp_path: Path) -> None:
    path = tmp_path / "7"
    path.write_bytes(b"")
    assert not source_of(str(path)).live
