"""Writing videos. Axes: T frames, H rows, W columns, C channels."""

from fractions import Fraction
from os import PathLike
from pathlib import Path
from typing import Literal

import av
import numpy as np
from av.video.frame import VideoFrame
from av.video.stream import VideoStream
from jaxtyping import UInt8

from marey.durable import complete_file
from marey.errors import UsageError
from marey.video._output import open_output

Codec = Literal["libx264", "mpeg4"]

_CONTAINERS: dict[str, tuple[str, Codec]] = {
    ".avi": ("avi", "mpeg4"),
    ".mkv": ("matroska", "libx264"),
    ".mp4": ("mp4", "libx264"),
}
# Hardly a visible difference to the frames given.
_QUALITY: dict[Codec, dict[str, str]] = {
    "libx264": {"crf": "18", "preset": "fast"},
    "mpeg4": {"qmin": "2", "qmax": "4"},
}
_MAX_DENOMINATOR = 1001  # 30000/1001, the finest frame rate in use, and within MPEG-4's 16 bits.


def write_video(
    path: str | PathLike[str],
    frames: UInt8[np.ndarray, "T H W 3"],
    *,
    fps: float = 25.0,
    codec: Codec | None = None,
) -> None:
    """Write a video that appears only when it is complete.

    Sides of odd length are kept: H.264 then stores colour at full resolution, which some
    players do not show.

    Args:
        path: Ends in .mp4, .mkv or .avi.
        frames: RGB.
        fps: Frames per second, to the nearest fraction with a denominator up to 1001.
        codec: H.264 in .mp4 and .mkv and MPEG-4 in .avi if not given.

    Raises:
        UsageError: There is no frame, or the ending or the rate is impossible.
    """
    path = Path(path)
    if path.suffix.lower() not in _CONTAINERS:
        endings = ", ".join(_CONTAINERS)
        raise UsageError(f"a video's name ends in {endings}, got {path.name!r}")
    if frames.size == 0:
        raise UsageError(f"{path} would have no picture: the frames have shape {frames.shape}")
    rate = Fraction(fps).limit_denominator(_MAX_DENOMINATOR) if 0 < fps < 1e4 else Fraction(0)
    if rate <= 0:
        raise UsageError(f"fps must lie between 0.001 and 10,000, got {fps}")
    container, usual = _CONTAINERS[path.suffix.lower()]
    options = {"movflags": "+faststart"} if container == "mp4" else {}
    with (
        complete_file(path) as temporary,
        open_output(temporary, container=container, options=options) as output,
    ):
        codec = codec or usual
        stream = output.add_stream(codec, rate=rate, options=_QUALITY[codec])
        assert isinstance(stream, VideoStream)
        _encode(output, stream, frames)


def _encode(
    output: av.container.OutputContainer, stream: VideoStream, frames: UInt8[np.ndarray, "T H W 3"]
) -> None:
    stream.height, stream.width = frames.shape[1:3]
    odd = stream.height % 2 or stream.width % 2
    full = odd and stream.codec_context.name == "libx264"
    stream.pix_fmt = "yuv444p" if full else "yuv420p"
    stream.thread_count = 1
    for picture in frames:
        frame = VideoFrame.from_ndarray(np.ascontiguousarray(picture), format="rgb24")
        output.mux(stream.encode(frame))
    output.mux(stream.encode(None))
