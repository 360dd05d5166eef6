"""Decoding a video from its start, which says what its frames are, and decoding parts of it."""

from bisect import bisect_left, bisect_right
from collections.abc import Generator, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import av
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from marey.errors import VideoError
from marey.video._bitstream import ForbiddenBytes
from marey.video._container import VideoFile, VideoPacket, words
from marey.video._verdict import Damage

# Containers with an index of all packets and their time stamps. AVI has no place for the
# stamps of reordered frames, and transport streams are cut anywhere.
_INDEXED = {"mov,mp4,m4a,3gp,3g2,mj2", "matroska,webm"}
_MAX_EMPTY_PICTURE_BYTES = 19  # Packed B-frames leave packets that say "nothing new" behind.
_WORTH_A_SEEK = 12  # frames


class StampsLie(Exception):  # noqa: N818  Never leaves this package.
    """A video's time stamps led to another frame than the one they promised."""


@dataclass(slots=True)
class Packets:
    """What the packets of a stream say, without decoding."""

    count: int = 0
    """Packets that should give a frame each."""
    others: int = 0
    """Packets that need not give one: hidden by the container, or empty pictures."""
    stamps: list[int | None] = field(default_factory=list)
    keys: list[int] = field(default_factory=list)
    """Time stamps of the frames that decoding can start from."""
    hidden: bool = False

    def add(self, packet: VideoPacket, codec: str) -> None:
        """Count one packet."""
        if packet.size == 0:
            return
        empty = codec == "mpeg4" and packet.size <= _MAX_EMPTY_PICTURE_BYTES
        self.hidden |= packet.is_discard
        if empty or packet.is_discard:
            self.others += 1
        else:
            self.count += 1
        self.stamps.append(packet.pts)
        if packet.is_keyframe and packet.pts is not None:
            self.keys.append(packet.pts)

    def order(self) -> list[int] | None:
        """Return the stamps in the order of showing, or None if one cannot trust them."""
        stamps = [stamp for stamp in self.stamps if stamp is not None]
        whole = len(stamps) == len(self.stamps) == len(set(stamps)) and not self.hidden
        if not whole or self.others or not self.keys or min(stamps) != self.keys[0]:
            return None
        return sorted(stamps)


class DecodePass:
    """One decoding of a video from its start, which can stop after any frame.

    Raises:
        VideoError: The file is no video, or not one frame decodes.
    """

    def __init__(self, path: Path, *, budget: int) -> None:
        self.kept: list[VideoFrame] = []
        """The first frames, as many as fit into `budget` bytes."""
        self.stamps: list[int | None] = []
        self.packets = Packets()
        self.damage = Damage()
        self.file = VideoFile(path)
        self._budget = budget
        self._size = (0, 0)
        self._frame_bytes = 0
        self._frames = self._decode()
        self.first = next(self._frames, None)
        if self.first is None:
            self.file.close()
            why = "; ".join(self.damage.reasons()) or "the stream is empty"
            raise VideoError(f"{path}: no frame decodes: {why}")

    def finish(self) -> None:
        """Decode the rest and close the file."""
        for _ in self._frames:
            pass
        self.file.close()

    def frames(self) -> Iterator[VideoFrame]:
        """Yield every frame from the first, once, and close the file."""
        assert self.first is not None
        yield self.first
        yield from self._frames
        self.file.close()

    def close(self) -> None:
        """Let go of the file and the kept frames."""
        self._frames.close()
        self.file.close()
        self.kept.clear()

    def order(self) -> list[int] | None:
        """Return the stamps of the frames if the video can be entered anywhere by them."""
        order = self.packets.order()
        trusted = is_indexed(self.file) and not self.damage and order == self.stamps
        return order if trusted else None

    def _decode(self) -> Generator[VideoFrame]:
        codec = self.file.stream.codec.name
        forbidden = ForbiddenBytes(self.file.stream)
        for number, packet in enumerate(self.file.packets(self.damage)):
            self.packets.add(packet, codec)
            where = f"packet {number}"
            if packet.is_corrupt:
                self.damage.note("a packet is cut short", where)
            elif forbidden.found_in(packet):
                self.damage.note("a packet holds bytes that no encoder writes", where)
            for frame in decoded(packet, where, self.damage):
                if frame.is_corrupt:
                    self.damage.note("a frame is patched over damage", f"frame {len(self.stamps)}")
                self.stamps.append(frame.pts)
                self._keep(frame)
                yield frame

    def _keep(self, frame: VideoFrame) -> None:
        if (frame.height, frame.width) != self._size:
            self._size = frame.height, frame.width
            self._frame_bytes = sum(plane.buffer_size for plane in frame.planes)
        self._budget -= self._frame_bytes
        if self._budget >= 0:
            self.kept.append(frame)


