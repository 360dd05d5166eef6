from pathlib import Path

import pytest

from marey.errors import UsageError
from marey.index import Entry, prepare_folder


def tree(root: Path, *paths: str) -> Path:
    for path in paths:
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).touch()
    return root


def test_every_folder_is_a_class(tmp_path: Path) -> None:
    root = tree(tmp_path, "walk/b.mp4", "run fast/a.MOV", "walk/notes.txt", "walk/.hidden.mp4")
    prepared = prepare_folder(root)
    assert prepared.index.entries == (
        Entry("run fast/a.MOV", "run fast"),
        Entry("walk/b.mp4", "walk"),
    )
    assert prepared.index.classes == ("run fast", "walk")
    assert (prepared.missing, prepared.extra) == ((), ())


def test_a_folder_of_numbered_images_is_a_video(tmp_path: Path) -> None:
    images = [f"walk/one/img_{number:05}.jpg" for number in (1, 2, 3)]
    prepared = prepare_folder(tree(tmp_path, *images, "walk/two.mp4"))
    assert [entry.path for entry in prepared.index.entries] == ["walk/one", "walk/two.mp4"]


def test_splits_may_stand_above_the_classes(tmp_path: Path) -> None:
    root = tree(tmp_path, "train/walk/a.mp4", "Validation/walk/b.mp4", "test/run/c.mp4")
    (root / "annotations").mkdir()
    assert set(prepare_folder(root).index.entries) == {
        Entry("train/walk/a.mp4", "walk", "train"),
        Entry("Validation/walk/b.mp4", "walk", "val"),
        Entry("test/run/c.mp4", "run", "test"),
    }


def test_a_class_may_be_called_test(tmp_path: Path) -> None:
    prepared = prepare_folder(tree(tmp_path, "test/a.mp4", "rest/b.mp4"))
    assert prepared.index.classes == ("rest", "test")
    assert prepared.index.splits == ()


def test_splits_beside_classes_are_refused(tmp_path: Path) -> None:
    root = tree(tmp_path, "train/walk/a.mp4", "run/b.mp4")
    with pytest.raises(UsageError, match="'train' holds class folders, but 'run' beside it"):
        prepare_folder(root)


def test_videos_at_another_depth_are_extra(tmp_path: Path) -> None:
    root = tree(tmp_path, "walk/a.mp4", "stray.mp4", "walk/more/b.mp4")
    prepared = prepare_folder(root)
    assert [entry.path for entry in prepared.index.entries] == ["walk/a.mp4"]
    assert prepared.extra == ("stray.mp4", "walk/more/b.mp4")


def test_a_folder_without_classes_says_what_it_should_look_like(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"no video at <class>/<video>.*\.mp4"):
        prepare_folder(tree(tmp_path / "flat", "a.mp4"))
    with pytest.raises(UsageError, match=r"no video at <split>/<class>/<video>"):
        prepare_folder(tree(tmp_path / "split", "train/a.mp4", "test/b.mp4"))
    with pytest.raises(UsageError, match="is a file, not a folder"):
        prepare_folder(tmp_path / "flat" / "a.mp4")


@pytest.mark.parametrize(
    ("names", "groups"),
    [
        # Clips of two recordings.
        (["match1_c01", "match1_c02", "match2_c01"], ["match1", "match1", "match2"]),
        (["anna-clip1", "anna-clip2", "ben-clip1"], ["anna", "anna", "ben"]),
        (["x_000001_000011", "x_000011_000021", "y_000003_000013"], ["x", "x", "y"]),
        # A mere count: one recording of the whole class would leave nothing to hold out.
        (["walk_1", "walk_2", "walk_3"], [None, None, None]),
        (["1", "2", "3"], [None, None, None]),
        # Every name its own recording anyway.
        (["anna", "ben", "carl"], [None, None, None]),
    ],
)
def test_the_recording_is_read_from_names_where_that_is_safe(
    tmp_path: Path, names: list[str], groups: list[str | None]
) -> None:
    prepared = prepare_folder(tree(tmp_path, *(f"walk/{name}.mp4" for name in names)))
    expected = [group and f"walk/{group}" for group in groups]
    assert [entry.group for entry in prepared.index.entries] == expected
