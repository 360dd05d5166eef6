from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from marey.errors import VideoError
from marey.flow import FlowFolder, FlowFolderWriter

PAIRS = 6


def smooth(pairs: int = PAIRS, height: int = 24, width: int = 32) -> np.ndarray:
    """Return flow in bytes as a camera's motion gives it: a slope that drifts."""
    rows, columns = np.mgrid[:height, :width]
    fields = [np.stack([60 + 3 * columns + n, 180 - 2 * rows - n], -1) for n in range(pairs)]
    return np.stack(fields).astype(np.uint8)


def write(path: Path, flow: np.ndarray) -> Path:
    with FlowFolderWriter(path) as writer:
        writer.write(flow[:2])
        writer.write(flow[2:])
    return path


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write(tmp_path / "a", smooth())


def test_images_are_named_and_numbered_as_tsn_does(folder: Path) -> None:
    expected = [f"flow_{part}_{n:05d}.jpg" for part in "xy" for n in range(1, PAIRS + 1)]
    assert sorted(path.name for path in folder.iterdir()) == expected
    with Image.open(folder / "flow_x_00003.jpg") as image:
        assert (image.format, image.mode, image.size) == ("JPEG", "L", (32, 24))


def test_what_was_written_is_read_back_but_for_a_level_or_two_of_jpeg(folder: Path) -> None:
    with FlowFolder(folder, fps=30.0) as flow:
        assert len(flow) == PAIRS
        assert flow.fps == 30
        assert flow.making is None
        difference = flow.frames_at(range(PAIRS)).astype(int) - smooth()
    assert np.abs(difference).max() <= 4
    assert np.abs(difference).mean() < 1


def test_each_pair_is_under_its_number_x_before_y(folder: Path) -> None:
    flow = FlowFolder(folder).frames_at([4, 1, 4])
    assert flow.shape == (3, 24, 32, 2)
    assert flow.dtype == np.uint8
    for place, part in ((0, "x"), (1, "y")):
        with Image.open(folder / f"flow_{part}_00005.jpg") as image:
            np.testing.assert_array_equal(flow[0, ..., place], np.asarray(image))
    np.testing.assert_array_equal(flow[0], flow[2])
    assert not np.array_equal(flow[0], flow[1])


def test_images_in_colour_are_read_for_their_grey(tmp_path: Path, folder: Path) -> None:
    """Some tools write three equal channels."""
    for image in folder.iterdir():
        with Image.open(image) as grey:
            grey.convert("RGB").save(image, quality=95)
    difference = FlowFolder(folder).frames_at(range(PAIRS)).astype(int) - smooth()
    assert np.abs(difference).mean() < 1.5


def test_images_may_be_numbered_from_zero(folder: Path) -> None:
    before = FlowFolder(folder).frames_at(range(PAIRS))
    for image in sorted(folder.iterdir()):
        number = int(image.stem[-5:])
        image.rename(image.with_name(f"{image.stem[:-5]}{number - 1:05d}.jpg"))
    np.testing.assert_array_equal(FlowFolder(folder).frames_at(range(PAIRS)), before)


def test_no_pair_at_all_may_be_asked_for(folder: Path) -> None:
    assert FlowFolder(folder).frames_at([]).shape == (0, 24, 32, 2)


@pytest.mark.parametrize("pair", [-1, PAIRS])
def test_a_pair_outside_is_refused(folder: Path, pair: int) -> None:
    with pytest.raises(IndexError, match=f"there is no frame {pair}"):
        FlowFolder(folder).frames_at([pair])


# What is wrong with a folder.


def test_more_along_one_direction_is_refused_with_both_numbers(folder: Path) -> None:
    (folder / "flow_y_00006.jpg").unlink()
    with pytest.raises(VideoError, match="a holds 6 images of flow along x, but 5 along y"):
        FlowFolder(folder)


@pytest.mark.parametrize("kind", ["missing", "empty", "text"])
def test_a_gap_is_refused_because_all_behind_it_would_be_another_pair(
    folder: Path, kind: str
) -> None:
    # As many along x as along y, and yet the third pair would get its parts from two.
    for name in ("flow_x_00003.jpg", "flow_y_00004.jpg"):
        (folder / name).unlink()
        if kind != "missing":
            (folder / name).write_bytes(b"" if kind == "empty" else b"text")
    with pytest.raises(VideoError, match=r"a: flow_x_00003\.jpg is missing or no image"):
        FlowFolder(folder)


def test_the_first_pair_cannot_be_missing_either(folder: Path) -> None:
    for part in "xy":
        (folder / f"flow_{part}_00001.jpg").unlink()
    with pytest.raises(VideoError, match=r"a: flow_x_00001\.jpg is missing or no image"):
        FlowFolder(folder)


def test_an_image_without_a_picture_is_named_when_it_is_asked_for(folder: Path) -> None:
    (folder / "flow_y_00004.jpg").write_bytes(b"\xff\xd8\xff\xd9")
    flow = FlowFolder(folder)
    assert flow.frames_at([0]).shape == (1, 24, 32, 2)
    with pytest.raises(VideoError, match=r"flow_y_00004\.jpg does not decode"):
        flow.frames_at([3])


def test_directions_of_different_size_are_refused(folder: Path, tmp_path: Path) -> None:
    write(tmp_path / "b", smooth(height=16))
    for image in folder.glob("flow_y_*"):
        image.write_bytes((tmp_path / "b" / image.name).read_bytes())
    with pytest.raises(VideoError, match="along x have 32x24 pixels, but along y 32x16"):
        FlowFolder(folder)


@pytest.mark.parametrize("what", ["missing", "file", "empty", "frames"])
def test_what_holds_no_flow_is_refused_by_name(tmp_path: Path, what: str) -> None:
    path = tmp_path / what
    if what == "file":
        path.write_text("x")
    elif what != "missing":
        path.mkdir()
    if what == "frames":
        (path / "img_00001.jpg").write_bytes(b"\xff\xd8\xff")
    with pytest.raises(VideoError, match=what):
        FlowFolder(path)


# Writing.


def test_a_folder_appears_when_it_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "a"
    with FlowFolderWriter(path) as writer:
        writer.write(smooth())
        assert not path.exists()
    assert list(path.parent.iterdir()) == [path]


def test_interrupted_writing_leaves_nothing(tmp_path: Path) -> None:
    def interrupted() -> None:
        with FlowFolderWriter(tmp_path / "a") as writer:
            writer.write(smooth())
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert list(tmp_path.iterdir()) == []


def test_the_same_flow_gives_the_same_bytes(tmp_path: Path, folder: Path) -> None:
    again = write(tmp_path / "b", smooth())
    for image in folder.iterdir():
        assert image.read_bytes() == (again / image.name).read_bytes()


def test_a_folder_that_is_there_is_replaced_whole(folder: Path) -> None:
    (folder / "flow_x_99999.jpg").touch()
    write(folder, smooth(3))
    assert len(FlowFolder(folder)) == 3
    assert len(list(folder.iterdir())) == 6
