from collections.abc import Sequence
from pathlib import Path

import pytest

from marey.errors import IndexFileError, UsageError
from marey.index import Entry, prepare_ucf101

VIDEOS = (
    "Hammering/v_Hammering_g01_c01.avi",
    "Hammering/v_Hammering_g01_c02.avi",
    "Hammering/v_Hammering_g08_c01.avi",
    "HammerThrow/v_HammerThrow_g08_c01.avi",
    "HandstandPushups/v_HandStandPushups_g01_c01.avi",
    "HandstandPushups/v_HandStandPushups_g08_c01.avi",
)
CLASSES = ("Hammering", "HammerThrow", "HandstandPushups")  # not the alphabet's order
TRAIN = (
    "Hammering/v_Hammering_g08_c01.avi 1",
    "HammerThrow/v_HammerThrow_g08_c01.avi 2",
    "HandstandPushups/v_HandStandPushups_g08_c01.avi 3",
)
TEST = (
    "Hammering/v_Hammering_g01_c01.avi",
    "Hammering/v_Hammering_g01_c02.avi",
    "HandstandPushups/v_HandStandPushups_g01_c01.avi",
)


def ucf(
    root: Path,
    *,
    videos: Sequence[str] = VIDEOS,
    train: Sequence[str] = TRAIN,
    test: Sequence[str] = TEST,
    classes: Sequence[str] = CLASSES,
    below: str = "UCF-101",
    lists: str = "ucfTrainTestlist",
    end: str = "\r\n",
) -> Path:
    for video in videos:
        file = root / below / video
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch()
    (root / lists).mkdir(parents=True, exist_ok=True)
    numbered = [f"{number} {name}" for number, name in enumerate(classes, start=1)]
    for name, lines in (("classInd", numbered), ("trainlist01", train), ("testlist01", test)):
        (root / lists / f"{name}.txt").write_bytes("".join(x + end for x in lines).encode())
    return root


@pytest.mark.parametrize("end", ["\r\n", "\n"])
@pytest.mark.parametrize("below", ["UCF-101", "", "a/b"])
@pytest.mark.parametrize("lists", ["ucfTrainTestlist", "splits/ucfTrainTestlist", "."])
def test_the_official_split_becomes_an_index(
    tmp_path: Path, below: str, lists: str, end: str
) -> None:
    prepared = prepare_ucf101(ucf(tmp_path, below=below, lists=lists, end=end))
    index = prepared.index
    at = f"{below}/" if below else ""
    assert index.classes == CLASSES
    assert index.labels == (0, 1, 2, 0, 0, 2)
    assert index.entries[0] == Entry(
        f"{at}Hammering/v_Hammering_g08_c01.avi", "Hammering", "train", "Hammering_g08"
    )
    assert [entry.split for entry in index.entries] == ["train"] * 3 + ["test"] * 3
    assert index.entries[3].group == index.entries[4].group == "Hammering_g01"
    assert index.entries[5].path == f"{at}HandstandPushups/v_HandStandPushups_g01_c01.avi"
    assert index.missing() == []
    assert (prepared.missing, prepared.extra) == ((), ())


def test_handstand_pushups_are_found_however_they_are_spelt(tmp_path: Path) -> None:
    test = [line.replace("Handstand", "HandStand") for line in TEST]
    train = [line.replace("HandStand", "Handstand") for line in TRAIN]
    prepared = prepare_ucf101(ucf(tmp_path, test=test, train=train))
    assert prepared.index.entries[-1] == Entry(
        "UCF-101/HandstandPushups/v_HandStandPushups_g01_c01.avi",
        "HandstandPushups",
        "test",
        "HandStandPushups_g01",
    )
    assert (prepared.missing, prepared.extra) == ((), ())


def test_two_names_that_differ_in_case_alone_keep_their_own_videos(tmp_path: Path) -> None:
    videos = [*VIDEOS, "Hammering/V_HAMMERING_g08_c01.avi"]
    prepared = prepare_ucf101(ucf(tmp_path, videos=videos))
    assert prepared.index.entries[0].path == "UCF-101/Hammering/v_Hammering_g08_c01.avi"
    assert prepared.extra == ("UCF-101/Hammering/V_HAMMERING_g08_c01.avi",)


