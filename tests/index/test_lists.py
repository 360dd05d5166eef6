from pathlib import Path

import pytest

from marey.errors import IndexFileError, UsageError
from marey.index import Entry, prepare_csv, prepare_tsn_list, read_index, write_index


def tree(root: Path, *paths: str) -> Path:
    for path in paths:
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).touch()
    return root


# --- path frames label -----------------------------------------------------------------------


def test_paths_with_spaces_are_split_from_the_right(tmp_path: Path) -> None:
    root = tree(tmp_path, "sit down/my video 2.avi", "b.mp4")
    (root / "train.txt").write_bytes(b"sit down/my video 2.avi 120 1\r\nb.mp4 7 0\r\n\r\n")
    prepared = prepare_tsn_list(root / "train.txt")
    assert prepared.index.entries == (Entry("sit down/my video 2.avi", "1"), Entry("b.mp4", "0"))
    assert prepared.index.classes == ("0", "1")


def test_a_second_list_is_for_testing_and_a_third_names_the_classes(tmp_path: Path) -> None:
    root = tree(tmp_path / "videos", "a.mp4", "b.mp4")
    (tmp_path / "train.txt").write_text("a.mp4 10 1\n")
    (tmp_path / "test.txt").write_text("b.mp4 10 0\n")
    (tmp_path / "names.txt").write_text("Walk Dog\r\nBall, Throw\r\nnever seen\r\n")
    prepared = prepare_tsn_list(
        tmp_path / "train.txt",
        test=tmp_path / "test.txt",
        root=root,
        classes=tmp_path / "names.txt",
    )
    assert prepared.index.entries == (
        Entry("a.mp4", "Ball, Throw", "train"),
        Entry("b.mp4", "Walk Dog", "test"),
    )
    assert prepared.index.classes == ("Walk Dog", "Ball, Throw", "never seen")
    write_index(prepared.index, tmp_path / "index.csv")
    assert read_index(tmp_path / "index.csv").classes == prepared.index.classes


def test_ten_classes_without_names_stay_in_the_order_of_their_numbers(tmp_path: Path) -> None:
    tree(tmp_path, *(f"{number}.mp4" for number in range(11)))
    lines = "".join(f"{number}.mp4 5 {number}\n" for number in range(11))
    (tmp_path / "train.txt").write_text(lines)
    write_index(prepare_tsn_list(tmp_path / "train.txt").index, tmp_path / "index.csv")
    assert read_index(tmp_path / "index.csv").labels == tuple(range(11))


def test_a_folder_of_frames_in_the_list_finds_the_video_of_that_name(tmp_path: Path) -> None:
    root = tree(tmp_path, "x/v_X_g01_c01.avi", "x/v_X_g01_c02/img_00001.jpg", "x/v_X_g02_c01.avi")
    names = [f"x/v_X_{name}" for name in ("g01_c01", "g01_c02", "g02_c01")]
    (root / "train.txt").write_text("".join(f"{name} 5 0\n" for name in names))
    entries = prepare_tsn_list(root / "train.txt").index.entries
    assert [entry.path for entry in entries] == [names[0] + ".avi", names[1], names[2] + ".avi"]
    assert [entry.group for entry in entries] == ["0/v_X_g01", "0/v_X_g01", "0/v_X_g02"]


def test_what_is_wrong_in_the_lists_is_told_at_once(tmp_path: Path) -> None:
    train = "a.mp4 10 0\nb.mp4 -1 1\nc.mp4 10 2\nd.mp4 10\ne.mp4 1.5 0\nf.mp4 9 -1\na.mp4 10 0\n"
    (tmp_path / "train.txt").write_text(train)
    (tmp_path / "test.txt").write_text("a.mp4 10 0\n")
    (tmp_path / "names.txt").write_text("walk\nrun\n")
    with pytest.raises(IndexFileError) as caught:
        prepare_tsn_list(
            tmp_path / "train.txt", test=tmp_path / "test.txt", classes=tmp_path / "names.txt"
        )
    assert str(caught.value).splitlines()[1:] == [
        "  train.txt line 2: 'b.mp4' has -1 frames; a video has at least 1",
        "  train.txt line 4: expected `path frames label`, got 'd.mp4 10'",
        "  train.txt line 5: expected `path frames label`, got 'e.mp4 1.5 0'",
        "  train.txt line 6: label -1; labels count from 0",
        "  train.txt line 3: label 2 is beyond the 2 classes (0 to 1)",
        "  train.txt line 7: 'a.mp4' again (see train.txt line 1)",
        "  test.txt line 1: 'a.mp4' is in both train and test (see train.txt line 1)",
    ]


