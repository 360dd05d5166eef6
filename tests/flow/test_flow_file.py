import json
import os
from pathlib import Path

import av
import numpy as np
import pytest
from flow_files import MAKING, PAIRS, noise, write
from hypothesis import given, settings
from hypothesis import strategies as st

from marey.errors import VideoError
from marey.flow import FlowReader, FlowWriter, Making
from marey.video import VideoReader


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