def test_converted_videos_and_folders_of_images_answer_to_their_names(tmp_path: Path) -> None:
    root = ucf(tmp_path, videos=[video.replace(".avi", ".mp4") for video in VIDEOS[1:]])
    images = root / "UCF-101" / VIDEOS[0].removesuffix(".avi")
    images.mkdir()
    (images / "img_00001.jpg").touch()
    prepared = prepare_ucf101(root)
    assert prepared.index.entries[0].path.endswith("v_Hammering_g08_c01.mp4")
    assert prepared.index.entries[3].path.endswith("v_Hammering_g01_c01")
    assert (prepared.missing, prepared.extra) == ((), ())


def test_missing_and_extra_videos_are_all_named(tmp_path: Path) -> None:
    videos = [*VIDEOS[2:], "Hammering/v_Hammering_g99_c01.avi", "Yoga/v_Yoga_g01_c01.avi"]
    prepared = prepare_ucf101(ucf(tmp_path, videos=videos))
    assert prepared.missing == tuple(TEST[:2])
    assert prepared.extra == (
        "UCF-101/Hammering/v_Hammering_g99_c01.avi",
        "UCF-101/Yoga/v_Yoga_g01_c01.avi",
    )
    assert len(prepared.index.entries) == 4
    assert prepared.index.classes == CLASSES


def test_what_is_wrong_in_the_lists_is_told_at_once(tmp_path: Path) -> None:
    train = [*TRAIN[:2], "HandstandPushups/v_HandStandPushups_g08_c01.avi 2"]
    test = ["Hamering/v_Hammering_g01_c01.avi", "Hammering/v_Hammering_g01_c02.avi 0"]
    with pytest.raises(IndexFileError) as caught:
        prepare_ucf101(ucf(tmp_path, train=train, test=test))
    assert str(caught.value).splitlines()[1:] == [
        "  trainlist01.txt line 3: label 2 is not 'HandstandPushups', 3",
        "  testlist01.txt line 1: 'Hamering' is not a class; did you mean 'Hammering'?",
        "  testlist01.txt line 2: label 0 is not 'Hammering', 1",
    ]


def test_a_label_of_too_many_digits_is_part_of_no_name(tmp_path: Path) -> None:
    train = [*TRAIN, f"Hammering/v_Hammering_g01_c02.avi {'9' * 5000}"]
    assert prepare_ucf101(ucf(tmp_path, train=train)).missing[0].endswith("9" * 100)


def test_a_video_in_both_lists_is_refused(tmp_path: Path) -> None:
    test = ["Hammering/v_Hammering_g08_c01.avi"]
    with pytest.raises(IndexFileError, match=r"in both train and test \(see trainlist01"):
        prepare_ucf101(ucf(tmp_path, test=test))


def test_class_numbers_that_skip_are_refused(tmp_path: Path) -> None:
    root = ucf(tmp_path)
    (root / "ucfTrainTestlist" / "classInd.txt").write_text("1 Hammering\n3 HammerThrow\n")
    with pytest.raises(IndexFileError, match=r"line 2: expected `2 <new class>`"):
        prepare_ucf101(root)


def test_the_lists_may_lie_elsewhere(tmp_path: Path) -> None:
    ucf(tmp_path, below="videos", lists="lists")
    with pytest.raises(UsageError, match=r"no classInd\.txt.*--lists"):
        prepare_ucf101(tmp_path / "videos")
    prepared = prepare_ucf101(tmp_path / "videos", lists=tmp_path / "lists")
    assert len(prepared.index.entries) == 6


def test_a_split_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"needs trainlist04\.txt.*there is testlist01\.txt"):
        prepare_ucf101(ucf(tmp_path), split=4)


def test_a_root_that_cannot_be_right_is_refused(tmp_path: Path) -> None:
    root = ucf(tmp_path / "ucf101", videos=())
    with pytest.raises(UsageError, match="none of the 6 listed videos is here"):
        prepare_ucf101(root)
    with pytest.raises(UsageError, match="no such folder; did you mean 'ucf101'"):
        prepare_ucf101(tmp_path / "ucf11")
    (tmp_path / "empty").mkdir()
    with pytest.raises(UsageError, match="this folder is empty"):
        prepare_ucf101(tmp_path / "empty")