def test_labels_that_count_from_one_are_refused(tmp_path: Path) -> None:
    tree(tmp_path, "a.mp4", "b.mp4")
    (tmp_path / "train.txt").write_text("a.mp4 10 1\nb.mp4 10 2\n")
    with pytest.raises(IndexFileError, match="labels begin at 1, but count from 0"):
        prepare_tsn_list(tmp_path / "train.txt")


@pytest.mark.parametrize(
    ("label", "message"),
    [
        ("1000000", "label 1000000; labels go up to 999999"),
        ("9" * 18, "labels go up to 999999"),
        ("9" * 5000, "expected `path frames label`"),
    ],
)
def test_a_label_that_no_list_can_mean_is_refused_at_once(
    label: str, message: str, tmp_path: Path
) -> None:
    """Without names there is a class for each number up to it."""
    (tmp_path / "train.txt").write_text(f"a.mp4 10 {label}\n")
    with pytest.raises(IndexFileError, match=message):
        prepare_tsn_list(tmp_path / "train.txt")


def test_listed_videos_that_are_missing_are_named(tmp_path: Path) -> None:
    tree(tmp_path, "a.mp4")
    (tmp_path / "train.txt").write_text("a.mp4 10 0\nb c.mp4 10 1\n")
    prepared = prepare_tsn_list(tmp_path / "train.txt")
    assert prepared.missing == ("b c.mp4",)
    assert prepared.index.classes == ("0", "1")
    (tmp_path / "a.mp4").unlink()
    with pytest.raises(UsageError, match="none of the 2 listed videos is here"):
        prepare_tsn_list(tmp_path / "train.txt")


def test_an_empty_list_and_a_missing_one_are_refused(tmp_path: Path) -> None:
    (tmp_path / "train.txt").write_text("\n")
    with pytest.raises(UsageError, match="this list is empty"):
        prepare_tsn_list(tmp_path / "train.txt")
    with pytest.raises(UsageError, match="no such list"):
        prepare_tsn_list(tmp_path / "none.txt")


# --- CSV -------------------------------------------------------------------------------------


def test_a_table_is_checked_and_its_paths_follow_the_new_file(tmp_path: Path) -> None:
    root = tree(tmp_path / "mine", "a b.mp4", "c.mp4")
    (root / "table.csv").write_text("label,path,split\nwalk,a b.mp4,train\nrun,c.mp4,test\n")
    prepared = prepare_csv(root / "table.csv")
    write_index(prepared.index, tmp_path / "index.csv")
    index = read_index(tmp_path / "index.csv")
    assert index.entries == (
        Entry("mine/a b.mp4", "walk", "train"),
        Entry("mine/c.mp4", "run", "test"),
    )
    assert (prepared.missing, prepared.extra) == ((), ())


def test_a_table_s_paths_may_start_elsewhere(tmp_path: Path) -> None:
    root = tree(tmp_path / "videos", "a.mp4")
    (tmp_path / "table.csv").write_text("path,label\na.mp4,walk\nb.mp4,run\n")
    prepared = prepare_csv(tmp_path / "table.csv", root=root)
    assert [prepared.index.file(entry) for entry in prepared.index.entries] == [root / "a.mp4"]
    assert prepared.index.classes == ("run", "walk")
    assert prepared.missing == ("b.mp4",)
