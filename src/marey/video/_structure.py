"""Whether the parts of a container fill the file as they say: the decoder forgives a lot."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

_TRANSPORT_MARK = b"\x47"
_FLASH_TAGS = {8, 9, 18}  # sound, video, words about them
_EBML_SEGMENT = 0x18538067
_EBML_CLUSTER = 0x1F43B675
# What stands in a Matroska segment, and in a cluster of it (RFC 9559, 5.1).
_IN_SEGMENT = {
    0x114D9B74,  # SeekHead
    0x1549A966,  # Info
    0x1654AE6B,  # Tracks
    0x1C53BB6B,  # Cues
    0x1941A469,  # Attachments
    0x1043A770,  # Chapters
    0x1254C367,  # Tags
    _EBML_CLUSTER,
    0xEC,  # Void
    0xBF,  # CRC-32
}
_IN_CLUSTER = {
    0xE7,  # Timestamp
    0xA3,  # SimpleBlock
    0xA0,  # BlockGroup
    0xA7,  # Position
    0xAB,  # PrevSize
    0x5854,  # SilentTracks
    0xAF,  # EncryptedBlock
    0xEC,  # Void
    0xBF,  # CRC-32
}

# Names of chunks: of a stream's data (00dc), of an index (ix00), or words (JUNK).
_RIFF_NAME = re.compile(rb"[0-9A-Fa-f]{2}[A-Za-z]{2}|ix[0-9A-Fa-f]{2}|[A-Za-z][A-Za-z0-9_ ]{3}")


def structural_damage(path: Path, format_name: str) -> str:
    """Return what is wrong with the file's structure, or an empty string.

    Args:
        path: The video.
        format_name: The container as the decoder calls it.
    """
    walk: Callable[[BinaryIO, int], str] | None = {
        "avi": _walk_riff,
        "mov,mp4,m4a,3gp,3g2,mj2": _walk_boxes,
        "matroska,webm": _walk_matroska,
        "mpegts": _walk_transport,
        "flv": _walk_flash,
    }.get(format_name)
    if walk is None:
        return ""
    with path.open("rb") as file:
        size = file.seek(0, 2)
        return walk(file, size)


def _cut_short(size: int, end: int) -> str:
    return f"the file ends early: it has {size:,} bytes and announces {end:,}" if end > size else ""


def _walk_riff(file: BinaryIO, size: int) -> str:
    """Check the length of each RIFF list, of which long films have several, and its chunks."""
    place = 0
    while place + 8 <= size:
        file.seek(place)
        head = file.read(8)
        length = int.from_bytes(head[4:], "little")
        # Recorders that were stopped short, and streams, leave the length at zero or at its end.
        if head[:4] != b"RIFF" or length in (0, 0xFFFFFFFF):
            return ""
        end = place + 8 + length
        trouble = _cut_short(size, end) or _walk_chunks(file, place + 12, end)
        if trouble:
            return trouble
        place = end + length % 2
    return ""


def _walk_chunks(file: BinaryIO, place: int, end: int) -> str:
    """Check that chunks of known kinds stand one behind the other, in lists of frames too."""
    padding = 0
    while place + 8 <= end:
        file.seek(place - padding)
        head = file.read(12 + padding)
        # Some writers leave out the byte that makes lengths even.
        if padding and not _RIFF_NAME.fullmatch(head[1:5]):
            place -= 1
        else:
            head = head[padding:]
        name, length = head[:4], int.from_bytes(head[4:8], "little")
        if not _RIFF_NAME.fullmatch(name) or place + 8 + length > end:
            return f"the structure breaks at byte {place:,}"
        inside = name == b"LIST" and head[8:12] in (b"movi", b"rec ")
        padding = 0 if inside else length % 2
        place += 12 if inside else 8 + length + padding
    return ""


def _walk_boxes(file: BinaryIO, size: int) -> str:
    place = 0
    while place + 8 <= size:
        file.seek(place)
        head = file.read(16)
        length = int.from_bytes(head[:4], "big")
        if length == 1:
            length = int.from_bytes(head[8:], "big")
        if length == 0:  # Up to the end of the file.
            return ""
        if length < 8:
            return f"the structure breaks at byte {place:,}"
        place += length
    return _cut_short(size, place)


def _walk_transport(file: BinaryIO, size: int) -> str:
    """Check the mark at the start of each packet; camcorders put four bytes before it."""
    file.seek(0)
    head = file.read(4 * 204)
    for length, first in ((188, 0), (192, 4), (204, 0)):
        if head[first::length][:4].count(_TRANSPORT_MARK) == min(4, (size - first) // length + 1):
            break
    else:
        return ""
    place = first
    while place < size:
        file.seek(place)
        marks = file.read(4096 * length)[::length]
        sound = len(marks) - len(marks.lstrip(_TRANSPORT_MARK))
        if sound < len(marks):
            return f"the structure breaks at byte {place + sound * length:,}"
        place += len(marks) * length
    left = size % length
    return f"the file ends early: its last packet has {left} of {length} bytes" if left else ""


def _walk_flash(file: BinaryIO, size: int) -> str:
    """Check that tags of known kinds stand one behind the other, each followed by its length."""
    file.seek(0)
    head = file.read(9)
    if head[:3] != b"FLV":
        return ""
    place = int.from_bytes(head[5:], "big") + 4
    while place < size:
        file.seek(place)
        tag = file.read(4)
        if tag[0] & 0x1F not in _FLASH_TAGS:
            return f"the structure breaks at byte {place:,}"
        place += 15 + int.from_bytes(tag[1:], "big")
    # Some writers leave out the last length.
    return _cut_short(size, place if size > place - 4 else place - 4)


def _walk_matroska(file: BinaryIO, size: int) -> str:
    """Check that segment and clusters hold one known element behind the other."""
    place = 0
    while place < size:
        head = _element(file, place)
        if head is None:
            return ""  # Something behind the segment: no concern of the video.
        name, body, length = head
        if length is None:  # A live recording: its clusters have no ends either.
            return ""
        if name == _EBML_SEGMENT:
            return _cut_short(size, body + length) or _walk_segment(file, body, body + length)
        place = body + length
    return ""


def _walk_segment(file: BinaryIO, place: int, end: int) -> str:
    cluster_end = 0
    while place < end:
        inside = place < cluster_end
        head = _element(file, place)
        if head is None or head[0] not in (_IN_CLUSTER if inside else _IN_SEGMENT):
            return f"the structure breaks at byte {place:,}"
        name, body, length = head
        if length is None:
            return ""
        if body + length > (cluster_end if inside else end):
            return f"the structure breaks at byte {place:,}"
        if name == _EBML_CLUSTER:
            cluster_end = body + length
            place = body
        else:
            place = body + length
    return ""


def _element(file: BinaryIO, place: int) -> tuple[int, int, int | None] | None:
    """Return an element's name, where its body starts and how long that is (None: unknown)."""
    file.seek(place)
    head = file.read(12)
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
    return name, place + name_bytes + size_bytes, None if length == unknown else length
