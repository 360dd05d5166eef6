"""Whether the parts of a container fill the file as they say: the decoder forgives a lot."""

import io
import re
from collections.abc import Callable
from functools import partial
from pathlib import Path
from struct import unpack
from typing import BinaryIO

from marey.video._archive import open_bytes
from marey.video._matroska import Segment

_TRANSPORT_MARK = b"\x47"
_FLASH_WORDS = 18
_FLASH_TAGS = {8, 9, _FLASH_WORDS}  # sound, video, words about them
_FLASH_SIZE = b"\0\x08filesize\0"  # and a number follows

# Names of chunks: of a stream's data (00dc), of an index (ix00), or words (JUNK).
_RIFF_NAME = re.compile(rb"[0-9A-Fa-f]{2}[A-Za-z]{2}|ix[0-9A-Fa-f]{2}|[A-Za-z][A-Za-z0-9_ ]{3}")
# What an index of 16 bytes for each chunk may name.
_RIFF_INDEXED = re.compile(rb"[0-9A-Fa-f]{2}[A-Za-z]{2}|rec ")


def structural_damage(path: Path, format_name: str, *, packets: int | None = None) -> str:
    """Return what is wrong with the file's structure, or an empty string.

    Args:
        path: The video.
        format_name: The container as the decoder calls it.
        packets: How many packets of the video were found, if all were looked for.
    """
    walks: dict[str, Callable[[BinaryIO, int], str]] = {
        "avi": _walk_riff,
        "mov,mp4,m4a,3gp,3g2,mj2": _walk_boxes,
        "matroska,webm": partial(_walk_matroska, packets=packets),
        "mpegts": _walk_transport,
        "flv": _walk_flash,
    }
    if format_name not in walks:
        return ""
    with io.BufferedReader(open_bytes(path)) as file:
        size = file.seek(0, 2)
        return walks[format_name](file, size)


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
        if name == b"idx1" and not _is_index(file, place + 8, length):
            return f"the index at byte {place:,} is damaged"
        inside = name == b"LIST" and head[8:12] in (b"movi", b"rec ")
        padding = 0 if inside else length % 2
        place += 12 if inside else 8 + length + padding
    return ""


def _is_index(file: BinaryIO, place: int, length: int) -> bool:
    """Return whether each entry names a kind of chunk; what was never filled in is zero."""
    file.seek(place)
    entries = file.read(length).rstrip(b"\0")
    names = {entries[at : at + 4] for at in range(0, len(entries), 16)}
    return all(map(_RIFF_INDEXED.fullmatch, names))


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
    told = 0
    place = int.from_bytes(head[5:], "big") + 4
    while place < size:
        file.seek(place)
        tag = file.read(4)
        kind, length = tag[0] & 0x1F, int.from_bytes(tag[1:], "big")
        if kind not in _FLASH_TAGS:
            return f"the structure breaks at byte {place:,}"
        if kind == _FLASH_WORDS:
            told = told or _told_size(file.read(7 + length))
        place += 15 + length
    # Some writers leave out the last length.
    return _cut_short(size, max(told, place if size > place - 4 else place - 4))


def _told_size(words: bytes) -> int:
    """Return the size of the file by its own words; 0 if they do not say."""
    _, found, number = words.partition(_FLASH_SIZE)
    if not found or len(number) < 8:
        return 0
    (size,) = unpack(">d", number[:8])
    return int(size) if 0 < size < 1 << 53 else 0


def _walk_matroska(file: BinaryIO, size: int, packets: int | None) -> str:
    segment = Segment(file, size)
    damage = segment.damage()
    blocks = segment.video_blocks
    if damage or packets is None or blocks is None or blocks <= packets:
        return damage
    return f"{blocks - packets} of {blocks} blocks of video cannot be read"
