"""What another decoder says of a video that the first one finds sound."""

from pathlib import Path

import av

from marey.errors import VideoError
from marey.video._container import VideoFile, words
from marey.video._verdict import Damage

# FFmpeg's own decoder of VP9 takes any bytes for symbols; libvpx sees when they run out.
_STRICTER = {"vp9": "libvpx-vp9"}
_EIGHT_BITS = {"yuv420p", "yuva420p", "yuv422p", "yuv440p", "yuv444p", "gbrp"}  # In all builds.


def second_opinion(path: Path, codec: str, pixels: str) -> str:
    """Return what a stricter decoder finds wrong with a video; empty if nothing, or there is none.

    Args:
        path: The video.
        codec: The decoder that finds it sound.
        pixels: Their format, as FFmpeg calls it.
    """
    stricter = _STRICTER.get(codec)
    if stricter not in av.codecs_available or pixels not in _EIGHT_BITS:
        return ""
    decoder = av.VideoCodecContext.create(stricter, "r")
    assert isinstance(decoder, av.VideoCodecContext)
    decoder.thread_count = 1
    damage = Damage()
    try:
        file = VideoFile(path)
    except VideoError as error:
        return str(error)
    try:
        for number, packet in enumerate(file.packets(damage)):
            try:
                decoder.decode(packet if packet.size else None)
            except av.EOFError:
                break
            except av.FFmpegError as error:
                damage.note("a packet does not decode strictly", f"packet {number}: {words(error)}")
    finally:
        file.close()
    return "; ".join(damage.reasons())
