"""Damage, and files of others, never come out as flow."""

import json
import math
import shutil
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from flow_files import noise, write

from marey.errors import VideoError
from marey.flow import FlowReader, Making
from marey.video import write_video


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return write(tmp_path / "a.mp4.mkv", noise())


def read(path: Path) -> np.ndarray:
    reader = FlowReader(path)
    return reader.frames_at(range(len(reader)))


def tells_or_reads(path: Path, truth: np.ndarray) -> bool:
    """Say whether a file is refused by name; if not, its flow must be the truth."""
    try:
        flow = read(path)
    except VideoError as error:
        return path.name in str(error)
    np.testing.assert_array_equal(flow, truth)
    return False


def test_a_file_cut_anywhere_is_refused_by_name(file: Path) -> None:
    data = file.read_bytes()
    for length in np.linspace(0, len(data) - 1, 120, dtype=int):
        file.write_bytes(data[:length])
        with pytest.raises(VideoError, match=r"a\.mp4\.mkv") as caught:
            read(file)
        assert "make it again" in str(caught.value)
        assert "\n" not in str(caught.value)


def test_a_file_with_more_at_its_end_is_refused(file: Path) -> None:
    file.write_bytes(file.read_bytes() + b"\0")
    with pytest.raises(VideoError, match=r"a\.mp4\.mkv is damaged or no file of flow: it has"):
        read(file)


@pytest.mark.parametrize("part", ["all of it", "its head"])
def test_a_flipped_bit_is_told_or_changes_nothing(file: Path, part: str) -> None:
    data = file.read_bytes()
    truth = read(file)
    rng = np.random.default_rng(0)
    told = 0
    for place in rng.integers(0, len(data) if part == "all of it" else 900, 150):
        damaged = bytearray(data)
        damaged[place] ^= 1 << rng.integers(8)
        file.write_bytes(damaged)
        told += tells_or_reads(file, truth)
    # The rest falls into space that is reserved for nothing.
    assert told > (140 if part == "all of it" else 100)


@pytest.mark.slow
def test_no_flipped_bit_of_a_file_is_overlooked(tmp_path: Path) -> None:
    making = Making(method="dis", parameters={}, height=4, width=8)
    file = write(tmp_path / "a.mp4.mkv", noise(3, 4, 8), making)
    data = file.read_bytes()
    truth = read(file)
    for place in range(len(data)):
        damaged = bytearray(data)
        damaged[place] ^= 1 << place % 8
        file.write_bytes(damaged)
        tells_or_reads(file, truth)


def test_bytes_written_over_others_are_told(file: Path) -> None:
    data = file.read_bytes()
    middle = len(data) // 2
    file.write_bytes(data[:middle] + data[middle + 64 : middle + 128] + data[middle + 64 :])
    with pytest.raises(VideoError, match="the checksum of the part at byte"):
        read(file)


# Other files.


def test_a_missing_file_is_named_with_what_makes_it(tmp_path: Path) -> None:
    for path in (tmp_path / "none.mkv", tmp_path):
        with pytest.raises(VideoError, match="no such flow; make it with: marey flow INDEX"):
            FlowReader(path)


def test_a_file_that_goes_away_is_named(file: Path) -> None:
    reader = FlowReader(file)
    file.unlink()
    with pytest.raises(VideoError, match=r"a\.mp4\.mkv cannot be read: .*No such file"):
        reader.frames_at([0])


@pytest.mark.parametrize("content", [b"", b"text", b"\x1a\x45\xdf\xa3", b"\0" * 5000, b"\xff" * 99])
def test_what_is_no_matroska_file_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "other.mkv"
    path.write_bytes(content)
    with pytest.raises(VideoError, match=r"other\.mkv is damaged or no file of flow"):
        FlowReader(path)


