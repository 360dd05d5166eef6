import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from marey.errors import UsageError, VideoError
from marey.flow import (
    FlowFolder,
    FlowFolderWriter,
    FlowReader,
    FlowWriter,
    Making,
    flow_file,
    flow_folder,
    open_flow,
    require_flow,
    stored_method,
)

MAKING = Making(method="dis", parameters={}, height=8, width=8)
FLOW = np.full((2, 8, 8, 2), 128, np.uint8)
LONG = "n" * 251 + ".mp4"
ODD = [
    "a.mp4",
    "walk/a.mp4",
    "deep/er/a b.mp4",
    'it\'s "a".mp4',
    "a\nb.mp4",
    "🏃.mp4",
    "%05d.mp4",
    "-o.mp4",
    "C:\\a.mp4",
    ".mp4",
    "..mp4",
    "...mp4",
    "a.",
    "a",
    "v1.5.b.mp4",
    "\udcff.mp4",
    LONG,
    f"{LONG}/{LONG}",
    "é.mp4",
    "e\u0301.mp4",
]


def write_file(folder: Path, video: str) -> Path:
    path = flow_file(folder, video)
    with FlowWriter(path, MAKING, pairs=range(2), of=2, fps=25.0, source_bytes=1) as writer:
        writer.write(FLOW)
    return path


def write_images(path: Path) -> Path:
    with FlowFolderWriter(path) as writer:
        writer.write(FLOW)
    return path


def test_flow_lies_below_the_folder_as_videos_do_below_the_index() -> None:
    assert flow_file(Path("flow"), "walk/a.mp4") == Path("flow/walk/a.mp4.mkv")
    assert flow_folder(Path("flow"), "walk/a.mp4") == Path("flow/walk/a")


@pytest.mark.parametrize("video", ODD)
def test_a_file_is_found_by_the_name_of_any_video(tmp_path: Path, video: str) -> None:
    path = write_file(tmp_path, video)
    with open_flow(tmp_path, video) as flow:
        assert isinstance(flow, FlowReader)
        assert flow.path == path
        np.testing.assert_array_equal(flow.frames_at([0, 1]), FLOW)


@pytest.mark.parametrize("video", ODD)
def test_images_are_found_by_the_name_of_any_video(tmp_path: Path, video: str) -> None:
    path = write_images(flow_folder(tmp_path, video))
    assert path.resolve().is_relative_to(tmp_path)
    assert path.resolve() != tmp_path
    with open_flow(tmp_path, video) as flow:
        assert isinstance(flow, FlowFolder)
        assert (flow.path, len(flow)) == (path, 2)


def test_names_of_odd_videos_do_not_meet() -> None:
    files = {flow_file(Path("flow"), video) for video in ODD}
    assert len(files) == len(ODD)


@pytest.mark.parametrize(
    ("video", "file", "images"),
    [
        ("../b/a.mp4", "b/a.mp4.mkv", "b/a"),
        ("../../b/a.mp4", "b/a.mp4.mkv", "b/a"),
        ("b/../a.mp4", "b/a.mp4.mkv", "b/a"),
        ("/data/a.mp4", "data/a.mp4.mkv", "data/a"),
        ("//data/a.mp4", "data/a.mp4.mkv", "data/a"),
        ("./a.mp4", "a.mp4.mkv", "a"),
        ("..", "video.mkv", "video"),
        ("b/...mp4", "b/...mp4.mkv", "b/...mp4"),
    ],
)
def test_a_path_that_leads_elsewhere_stays_inside(video: str, file: str, images: str) -> None:
    assert flow_file(Path("flow"), video) == Path("flow") / file
    assert flow_folder(Path("flow"), video) == Path("flow") / images


PARTS = st.sampled_from(
    ["..", ".", "", "/", "a", "b.mp4", "...mp4", "..mp4", "...", "~", " ", "n" * 300]
)


