"""What can be watched, from what a user calls it."""

import re
import stat
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from marey.errors import UsageError

from ._feed import Feed, address_feed, camera_feed, file_feed

_SCHEMES = ("rtsp", "rtsps", "http", "https")
_PLAYLISTS = (".m3u8", ".m3u", ".mpd", ".sdp", ".ffconcat")


@dataclass(frozen=True, slots=True)
class Source:
    """Something that gives frames."""

    name: str
    """As it may be shown: without a password."""

    live: bool
    """Whether it goes on without us, so that it is worth opening again when it is lost."""

    open: Callable[[], Feed]
    """Opens it; raises VideoError if that fails."""


def source_of(word: str) -> Source:
    """Return what a user means: a camera, a file, or an address.

    A number or /dev/videoN is a camera; rtsp:// and http:// are addresses. Other schemes are
    refused, because they would make the decoder open files, or more than one address.

    Raises:
        UsageError: There is no such source, or it is refused.
    """
    if re.fullmatch(r"\d{1,3}|/dev/video\d{1,3}", word):
        return _camera(Path(f"/dev/video{int(word)}" if word.isdecimal() else word))
    if "://" in word:
        return _address(word)
    path = Path(word)
    try:
        mode = path.stat().st_mode
    except (OSError, ValueError):  # Not there, or no name that a file can have.
        mode = 0
    if stat.S_ISREG(mode):
        return Source(word, live=False, open=lambda: file_feed(path))
    what = "a folder" if stat.S_ISDIR(mode) else "not a plain file" if mode else "not there"
    raise UsageError(
        f"{word} is {what}; give a camera's number, a video file or an address that begins "
        f"with {_known()}"
    )


def _known() -> str:
    return ", ".join(f"{scheme}://" for scheme in _SCHEMES)


def _camera(device: Path) -> Source:
    try:
        is_device = stat.S_ISCHR(device.stat().st_mode)
    except OSError:
        is_device = False
    if not is_device:
        found = ", ".join(sorted(str(other) for other in Path("/dev").glob("video*")))
        there = f"there are {found}" if found else "this computer shows none"
        raise UsageError(f"there is no camera {device}; {there}")
    return Source(str(device), live=True, open=lambda: camera_feed(device))


def _address(address: str) -> Source:
    try:
        parts = urlsplit(address)
        host, _ = parts.hostname, parts.port
    except ValueError as error:
        raise UsageError(f"{address!r} is no address: {error}") from error
    if parts.scheme.lower() not in _SCHEMES or not address.lower().startswith(parts.scheme):
        raise UsageError(f"{address}: only addresses that begin with {_known()} are opened")
    if not host:
        raise UsageError(f"{address!r} names no host")
    if parts.path.lower().endswith(_PLAYLISTS):
        raise UsageError(
            f"{parts.path} is a playlist, which makes the decoder open whatever it names; give "
            "the address of the video itself"
        )
    # A password may hold an @, but the host begins after the last one.
    user = parts.netloc.rpartition("@")[0].partition(":")[0]
    shown = parts.netloc.rpartition("@")[2]
    netloc = f"{user}:***@{shown}" if parts.password is not None else parts.netloc
    name = parts._replace(netloc=netloc).geturl()
    return Source(name, live=True, open=lambda: address_feed(address, name))
