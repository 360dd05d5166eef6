"""Opening a video file so that it can do no more than show its frames."""

import os
from collections.abc import Iterator
from contextlib import suppress
from io import RawIOBase
from pathlib import Path
from typing import TYPE_CHECKING, cast

import av
from av.container import InputContainer
from av.packet import Packet
from av.stream import Disposition
from av.video.stream import VideoStream

from marey.errors import VideoError
from marey.video._archive import open_bytes
from marey.video._verdict import Damage

# Generic to the type checker only.
if TYPE_CHECKING:
    VideoPacket = Packet[VideoStream]
else:
    VideoPacket = Packet

MAX_PIXELS = 64_000_000
"""Pixels of the largest frame that is decoded."""

# Formats that hold their own frames. Playlists (hls, dash, concat, image sequences) are left out:
# they make the decoder open other files, or addresses, that the file names.
_FORMATS = (
    "asf,avi,dv,flv,gif,h264,hevc,ivf,m4v,matroska,mov,mpeg,mpegts,mpegvideo,mxf,nut,ogg,rm,"
    "yuv4mpegpipe"
)
_READ_BYTES = 1 << 18
_MAX_FAILED_READS = 100


class VideoFile:
    """An open video file and its first video stream, decoded in one thread.

    Raises:
        VideoError: The file is missing or is no video.
    """

    def __init__(self, path: Path) -> None:
        self._bytes = _open_bytes(path)
        try:
            self.container = _open_container(path, self._bytes)
            self.stream = moving_stream(path, self.container)
        except BaseException:
            self._bytes.close()
            raise

    def close(self) -> None:
        """Let go of the file."""
        self.container.close()
        self._bytes.close()

    def packets(self, damage: Damage) -> Iterator[VideoPacket]:
        """Yield the stream's packets, the empty one that ends it too; read on after an error."""
        failures = 0
        number = 0
        while failures < _MAX_FAILED_READS:
            try:
                for packet in self.container.demux(self.stream):
                    failures = 0
                    number += 1
                    yield packet
            except (av.FFmpegError, OSError) as error:
                failures += 1
                damage.note("a part of the file cannot be read", f"packet {number}: {words(error)}")
            except IndexError:
                # PyAV does not expect streams that a damaged file seems to add at its end; the
                # packet that ends our stream came before.
                damage.note("a stream turns up midway", f"packet {number}")
                return
            else:
                return
        # The decoder still holds frames that only an empty packet brings out.
        end = cast("VideoPacket", Packet())
        end.stream = self.stream
        yield end


class _Nameless:
    """The bytes of a file, without its name: the decoder must judge by what is inside."""

    def __init__(self, file: RawIOBase) -> None:
        self.read = file.read
        self.seek = file.seek
        self.tell = file.tell


def words(error: Exception) -> str:
    """Return what the decoder says of an error, without numbers and file names."""
    return (getattr(error, "strerror", None) or str(error)).lower()


def _open_bytes(path: Path) -> RawIOBase:
    if os.path.isdir(path):  # noqa: PTH112 - Path.is_dir would raise on a name too long
        raise VideoError(f"{path} is a folder, not a video file")
    try:
        file = open_bytes(path)
    except FileNotFoundError:
        raise VideoError(f"{path} does not exist") from None
    except OSError as error:
        raise VideoError(f"{path} cannot be read: {words(error)}") from error
    if not file.seekable():
        file.close()
        raise VideoError(f"{path} is not a plain file; copy it to a disk first")
    if file.seek(0, 2) == 0:
        file.close()
        raise VideoError(f"{path} is empty (0 bytes)")
    file.seek(0)
    return file


def _open_container(path: Path, file: RawIOBase) -> InputContainer:
    try:
        return av.open(
            _Nameless(file),
            "r",
            metadata_errors="replace",
            buffer_size=_READ_BYTES,
            container_options={"format_whitelist": _FORMATS, "protocol_whitelist": ""},
        )
    except (av.FFmpegError, OSError) as error:
        raise VideoError(f"{path} is not a video: {words(error)}") from error


def moving_stream(path: Path | str, container: InputContainer) -> VideoStream:
    """Return the first video stream that is no cover picture, ready to decode in one thread.

    Raises:
        VideoError: There is none, or it cannot be decoded here; the container is closed.
    """
    moving = [s for s in container.streams.video if not s.disposition & Disposition.attached_pic]
    if not moving:
        kinds = sorted({stream.type for stream in container.streams})
        only = f", only {' and '.join(kinds)}" if kinds else ""
        container.close()
        raise VideoError(f"{path} holds no video stream{only}")
    stream = moving[0]
    context = stream.codec_context
    if context is None:
        container.close()
        raise VideoError(f"{path} is in a video format that cannot be decoded here")
    if context.width * context.height > MAX_PIXELS:
        size = f"{context.width}x{context.height}"
        container.close()
        raise VideoError(
            f"{path} has frames of {size} pixels; at most {MAX_PIXELS:,} pixels are decoded"
        )
    with suppress(RuntimeError):  # Raised only by a codec that is open already.
        context.thread_type = "NONE"
        context.thread_count = 1
    context.options = {**context.options, "max_pixels": str(MAX_PIXELS)}
    return stream