@given(st.lists(PARTS, min_size=1, max_size=5).map("/".join))
def test_no_path_leads_out_of_the_folder(video: str) -> None:
    folder = Path("/flow")
    for place in (flow_file(folder, video), flow_folder(folder, video)):
        inside = place.relative_to(folder)
        assert inside.parts
        assert ".." not in inside.parts


def test_a_name_that_would_be_too_long_with_the_ending_is_cut_and_told_apart() -> None:
    same = "n" * 248
    names = [f"{same}{end}.mp4" for end in ("abc", "abd")] + ["🏃" * 63, "\udcff" * 255]
    files = [flow_file(Path(), name) for name in names]
    assert len(set(files)) == len(names)
    for file in files:
        assert len(file.name.encode(errors="surrogateescape")) <= 255
        assert file.suffix == ".mkv"
    assert flow_file(Path(), "n" * 251).name == "n" * 251 + ".mkv"


# Opening.


def test_images_may_lie_right_below_the_folder_as_tsn_s_tools_leave_them(tmp_path: Path) -> None:
    path = write_images(tmp_path / "a")
    assert open_flow(tmp_path, "walk/left/a.avi").path == path


def test_images_at_the_whole_path_come_before_those_right_below(tmp_path: Path) -> None:
    write_images(tmp_path / "a")
    path = write_images(tmp_path / "walk" / "a")
    assert open_flow(tmp_path, "walk/a.avi").path == path


def test_images_may_be_numbered_from_zero(tmp_path: Path) -> None:
    path = write_images(tmp_path / "a")
    for part in "xy":
        (path / f"flow_{part}_00001.jpg").rename(path / f"flow_{part}_00000.jpg")
        (path / f"flow_{part}_00002.jpg").rename(path / f"flow_{part}_00001.jpg")
    assert len(open_flow(tmp_path, "a.avi")) == 2


def test_a_file_comes_before_images(tmp_path: Path) -> None:
    write_images(tmp_path / "a")
    path = write_file(tmp_path, "a.avi")
    assert open_flow(tmp_path, "a.avi").path == path


@pytest.mark.parametrize("video", ["walk/a.mp4", "n" * 300 + ".mp4", f"{'n' * 300}/a.mp4"])
def test_a_video_without_flow_is_named_with_what_makes_it(tmp_path: Path, video: str) -> None:
    with pytest.raises(VideoError) as caught:
        open_flow(tmp_path, video)
    assert str(caught.value).startswith(f"{video}: {tmp_path} holds no flow of it, neither ")
    assert "nor a folder of flow_x_00001.jpg; make it with: marey flow INDEX" in str(caught.value)


def test_a_damaged_file_is_not_passed_over(tmp_path: Path) -> None:
    write_images(tmp_path / "a")
    write_file(tmp_path, "a.avi").write_bytes(b"damaged")
    with pytest.raises(VideoError, match=r"a\.avi\.mkv is damaged"):
        open_flow(tmp_path, "a.avi")


# What a folder says of itself.


def test_a_folder_that_is_not_there_is_refused_with_what_makes_it(tmp_path: Path) -> None:
    require_flow(tmp_path)
    for function in (require_flow, stored_method):
        with pytest.raises(UsageError, match=r"none: no such folder of flow; make it with: marey"):
            function(tmp_path / "none")


def test_the_method_is_what_the_settings_say(tmp_path: Path) -> None:
    assert stored_method(tmp_path) == ""
    (tmp_path / "flow.json").write_text(json.dumps({"flow": {"method": "dis"}}))
    assert stored_method(tmp_path) == "dis"


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"flow": 1}', '{"flow": {}}', "\xff"])
def test_settings_that_cannot_be_read_are_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "flow.json").write_bytes(text.encode("latin-1"))
    with pytest.raises(UsageError, match=r"flow\.json is damaged: .*; make the flow again"):
        stored_method(tmp_path)