def is_indexed(file: VideoFile) -> bool:
    """Return whether the container can be entered at any key frame."""
    return file.container.format.name in _INDEXED


def decoded(packet: VideoPacket, where: str, damage: Damage) -> Sequence[VideoFrame]:
    """Return the frames that come out of the decoder when a packet goes in."""
    try:
        return [frame for frame in packet.decode() if isinstance(frame, VideoFrame)]
    except av.FFmpegError as error:
        damage.note("a packet does not decode", f"{where}: {words(error)}")
        return []


def survey(path: Path) -> Packets:
    """Return what the packets of a video say; reads the file but decodes nothing."""
    file = VideoFile(path)
    damage = Damage()
    try:
        packets = Packets()
        if is_indexed(file):
            codec = file.stream.codec.name
            for packet in file.packets(damage):
                packets.add(packet, codec)
                packets.hidden |= packet.is_corrupt
        packets.hidden |= bool(damage)
        return packets
    finally:
        file.close()


def frames_from_start(path: Path, wanted: Iterable[int]) -> Iterator[tuple[int, VideoFrame]]:
    """Yield each wanted frame with its number, in one decoding from the start.

    Args:
        path: The video.
        wanted: Rising frame numbers.
    """
    file = VideoFile(path)
    try:
        ahead = iter(wanted)
        target = next(ahead, None)
        for number, frame in enumerate(_frames(file.packets(Damage()), Damage())):
            if number == target:
                yield number, frame
                target = next(ahead, None)
            if target is None:
                return
        raise VideoError(f"{path}: frame {target} decoded before but does not now; did it change?")
    finally:
        file.close()


def frames_by_stamp(
    path: Path, wanted: Iterable[int], order: Sequence[int], keys: Iterable[int]
) -> Iterator[tuple[int, VideoFrame]]:
    """Yield each wanted frame with its number, entering the video at key frames.

    Args:
        path: The video.
        wanted: Rising frame numbers.
        order: The time stamp of every frame.
        keys: Those of the key frames.

    Raises:
        StampsLie: A stamp leads elsewhere, or a packet does not decode.
    """
    file = VideoFile(path)
    keys = sorted(keys)
    damage = Damage()
    frames = _frames(file.packets(damage), damage)
    position = 0
    try:
        for number in wanted:
            key = keys[bisect_right(keys, order[number]) - 1]
            if bisect_left(order, key) > position + _WORTH_A_SEEK:
                frames = _frames(_packets_from(file, key, damage), damage)
            for frame in frames:
                if damage or frame.pts is None:
                    raise StampsLie
                if frame.pts >= order[number]:
                    break
            else:
                raise StampsLie
            if frame.pts != order[number] or frame.is_corrupt:
                raise StampsLie
            position = number + 1
            yield number, frame
    finally:
        file.close()


def _frames(packets: Iterable[VideoPacket], damage: Damage) -> Iterator[VideoFrame]:
    for number, packet in enumerate(packets):
        yield from decoded(packet, f"packet {number}", damage)


def _packets_from(file: VideoFile, key: int, damage: Damage) -> Iterator[VideoPacket]:
    """Yield the packets from the key frame at stamp `key`, or from one before it.

    Frames between an open group's key frame and its predecessor in time need the group before,
    so landing behind `key` would give wrong pictures with right stamps.
    """
    stream: VideoStream = file.stream
    file.container.seek(key, stream=stream)
    packets = file.packets(damage)
    first = next(packets)
    if first.pts is None or first.pts > key:
        raise StampsLie
    yield first
    yield from packets