def foreign(path: Path, *, tag: str | None, codec: str = "ffv1") -> Path:
    """Write what another program could have."""
    with av.open(str(path), "w", format="matroska") as output:
        if tag is not None:
            output.metadata["MAREY_FLOW"] = tag
        stream = output.add_stream(codec, rate=25)
        stream.height, stream.width = 32, 20
        stream.pix_fmt = "gray" if codec == "ffv1" else "yuv420p"
        frame = av.VideoFrame.from_ndarray(np.zeros((32, 20), np.uint8), format="gray")
        output.mux(stream.encode(frame.reformat(format=stream.pix_fmt)))
        output.mux(stream.encode(None))
    return path


def about(**changes: Any) -> str:
    flow = {"method": "dis", "parameters": {}, "bound": 20.0, "height": 16, "width": 20}
    told = {"flow": flow, "pairs": 1, "of": 1, "source_bytes": 1, "reason": ""} | changes
    return json.dumps(told)


def test_the_smallest_file_of_another_program_that_says_all_is_read(tmp_path: Path) -> None:
    assert read(foreign(tmp_path / "a.mkv", tag=about())).shape == (1, 16, 20, 2)


@pytest.mark.parametrize(
    ("tag", "words"),
    [
        (None, "is a video, but not one of flow: it has no tag MAREY_FLOW"),
        ("{", "its tag MAREY_FLOW cannot be read: Expecting"),
        ("[]", "its tag MAREY_FLOW cannot be read: no JSON object"),
        ("[" * 100_000, "its tag MAREY_FLOW cannot be read"),
        ("{}", "its tag MAREY_FLOW cannot be read: 'flow'"),
        (about(flow={"method": "dis"}), "its tag MAREY_FLOW cannot be read.*parameters"),
        (about(of="many"), "its tag MAREY_FLOW cannot be read"),
        (about(of=math.inf), "its tag MAREY_FLOW cannot be read"),
        (about(source_bytes=math.inf), "its tag MAREY_FLOW cannot be read"),
        (about(pairs=[1]), "its tag MAREY_FLOW is of pairs that its video cannot have"),
        (about(pairs=[-1]), "its tag MAREY_FLOW is of pairs that its video cannot have"),
        (about(pairs=3, of=-3), "its tag MAREY_FLOW is of pairs that its video cannot have"),
        (about(pairs=3, of=10**30), "its tag MAREY_FLOW is of pairs that its video cannot have"),
        (about(pairs=[None]), "its tag MAREY_FLOW cannot be read"),
        (
            about(flow={"method": "dis", "parameters": {}, "height": 8, "width": 40}),
            "its tag MAREY_FLOW is of pictures of another size",
        ),
    ],
)
def test_a_foreign_file_is_refused_with_the_reason(
    tmp_path: Path, tag: str | None, words: str
) -> None:
    with pytest.raises(VideoError, match=rf"a\.mkv:? {words}"):
        FlowReader(foreign(tmp_path / "a.mkv", tag=tag))


def test_another_codec_is_refused(tmp_path: Path) -> None:
    path = foreign(tmp_path / "a.mkv", tag=about(), codec="mpeg4")
    with pytest.raises(VideoError, match=r"a\.mkv is not a file of flow: it holds no ffv1 video"):
        FlowReader(path)


def test_fewer_pictures_than_the_tag_tells_of_are_not_taken_for_all(tmp_path: Path) -> None:
    path = foreign(tmp_path / "a.mkv", tag=about(pairs=3, of=3))
    reader = FlowReader(path)
    with pytest.raises(VideoError, match=r"a\.mkv ends early"):
        reader.frames_at([0, 2])


def test_a_film_is_no_flow(tmp_path: Path) -> None:
    write_video(tmp_path / "film.mkv", np.zeros((3, 16, 16, 3), np.uint8))
    shutil.copy(tmp_path / "film.mkv", tmp_path / "film.mp4.mkv")
    with pytest.raises(VideoError, match=r"film\.mp4\.mkv is not a file of flow"):
        FlowReader(tmp_path / "film.mp4.mkv")
