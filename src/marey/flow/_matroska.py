"""Whether a Matroska file is whole, by the checksums in it.

FFmpeg writes a CRC-32 into each large part of the file but looks at none when it reads, so a
flipped bit would come out as flow like any other.
"""

import mmap
import zlib
from pathlib import Path

_EBML, _SEGMENT = b"\x1a\x45\xdf\xa3", b"\x18\x53\x80\x67"
_VOID = b"\xec"
_CRC = b"\xbf\x84"
_CRC_BYTES = 6  # with the two above
# What FFmpeg puts into a segment: seek head, info, tracks, tags, clusters, cues.
_PARTS = frozenset(
    bytes.fromhex(name)
    for name in ("114d9b74", "1549a966", "1654ae6b", "1254c367", "1f43b675", "1c53bb6b")
)


def damage_of(path: Path) -> str:
    """Return what is wrong with a file that FFmpeg wrote; empty if nothing is."""
    with path.open("rb") as file:
        if file.seek(0, 2) == 0:
            return "it is empty"
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            return _damage(data)


def _damage(data: mmap.mmap) -> str:
    name, start, end = _element(data, 0)
    if name != _EBML:
        return "it is no Matroska file"
    name, start, end = _element(data, end)
    if name != _SEGMENT:
        return "it is no Matroska file"
    if end != len(data):
        return f"it has {len(data)} bytes, not {end}"
    while start < end:
        name, inside, behind = _element(data, start)
        if behind > end or name not in _PARTS | {_VOID}:
            return f"no part of a file begins at byte {start}"
        if name != _VOID and not _is_intact(data, inside, behind):
            return f"the checksum of the part at byte {start} is wrong"
        start = behind
    return ""


def _element(data: mmap.mmap, start: int) -> tuple[bytes, int, int]:
    """Return the name of an element, and where its content begins and ends."""
    size_at = start + _length(data, start)
    length = _length(data, size_at)
    inside = size_at + length
    # All bits but those that tell the length.
    size = int.from_bytes(data[size_at:inside], "big") & ((1 << 7 * length) - 1)
    return data[start:size_at], inside, inside + size


def _length(data: mmap.mmap, start: int) -> int:
    """Return the bytes of a number, which its first byte tells by the zeros it begins with."""
    return 9 - data[start].bit_length() if start < len(data) else 1


def _is_intact(data: mmap.mmap, start: int, end: int) -> bool:
    content = start + _CRC_BYTES
    if data[start : start + len(_CRC)] != _CRC:
        return False
    told = int.from_bytes(data[start + len(_CRC) : content], "little")
    with memoryview(data) as view, view[content:end] as part:
        return zlib.crc32(part) == told
