"""Blocks of video in a Matroska file are counted beside the packets that the decoder finds."""

import av
import pytest

from marey.video import check_video
from marey.video._structure import structural_damage

VIDEO, SOUND = 1, 2


def element(name: str, *parts: bytes) -> bytes:
    body = b"".join(parts)
    return bytes.fromhex(name) + size(body) + body


def size(body: bytes) -> bytes:
    return (len(body) | 1 << 28).to_bytes(4, "big")


def track(number: int, kind: int) -> bytes:
    return element("ae", element("d7", bytes([number])), element("83", bytes([kind])))


def block(track: int) -> bytes:
    return element("a3", bytes([0x80 | track]) + b"\0\0\x80picture")


def grouped_block(track: int) -> bytes:
    inside = element("a1", bytes([0x80 | track]) + b"\0\0\0picture")
    return element("a0", inside, element("9b", b"\x28"))


def film(*clusters: bytes, tracks: bytes = track(1, VIDEO) + track(2, SOUND)) -> bytes:
    head = element("1a45dfa3", element("4282", b"webm"))
    return head + element("18538067", element("1654ae6b", tracks), *clusters)


def cluster(*blocks: bytes) -> bytes:
    return element("1f43b675", element("e7", b"\0"), *blocks)


@pytest.mark.parametrize(("packets", "lost"), [(4, 0), (5, 0), (3, 1), (0, 4), (None, 0)])
def test_blocks_that_give_no_packet_are_lost(packets, lost, tmp_path):
    path = tmp_path / "a.webm"
    path.write_bytes(
        film(
            cluster(block(1), block(2), grouped_block(1), block(2)),
            cluster(grouped_block(2), block(1), block(1)),
        )
    )
    wrong = f"{lost} of 4 blocks of video cannot be read" if lost else ""
    assert structural_damage(path, "matroska,webm", packets=packets) == wrong


def test_two_tracks_of_video_are_not_counted(tmp_path):
    path = tmp_path / "a.mkv"
    path.write_bytes(film(cluster(block(1), block(2)), tracks=track(1, VIDEO) + track(2, VIDEO)))
    assert structural_damage(path, "matroska,webm", packets=0) == ""


def test_a_live_recording_whose_cluster_has_no_end_is_not_counted(tmp_path):
    path = tmp_path / "a.mkv"
    endless = bytes.fromhex("1f43b675" + "ff")
    path.write_bytes(film(cluster(block(1)), endless + block(1)))
    assert structural_damage(path, "matroska,webm", packets=1) == ""


def test_something_that_belongs_into_no_cluster_is_a_break(tmp_path):
    path = tmp_path / "a.mkv"
    sound = film(cluster(block(1), block(1)))
    last = len(block(1))
    path.write_bytes(sound[:-last] + bytes(last))
    wrong = f"the structure breaks at byte {len(sound) - last:,}"
    assert structural_damage(path, "matroska,webm", packets=2) == wrong


def test_a_file_that_ends_within_its_segment_ends_early(tmp_path):
    path = tmp_path / "a.mkv"
    sound = film(cluster(block(1)))
    path.write_bytes(sound[:-1])
    wrong = f"the file ends early: it has {len(sound) - 1:,} bytes and announces {len(sound):,}"
    assert structural_damage(path, "matroska,webm", packets=1) == wrong


def test_the_demuxer_gives_up_and_the_film_is_called_damaged(films, tmp_path):
    """FFmpeg goes on with the next cluster, and the film has one."""
    with av.open(str(films["webm"])) as container:
        third = [packet.pos for packet in container.demux(container.streams.video[0])][2]
    data = bytearray(films["webm"].read_bytes())
    flags = third + 3  # behind the number of the track and the time
    data[flags : flags + 8] = b"\xff" * 8  # The block seems to hold many frames.
    path = tmp_path / "hurt.webm"
    path.write_bytes(data)
    verdict = check_video(path)
    assert verdict.frames < 20
    assert "blocks of video cannot be read" in verdict.reason
