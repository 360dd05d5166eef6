"""What a container announces is compared with what is there."""

import math
import struct

import pytest

from marey.video._structure import structural_damage


def chunk(name: bytes, body: bytes, *, padded: bool = True) -> bytes:
    padding = b"\0" * (len(body) % 2) if padded else b""
    return name + len(body).to_bytes(4, "little") + body + padding


def riff(*chunks: bytes) -> bytes:
    return chunk(b"RIFF", b"AVI " + chunk(b"LIST", b"movi" + b"".join(chunks)))


@pytest.mark.parametrize("padded", [True, False])
def test_chunks_of_odd_length_may_lack_their_padding(padded, tmp_path):
    path = tmp_path / "a.avi"
    odd, even = chunk(b"00dc", b"abc", padded=padded), chunk(b"01wb", b"abcd")
    path.write_bytes(riff(odd, even, odd, odd, even))
    assert structural_damage(path, "avi") == ""


def test_a_hole_between_chunks_is_found_at_its_byte(tmp_path):
    path = tmp_path / "a.avi"
    path.write_bytes(riff(chunk(b"00dc", b"abcd"), bytes(20), chunk(b"00dc", b"abcd")))
    # Two heads of twelve bytes and a chunk of twelve stand before it.
    assert structural_damage(path, "avi") == "the structure breaks at byte 36"


@pytest.mark.parametrize(
    ("second", "sound"), [(b"01wb", True), (b"rec ", True), (bytes(4), True), (b"d\0\0\1", False)]
)
def test_an_index_that_names_no_chunks_is_damaged(second, sound, tmp_path):
    path = tmp_path / "a.avi"
    index = chunk(b"idx1", b"00dc" + bytes(12) + second + bytes(12))
    movi = chunk(b"LIST", b"movi" + chunk(b"00dc", b"abcd"))
    path.write_bytes(chunk(b"RIFF", b"AVI " + movi + index))
    # Two heads of twelve bytes and a chunk of twelve stand before it.
    assert structural_damage(path, "avi") == ("" if sound else "the index at byte 36 is damaged")


@pytest.mark.parametrize(("missing", "damaged"), [(0, False), (1, True), (9, True)])
def test_a_box_that_is_longer_than_the_file_is_an_early_end(missing, damaged, tmp_path):
    path = tmp_path / "a.mp4"
    boxes = b"\0\0\0\x0cftypisom" + b"\0\0\0\x14mdat" + bytes(12)
    path.write_bytes(boxes[: len(boxes) - missing])
    expected = f"the file ends early: it has {32 - missing} bytes and announces 32"
    assert structural_damage(path, "mov,mp4,m4a,3gp,3g2,mj2") == (expected if damaged else "")


@pytest.mark.parametrize(("bytes_left", "damaged"), [(0, False), (1, True), (187, True)])
def test_a_transport_stream_that_ends_within_a_packet_ends_early(bytes_left, damaged, tmp_path):
    path = tmp_path / "a.ts"
    packet = b"\x47" + bytes(187)
    path.write_bytes(5 * packet + packet[:bytes_left])
    expected = f"the file ends early: its last packet has {bytes_left} of 188 bytes"
    assert structural_damage(path, "mpegts") == (expected if damaged else "")


@pytest.mark.parametrize(
    ("size", "expected"),
    [
        (55, ""),
        (53, "the file ends early: it has 53 bytes and announces 55"),
        (51, ""),  # The last length is left out.
        (50, "the file ends early: it has 50 bytes and announces 51"),
        (38, "the file ends early: it has 38 bytes and announces 51"),
        (34, ""),  # Between two tags.
    ],
)
def test_flash_videos_are_tags_one_behind_the_other(size, expected, tmp_path):
    path = tmp_path / "a.flv"
    tag = b"\x09\0\0\x06" + bytes(7) + b"abcdef" + b"\0\0\0\x11"
    path.write_bytes((b"FLV\1\1\0\0\0\x09" + bytes(4) + 2 * tag)[:size])
    assert structural_damage(path, "flv") == expected


@pytest.mark.parametrize("told", [b"", struct.pack(">d", 0.0), struct.pack(">d", math.nan)])
def test_a_flash_video_need_not_say_how_large_it_is(told, tmp_path):
    path = tmp_path / "a.flv"
    path.write_bytes(flash_video(b"\0\x08filesize\0" + told))
    assert structural_damage(path, "flv") == ""


def test_a_flash_video_cut_between_two_tags_is_smaller_than_it_says(tmp_path):
    path = tmp_path / "a.flv"
    # Heads of 13, 11 and 11 bytes, 19 of words, 5 of video, and two lengths of 4.
    words = b"\0\x08filesize\0" + struct.pack(">d", 67.0)
    path.write_bytes(flash_video(words))
    assert structural_damage(path, "flv") == ""
    path.write_bytes(flash_video(words)[:-20])
    wrong = "the file ends early: it has 47 bytes and announces 67"
    assert structural_damage(path, "flv") == wrong


def flash_video(words: bytes) -> bytes:
    """Return words about a video and a tag of five bytes of it."""
    tags = [(b"\x12", words), (b"\x09", b"abcde")]
    whole = [
        kind + len(body).to_bytes(3, "big") + bytes(7) + body + (11 + len(body)).to_bytes(4, "big")
        for kind, body in tags
    ]
    return b"FLV\1\1\0\0\0\x09" + bytes(4) + b"".join(whole)


def test_a_flash_tag_of_no_known_kind_is_a_break(tmp_path):
    path = tmp_path / "a.flv"
    path.write_bytes(b"FLV\1\1\0\0\0\x09" + bytes(4) + bytes(21))
    assert structural_damage(path, "flv") == "the structure breaks at byte 13"


def test_other_containers_are_left_to_the_decoder(tmp_path):
    path = tmp_path / "a.wmv"
    path.write_bytes(b"anything")
    assert structural_damage(path, "asf") == ""
