"""Bytes that cannot stand in a sound stream, whatever the decoder makes of them."""

from av.video.stream import VideoStream

from marey.video._container import VideoPacket

_FORBIDDEN = (b"\0\0\0", b"\0\0\1", b"\0\0\2")


class ForbiddenBytes:
    """Looks for start codes inside the units of H.264 and HEVC packets.

    Arithmetic decoding takes nearly any bytes for pictures, so the decoder is silent about a
    hole of zeros, as a broken download leaves. But encoders never write these bytes within a
    unit (ITU-T H.264, 7.4.1).
    """

    def __init__(self, stream: VideoStream) -> None:
        self._length_bytes = _length_bytes(stream)

    def found_in(self, packet: VideoPacket) -> bool:
        """Return whether a unit of the packet holds such bytes."""
        size = self._length_bytes
        if size == 0 or packet.size == 0:
            return False
        data = bytes(packet)
        start = 0
        while start + size < len(data):
            end = start + size + int.from_bytes(data[start : start + size], "big")
            # Padding behind a unit is allowed.
            unit = data[start + size : end].rstrip(b"\0")
            if any(code in unit for code in _FORBIDDEN):
                return True
            start = end
        return False


def _length_bytes(stream: VideoStream) -> int:
    """Return how many bytes tell each unit's length, or 0 where units are marked otherwise."""
    context = stream.codec_context
    record = context.extradata or b""
    where = {"h264": 4, "hevc": 21}.get(context.codec.name)
    if where is None or len(record) <= where or record[0] != 1:
        return 0
    return (record[where] & 3) + 1
