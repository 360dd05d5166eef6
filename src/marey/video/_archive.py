"""Videos inside tar archives, read where they lie: `shard-000003.tar/clip.mp4`.

Nothing is ever unpacked. An archive of others may still hold names and links that mean harm to
those who unpack it, and then it is refused as a whole.
"""

import io
import os
import posixpath
import re
import stat
import tarfile
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import BinaryIO, NamedTuple

from marey.errors import RefusedError, VideoError

ARCHIVE_SUFFIX = ".tar"
MAX_MEMBERS = 200_000
_MAX_HEADER = 1 << 20
_DRIVE = re.compile(r"[A-Za-z]:")
_SET_ID = stat.S_ISUID | stat.S_ISGID


class _Place(NamedTuple):
    """Where a member's bytes lie in its archive."""

    start: int
    size: int


def open_bytes(path: Path) -> io.RawIOBase:
    """Open a file, or a member of an archive by a path that leads into it, without a buffer.

    Raises:
        OSError: As opening a file does.
        VideoError: The archive is damaged.
        RefusedError: The archive holds what no archive of videos needs.
    """
    try:
        return path.open("rb", buffering=0)
    except NotADirectoryError:
        archive, name = _parted(path)
        if archive is None:
            raise
    place = _members_now(archive).get(name)
    if place is None:
        raise FileNotFoundError(f"{archive} holds no {name}")
    return _Stretch(archive, place)


def holding(path: Path) -> Path:
    """Return the archive that a path leads into, or else the path itself."""
    archive, _ = _parted(path)
    return archive or path


def is_there(path: Path) -> bool:
    """Tell whether there is such a file or folder, or such a member of an archive.

    Raises:
        VideoError: The archive is damaged.
        RefusedError: The archive holds what no archive of videos needs.
    """
    # Path.exists would raise on a name too long for the file system.
    if os.path.exists(path):  # noqa: PTH110
        return True
    archive, name = _parted(path)
    return archive is not None and name in _members_now(archive)


def _parted(path: Path) -> tuple[Path | None, str]:
    """Return the archive that a path leads into, if one does, and the name inside."""
    for folder in path.parents:
        if folder.suffix.lower() == ARCHIVE_SUFFIX and os.path.isfile(folder):  # noqa: PTH113
            return folder, path.relative_to(folder).as_posix()
    return None, ""


class _Stretch(io.RawIOBase):
    """A stretch of a file as if it were a file."""

    mode = "rb"

    def __init__(self, archive: Path, place: _Place) -> None:
        self._file = archive.open("rb", buffering=0)
        self._place = place
        self._at = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET, /) -> int:
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self._at, os.SEEK_END: self._place.size}[whence]
        if base + offset < 0:
            raise OSError("a place before the beginning")
        self._at = base + offset
        return self._at

    def tell(self) -> int:
        return self._at

    def readinto(self, buffer: "bytearray | memoryview", /) -> int:  # type: ignore[override]
        left = max(self._place.size - self._at, 0)
        data = os.pread(self._file.fileno(), min(len(buffer), left), self._place.start + self._at)
        buffer[: len(data)] = data
        self._at += len(data)
        return len(data)

    def readall(self) -> bytes:
        left = bytearray(max(self._place.size - self._at, 0))
        return bytes(memoryview(left)[: self.readinto(left)])

    def close(self) -> None:
        self._file.close()
        super().close()


def _members_now(archive: Path) -> Mapping[str, _Place]:
    """Return the members of an archive as it is now; headers are read once."""
    about = archive.stat()
    return _members(archive, about.st_size, about.st_mtime_ns)


@lru_cache(maxsize=1024)
def _members(archive: Path, size: int, changed: int) -> Mapping[str, _Place]:
    found: dict[str, _Place] = {}
    names: set[str] = set()
    with archive.open("rb") as file:
        try:
            # Headers alone are read, and a member is never asked for by its name.
            with tarfile.TarFile(fileobj=_Headers(file)) as tar:  # type: ignore[arg-type]
                while (member := tar.next()) is not None:
                    tar.members = []  # type: ignore[attr-defined] # All that it remembers.
                    name = _plain_name(archive, member)
                    if name.lower() in names:
                        raise RefusedError(_harm(archive, member, "is there twice"))
                    names.add(name.lower())
                    if len(names) > MAX_MEMBERS:
                        raise RefusedError(f"{archive}: more than {MAX_MEMBERS:,} members")
                    if member.offset_data + member.size > size:
                        raise VideoError(f"{archive}: ends before its member {member.name!a} does")
                    if member.isfile():
                        found[name] = _Place(member.offset_data, member.size)
        except (tarfile.TarError, EOFError, OSError, ValueError) as error:
            if isinstance(error, VideoError | RefusedError):
                raise
            raise VideoError(f"{archive}: not an uncompressed tar archive ({error})") from error
    return found


class _Headers:
    """What reads headers from an archive; one that claims to be huge is not read."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.seek = file.seek
        self.tell = file.tell

    def read(self, size: int) -> bytes:
        if size > _MAX_HEADER:
            raise tarfile.ReadError(f"a header of {size:,} bytes")
        return self._file.read(size)


def _plain_name(archive: Path, member: tarfile.TarInfo) -> str:
    """Return a member's name, if it and the member are of a kind that a video needs.

    Raises:
        RefusedError: It names the member.
    """
    name = member.name.removeprefix("./")
    parts = name.replace("\\", "/").split("/")
    plain = member.type in (tarfile.REGTYPE, tarfile.AREGTYPE) and member.sparse is None
    if name.startswith(("/", "\\")) or ".." in parts or _DRIVE.match(name) or "\0" in name:
        raise RefusedError(_harm(archive, member, "leads out of the archive"))
    if not plain and not member.isdir():
        raise RefusedError(_harm(archive, member, "is a link, a device or else no plain file"))
    if name != posixpath.normpath(name) or (plain and name == "."):
        raise RefusedError(_harm(archive, member, "has an odd name"))
    if member.mode & _SET_ID:
        raise RefusedError(_harm(archive, member, "would run with the rights of others"))
    return name


def _harm(archive: Path, member: tarfile.TarInfo, what: str) -> str:
    return f"{archive}: member {member.name!a} {what}, so the archive is not read"
