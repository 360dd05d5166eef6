import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from fragile_decoder import fragile

from marey.errors import IndexFileError, UsageError
from marey.index import (
    Entry,
    Index,
    Report,
    check_index,
    require_any_there,
    require_there,
    require_videos,
    same_videos,
)
from marey.video import write_video


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("film") / "film.mp4"
    frames = np.random.default_rng(0).integers(0, 255, (12, 48, 64, 3), dtype=np.uint8)
    write_video(path, frames)
    return path


def indexed(root: Path, *paths: str, split: str | None = None) -> Index:
    return Index(root, tuple(Entry(path, "walk", split) for path in paths), ("walk",))


def test_every_video_is_reported_once_in_the_order_of_the_index(film: Path, tmp_path: Path) -> None:
    for name in ("whole.mp4", "#2 & (odd).mp4"):
        shutil.copy(film, tmp_path / name)
    data = film.read_bytes()
    (tmp_path / "cut.mp4").write_bytes(data[: len(data) * 2 // 3])
    (tmp_path / "text.mp4").write_text("not a video")
    (tmp_path / "empty.mp4").touch()
    paths = ["text.mp4", "whole.mp4", "gone.mp4", "cut.mp4", "empty.mp4", "#2 & (odd).mp4"]
    index = indexed(tmp_path, *paths)
    twice = replace(index.entries[1], start=0.1)
    index = replace(index, entries=(*index.entries, twice))
    reports = list(check_index(index, workers=2))
    assert [report.video for report in reports] == paths
    verdicts = {report.video: report for report in reports}
    whole = Report("whole.mp4", "ok", "", 12, 12)
    assert verdicts["whole.mp4"] == whole
    assert verdicts["#2 & (odd).mp4"] == replace(whole, video="#2 & (odd).mp4")
    assert verdicts["cut.mp4"].status in ("damaged", "unusable")
    for name in ("text.mp4", "gone.mp4", "empty.mp4"):
        assert verdicts[name].status == "unusable"
        assert verdicts[name].reason
        assert verdicts[name].frames == 0


@pytest.mark.slow
def test_videos_that_bring_the_decoder_down_do_not_stop_the_others(
    film: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = ["a.mp4", "crash 1.mp4", "b.mp4", "hang.mp4", "crash 2.mp4", "bug.mp4", "c.mp4"]
    for name in names:
        shutil.copy(film, tmp_path / name)
    monkeypatch.setattr("marey.index._check.check_video", fragile)
    monkeypatch.setattr("marey.index._check._DECODE_SECONDS", 5.0)
    reports = {r.video: r for r in check_index(indexed(tmp_path, *names), workers=2)}
    assert list(reports) == names
    assert all(reports[name].status == "ok" for name in ("a.mp4", "b.mp4", "c.mp4"))
    assert reports["crash 1.mp4"] == Report(
        "crash 1.mp4", "unusable", "the decoder crashed", 0, None
    )
    assert reports["crash 2.mp4"].reason == "the decoder crashed"
    assert reports["hang.mp4"].reason == "the decoder did not end within 5 seconds"
    assert reports["bug.mp4"].reason == "ZeroDivisionError: a bug"


def test_checking_can_be_left_early(film: Path, tmp_path: Path) -> None:
    names = [f"{number}.mp4" for number in range(40)]
    for name in names:
        shutil.copy(film, tmp_path / name)
    reports = check_index(indexed(tmp_path, *names), workers=1)
    assert next(reports).video == "0.mp4"
    reports.close()  # type: ignore[attr-defined]
    assert list(reports) == []


def test_no_worker_is_too_few() -> None:
    with pytest.raises(UsageError, match="at least 1 worker, got 0"):
        list(check_index(indexed(Path(), "a.mp4"), workers=0))


def test_the_same_bytes_in_two_splits_are_found_under_any_name(tmp_path: Path) -> None:
    contents = {
        "a": b"one",
        "b": b"two",
        "c": b"one",
        "d": b"one",
        "e": b"",
        "f": b"",
        "g": b"4444",
    }
    for name, content in contents.items():
        (tmp_path / name).write_bytes(content)
    splits = dict.fromkeys("abcefg", "train") | dict.fromkeys("df", "test")
    entries = tuple(Entry(name, "walk", splits[name]) for name in "abcdefg")
    index = Index(tmp_path, entries, ("walk",))
    pairs = [(one.path, other.path) for one, other in same_videos(index)]
    assert pairs == [("a", "d")]
    (tmp_path / "c").write_bytes(b"1ne")
    (tmp_path / "a").write_bytes(b"0ne")
    assert same_videos(index) == []


def test_the_same_images_in_two_splits_are_found(tmp_path: Path) -> None:
    for folder in ("one", "two", "three"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "img_00001.jpg").write_bytes(b"first")
        (tmp_path / folder / "img_00002.jpg").write_bytes(folder[0].encode())
    entries = (Entry("one", "a", "train"), Entry("two", "a", "test"), Entry("three", "a", "val"))
    same = same_videos(Index(tmp_path, entries, ("a",)))
    assert [(one.path, other.path) for one, other in same] == [("two", "three")]


def test_all_that_is_wrong_with_the_files_is_told_before_any_work(tmp_path: Path) -> None:
    (tmp_path / "a.mp4").write_bytes(b"same")
    (tmp_path / "b.mp4").write_bytes(b"same")
    entries = (
        Entry("a.mp4", "walk", "train"),
        Entry("b.mp4", "walk", "test"),
        Entry("c.mp4", "walk", "train"),
        Entry("d" * 300, "walk", "train"),
    )
    with pytest.raises(IndexFileError) as caught:
        require_videos(Index(tmp_path, entries, ("walk",)))
    assert caught.value.exit_code == 2
    assert str(caught.value).splitlines() == [
        f"{tmp_path}: 3 problems",
        f"  missing: '{tmp_path}/c.mp4'",
        f"  missing: '{tmp_path}/{'d' * 300}'",
        "  'a.mp4' (train) and 'b.mp4' (test) are the same video",
    ]
    require_videos(Index(tmp_path, entries[:1], ("walk",)))


def test_of_many_missing_videos_the_first_are_named_with_what_to_do(tmp_path: Path) -> None:
    entries = tuple(Entry(f"{number}.mp4", "walk") for number in range(12))
    entries += (Entry("0.mp4", "walk", start=1.0),)
    index = Index(tmp_path, entries, ("walk",))
    for require in (require_there, require_any_there):
        with pytest.raises(UsageError) as caught:
            require(index)
        assert str(caught.value).splitlines() == [
            "12 of 12 videos are missing:",
            *(f"  '{tmp_path}/{number}.mp4'" for number in range(5)),
            "  and 7 more; `marey check` names all that are missing",
            f"The paths in an index start from its own folder, here '{tmp_path}'. If the index was "
            "moved or copied, put it back, or make it anew with `marey prepare`",
        ]


def test_of_few_missing_videos_all_are_named_and_some_may_be_enough(tmp_path: Path) -> None:
    (tmp_path / "a.mp4").touch()
    entries = tuple(Entry(name, "walk") for name in ("a.mp4", "b.mp4", "c.mp4"))
    index = Index(tmp_path, entries, ("walk",))
    require_any_there(index)
    with pytest.raises(UsageError) as caught:
        require_there(index)
    assert str(caught.value).splitlines() == [
        "2 of 3 videos are missing:",
        f"  '{tmp_path}/b.mp4'",
        f"  '{tmp_path}/c.mp4'",
        "Bring them back, or make the index anew: `marey prepare` leaves them out",
    ]
    require_there(Index(tmp_path, entries[:1], ("walk",)))


def test_two_videos_that_are_the_same_are_told_beside_many_that_are_missing(
    tmp_path: Path,
) -> None:
    for name in ("a.mp4", "b.mp4"):
        (tmp_path / name).write_bytes(b"same")
    entries = tuple(Entry(f"{number}.mp4", "walk") for number in range(30))
    entries += (Entry("a.mp4", "walk", "train"), Entry("b.mp4", "walk", "test"))
    with pytest.raises(IndexFileError) as caught:
        require_videos(Index(tmp_path, entries, ("walk",)))
    assert str(caught.value).splitlines()[-2:] == [
        "  'a.mp4' (train) and 'b.mp4' (test) are the same video",
        "  and 10 more like these",
    ]
