"""Whether a Matroska file, WebM too, holds the parts that it announces (RFC 9559, 5.1)."""

from collections import Counter
from collections.abc import Iterator
from typing import BinaryIO, NamedTuple

_SEGMENT = 0x18538067
_TRACKS = 0x1654AE6B
_TRACK = 0xAE
_TRACK_NUMBER = 0xD7
_TRACK_TYPE = 0x83
_CLUSTER = 0x1F43B675
_SIMPLE_BLOCK = 0xA3
_BLOCK_GROUP = 0xA0
_BLOCK = 0xA1
_VIDEO = 1
_ON_TOP = {
    0x114D9B74,  # SeekHead
    0x1549A966,  # Info
    _TRACKS,
    0x1C53BB6B,  # Cues
    0x1941A469,  # Attachments
    0x1043A770,  # Chapters
    0x1254C367,  # Tags
    _CLUSTER,
    0xEC,  # Void
    0xBF,  # CRC-32
}
_IN_CLUSTER = {
    0xE7,  # Timestamp
    _SIMPLE_BLOCK,
    _BLOCK_GROUP,
    0xA7,  # Position
    0xAB,  # PrevSize
    0x5854,  # SilentTracks
    0xAF,  # EncryptedBlock
    0xEC,  # Void
    0xBF,  # CRC-32
}


class _Element(NamedTuple):
    name: int
    body: int
    length: int | None
    """None where the writer could not know."""

    @property
    def end(self) -> int:
        return self.body + (self.length or 0)


class Segment:
    """Walks through a file's segment and counts what lies in it."""

    def __init__(self, file: BinaryIO, size: int) -> None:
        self._file = file
        self._size = size
        self._videos: list[int] = []
        self._blocks: Counter[int] = Counter()

    def damage(self) -> str:
        """Check that segment and clusters hold one known element behind the other."""
        place = 0
        while place < self._size:
            element = self._element(place)
            if element is None:
                return ""  # Something behind the segment: no concern of the video.
            if element.length is None:  # A live recording: its clusters have no ends either.
                return ""
            if element.name != _SEGMENT:
                place = element.end
            elif element.end > self._size:
                ends = f"it has {self._size:,} bytes and announces {element.end:,}"
                return f"the file ends early: {ends}"
            else:
                return self._inside(element.body, element.end)
        return ""

    @property
    def video_blocks(self) -> int | None:
        """Return how many blocks the only video track has; None if there is not just one."""
        return self._blocks[self._videos[0]] if len(self._videos) == 1 else None

    def _inside(self, place: int, end: int) -> str:
        cluster_end = 0
        while place < end:
            in_cluster = place < cluster_end
            element = self._element(place)
            if element is None or element.name not in (_IN_CLUSTER if in_cluster else _ON_TOP):
                return f"the structure breaks at byte {place:,}"
            if element.length is None:
                self._videos.clear()
                return ""
            if element.end > (cluster_end if in_cluster else end):
                return f"the structure breaks at byte {place:,}"
            place = element.end
            if element.name == _CLUSTER:
                cluster_end, place = element.end, element.body
            elif element.name == _TRACKS:
                self._count_tracks(element)
            elif element.name in (_SIMPLE_BLOCK, _BLOCK_GROUP):
                self._count_block(element)
        return ""

    def _count_tracks(self, tracks: _Element) -> None:
        for track in self._children(tracks):
            if track.name == _TRACK:
                about = {part.name: self._number(part) for part in self._children(track)}
                if about.get(_TRACK_TYPE) == _VIDEO:
                    self._videos.append(about.get(_TRACK_NUMBER, 0))

    def _count_block(self, element: _Element) -> None:
        group = self._children(element) if element.name == _BLOCK_GROUP else iter([element])
        for block in group:
            if block.name in (_BLOCK, _SIMPLE_BLOCK):
                self._file.seek(block.body)
                track = int.from_bytes(self._file.read(1), "big")
                if track & 0x80:  # Else it goes on: there are more than a hundred tracks.
                    self._blocks[track & 0x7F] += 1

    def _children(self, parent: _Element) -> Iterator[_Element]:
        place = parent.body
        while place < parent.end:
            child = self._element(place)
            if child is None or child.length is None or child.end > parent.end:
                return
            yield child
            place = child.end

    def _number(self, element: _Element) -> int:
        self._file.seek(element.body)
        return int.from_bytes(self._file.read(min(element.length or 0, 8)), "big")

    def _element(self, place: int) -> _Element | None:
        self._file.seek(place)
        head = self._file.read(12)
        if not head or head[0] < 0x10:
            return None
        name_bytes = 9 - head[0].bit_length()
        if len(head) <= name_bytes or head[name_bytes] == 0:
            return None
        size_bytes = 9 - head[name_bytes].bit_length()
        data = head[name_bytes : name_bytes + size_bytes]
        if len(data) < size_bytes:
            return None
        unknown = (1 << 7 * size_bytes) - 1
        length = int.from_bytes(data, "big") & unknown
        name = int.from_bytes(head[:name_bytes], "big")
        return _Element(
            name, place + name_bytes + size_bytes, None if length == unknown else length
        )
