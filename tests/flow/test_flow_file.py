import json
import os
import shutil
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from marey.errors import VideoError
from marey.flow import FlowReader, FlowWriter, Making
from marey.video import VideoReader, write_video

MAKING = Making(method="dis", parameters={"iterations": 12}, height=16, width=20)
PAIRS = 9


def noise(pairs: int = PAIRS, height: int = 16, width: int = 20) -> np.ndarray:
    return np.random.default_rng(pairs).integers(0, 256, (pairs, height, width, 2), np.uint8)


def write(path: Path, flow: np.ndarray, making: Making = MAKING, **changes: Any) -> Path:
    told: dict[str, Any] = {"pairs": range(len(flow)), "of": len(flow), "fps": 25.0}
    told |= {"source_bytes": 1234} | changes
    with FlowWriter(path, making, **told) as writer:
        for field in flow:
            writer.write(field[None])
    return path


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return write(tmp_path / "a.mp4.mkv", noise())


@settings(max_examples=12, deadline=None)
@given(
    height=st.integers(4, 40),  # FFV1 needs a few columns.
    width=st.integers(4, 40),
    pairs=st.integers(1, 6),
    fps=st.sampled_from([1.0, 9.99, 12.5, 24000 / 1001, 30000 / 1001, 60.0, 240.0]),
    method=st.text(),
    asked=st.lists(st.integers(0, 5), max_size=6),
)
def test_what_was_written_is_read_back(
    tmp_path_factory: pytest.TempPathFactory,
    height: int,
    width: int,
    pairs: int,
    fps: float,
    method: str,
    asked: list[int],
) -> None:
    making = Making(method=method, parameters={"tau": 0.25}, height=height, width=width)
    flow = noise(pairs, height, width)
    path = tmp_path_factory.mktemp("flow") / "a.mkv"
    reason = f"it stands {method}"
    write(path, flow, making, fps=fps, reason=reason, source_bytes=2**40)
    with FlowReader(path) as reader:
        assert len(reader) == reader.written == pairs
        assert reader.making == making
        assert reader.fps == pytest.approx(fps, rel=1e-9)
        assert (reader.reason, reader.source_bytes) == (reason, 2**40)
        np.testing.assert_array_equal(reader.frames_at(range(pairs)), flow)
        asked = [pair % pairs for pair in asked]
        np.testing.assert_array_equal(reader.frames_at(asked), flow[asked])


@pytest.mark.parametrize(("fps", "kept"), [(0.0, 25), (1e-9, 25), (float("inf"), 25), (1e5, 3e4)])
def test_an_impossible_rate_does_not_keep_flow_from_being_written(
    tmp_path: Path, fps: float, kept: float
) -> None:
    reader = FlowReader(write(tmp_path / "a.mkv", noise(2), fps=fps))
    assert reader.fps == kept
    np.testing.assert_array_equal(reader.frames_at([0, 1]), noise(2))


def test_any_player_shows_flow_along_x_above_flow_along_y_in_grey(file: Path) -> None:
    flow = noise()
    with VideoReader(file) as video:
        assert (len(video), video.height, video.width) == (PAIRS, 32, 20)
        frames = video.frames_at(range(PAIRS))
        assert video.verdict().status == "ok"
    stacked = np.concatenate([flow[..., 0], flow[..., 1]], axis=1)
    for colour in range(3):
        np.testing.assert_array_equal(frames[..., colour], stacked)


def test_method_parameters_bound_and_number_of_pairs_are_inside(file: Path) -> None:
    with av.open(str(file)) as container:
        about = json.loads(container.metadata["MAREY_FLOW"])
        assert container.streams.video[0].codec_context.name == "ffv1"
    assert about == {
        "flow": {
            "method": "dis",
            "parameters": {"iterations": 12},
            "bound": 20.0,
            "height": 16,
            "width": 20,
        },
        "pairs": PAIRS,
        "of": PAIRS,
        "source_bytes": 1234,
        "reason": "",
    }


def test_the_same_flow_gives_the_same_bytes(tmp_path: Path) -> None:
    whole = write(tmp_path / "a" / "b.mkv", noise()).read_bytes()
    assert write(tmp_path / "c.mkv", noise()).read_bytes() == whole
    assert write(tmp_path / "d.mkv", noise(), reason="cut").read_bytes() != whole


@pytest.mark.parametrize("name", ["a:b.mkv", " \n%05d.mkv", "concat:a|b.mkv", "\udcff.mkv", "-i"])
def test_names_are_just_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.chdir(tmp_path)
    path = write(Path("file:x") / name, noise(2))
    np.testing.assert_array_equal(FlowReader(path).frames_at([1]), noise(2)[1:])


# Some of the pairs.


def test_a_file_may_hold_some_pairs_alone_under_their_own_numbers(tmp_path: Path) -> None:
    flow = noise(4)
    reader = FlowReader(write(tmp_path / "a.mkv", flow, pairs=[2, 3, 7, 40], of=50))
    assert (len(reader), reader.written) == (50, 4)
    np.testing.assert_array_equal(reader.frames_at([40, 2, 7, 7]), flow[[3, 0, 2, 2]])


def test_a_pair_that_is_not_in_the_file_is_named_with_what_to_do(tmp_path: Path) -> None:
    path = write(tmp_path / "a.mkv", noise(2), pairs=[2, 3], of=50)
    with pytest.raises(VideoError, match=r"not that of pair 4; make all of it") as caught:
        FlowReader(path).frames_at([2, 4])
    assert str(path) in str(caught.value)
    assert "marey flow without --for test" in str(caught.value)


@pytest.mark.parametrize("pair", [-1, 9])
def test_a_pair_that_is_not_in_the_video_is_refused(file: Path, pair: int) -> None:
    with pytest.raises(IndexError, match=f"no pair {pair} in a video of 9 pairs"):
        FlowReader(file).frames_at([0, pair])


def test_no_pair_at_all_may_be_asked_for(file: Path) -> None:
    assert FlowReader(file).frames_at([]).shape == (0, 16, 20, 2)


# Interrupted writing.


def test_a_file_appears_when_it_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "a.mkv"
    with FlowWriter(path, MAKING, pairs=range(2), of=2, fps=25.0, source_bytes=1) as writer:
        writer.write(noise(2))
        assert not path.exists()
    assert list(tmp_path.iterdir()) == [path]


def test_interrupted_writing_leaves_nothing(tmp_path: Path) -> None:
    def interrupted() -> None:
        told = {"pairs": range(2), "of": 2, "fps": 25.0, "source_bytes": 1}
        with FlowWriter(tmp_path / "a.mkv", MAKING, **told) as writer:
            writer.write(noise(1))
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert list(tmp_path.iterdir()) == []


def test_fewer_pairs_than_announced_leave_nothing(tmp_path: Path) -> None:
    with pytest.raises(AssertionError, match="as many pairs as announced"):
        write(tmp_path / "a.mkv", noise(3), pairs=range(4), of=4)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("call", ["fsync", "replace"])
def test_a_full_disk_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    def full(*arguments: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, call, full)
    with pytest.raises(OSError, match="No space left"):
        write(tmp_path / "a.mkv", noise(3))
    monkeypatch.undo()
    assert list(tmp_path.iterdir()) == []


# Damage.


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
