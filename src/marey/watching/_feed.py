"""Open sources, and the frames that they give."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import NamedTuple

import av
from av.container import InputContainer
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from marey.errors import VideoError
from marey.video import VideoFile, VideoPacket, moving_stream, words

# What a server may make the decoder open: other addresses by the same few protocols, no files.
_PROTOCOLS = {
    "rtsp": "rtsp,rtp,udp,tcp",
    "rtsps": "rtsp,rtsps,rtp,tcp,tls",
    "http": "http,https,httpproxy,tcp,tls",
    "https": "https,httpproxy,tcp,tls",
}
# Formats that hold their own frames; playlists would make the decoder open what they name.
_FORMATS = (
    "asf,avi,flv,h264,hevc,ivf,m4v,matroska,mjpeg,mov,mpeg,mpegts,mpegvideo,mpjpeg,nut,ogg,rtsp,"
    "yuv4mpegpipe"
)
_OPEN_SECONDS = 10.0
_READ_SECONDS = 5.0
_PROBE_MICROSECONDS = 2_000_000
_MAX_FAILED_READS = 100
_FPS_OF_STREAMS_WITHOUT = 25


class Piece(NamedTuple):
    """Some bytes of a video, which decode to no frame, to one or to several."""

    time: float
    """When they are due, in seconds from the beginning."""

    frames: Callable[[], Sequence[tuple[VideoFrame, float]]]
    """Decodes them to frames and the times at which those are shown, in seconds likewise."""


@dataclass(frozen=True, slots=True)
class Feed:
    """A source that is open."""

    pieces: Iterator[Piece]
    """Raises VideoError when the source is lost."""

    close: Callable[[], None]
    recorded: bool
    """Whether all is there already: then it comes as fast as it is asked for, and has an end."""


def file_feed(path: Path) -> Feed:
    """Open a video file.

    Raises:
        VideoError: It is no video.
    """
    file = VideoFile(path)
    pieces = _pieces(file.container, file.stream, str(path), forgiving=True)
    return Feed(pieces, file.close, recorded=True)


def camera_feed(device: Path) -> Feed:
    """Open a camera, which gives pictures of the size and the kind that it likes best.

    Raises:
        VideoError: It does not open, because it is in use or gone.
    """
    return _opened(str(device), str(device), container_format="v4l2", options={})


def address_feed(address: str, name: str) -> Feed:
    """Open an address.

    Args:
        address: Its scheme is rtsp, rtsps, http or https.
        name: What to call it in messages.

    Raises:
        VideoError: Nobody answers within ten seconds, or what comes is no video.
    """
    scheme = address.partition(":")[0].lower()
    options = {
        "protocol_whitelist": _PROTOCOLS[scheme],
        "format_whitelist": _FORMATS,
        "analyzeduration": str(_PROBE_MICROSECONDS),
    }
    if scheme.startswith("rtsp"):
        # Over UDP, lost packets would be pictures with holes.
        options["rtsp_transport"] = "tcp"
    return _opened(address, name, container_format=None, options=options)


def _opened(
    place: str, name: str, *, container_format: str | None, options: dict[str, str]
) -> Feed:
    try:
        container = av.open(
            place,
            "r",
            format=container_format,
            container_options=options,
            metadata_errors="replace",
            timeout=(_OPEN_SECONDS, _READ_SECONDS),
        )
    except (av.FFmpegError, OSError) as error:
        raise VideoError(f"{name} cannot be opened: {_why(error)}") from error
    stream = moving_stream(name, container)
    # A server of RTSP keeps time itself, of recordings too.
    recorded = container.format.name != "rtsp" and container.duration is not None
    pieces = _pieces(container, stream, name, forgiving=False)
    return Feed(pieces, container.close, recorded=recorded)


def _pieces(
    container: InputContainer, stream: VideoStream, name: str, *, forgiving: bool
) -> Iterator[Piece]:
    """Yield what comes; go on after bytes of a file that cannot be read, if `forgiving`."""
    times = _Times(stream)
    failures = 0
    while True:
        try:
            for packet in container.demux(stream):
                failures = 0
                yield Piece(times.of(packet), partial(_decoded, packet, times))
            return
        except (av.FFmpegError, OSError) as error:
            failures += 1
            if not forgiving or failures > _MAX_FAILED_READS:
                raise VideoError(f"{name} gives nothing more: {_why(error)}") from error
        except IndexError:
            return  # PyAV does not expect streams that turn up midway, as damaged files have.


def _decoded(packet: VideoPacket, times: "_Times") -> Sequence[tuple[VideoFrame, float]]:
    """Return the frames that a packet completes; none if it is damaged."""
    try:
        frames = [frame for frame in packet.decode() if isinstance(frame, VideoFrame)]
    except av.FFmpegError:
        return []
    return [(frame, times.of_frame(frame)) for frame in frames]


class _Times:
    """Times of packets and frames, in seconds from the first of each; counted if not written."""

    def __init__(self, stream: VideoStream) -> None:
        rate = stream.average_rate or stream.guessed_rate or _FPS_OF_STREAMS_WITHOUT
        self._step = 1 / float(rate)
        self._origin: float | None = None
        self._first_frame: float | None = None
        self._packet = -self._step
        self._frame = -self._step

    def of(self, packet: VideoPacket) -> float:
        following = self._packet + self._step
        # Matroska leaves the first out, and the packet that ends a stream has none either.
        if packet.dts is None or packet.time_base is None:
            self._packet = following
        else:
            written = float(packet.dts * packet.time_base)
            if self._origin is None:
                self._origin = written - following
            self._packet = written - self._origin
        return self._packet

    def of_frame(self, frame: VideoFrame) -> float:
        if frame.pts is None or frame.time_base is None:
            self._frame += self._step
        else:
            written = float(frame.pts * frame.time_base)
            self._first_frame = written if self._first_frame is None else self._first_frame
            self._frame = written - self._first_frame
        return self._frame


def _why(error: Exception) -> str:
    """Return the decoder's words, or our own where it just says that it was made to stop."""
    if isinstance(error, av.ExitError):
        return "no answer in time"
    return words(error)
