"""The clips of a folder are looked through once, and the folder is only read."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from marey.errors import UsageError
from marey.index import Index, read_index
from marey.training import gather_clips
from marey.training._gather import read_verdicts

Snapshot = dict[Path, tuple[int, int]]


@pytest.fixture
def folder(films: Index, tmp_path: Path) -> Path:
    """Two classes of three clips."""
    root = tmp_path / "clips"
    for label in films.classes:
        (root / label).mkdir(parents=True)
        for number in range(3):
            shutil.copy(films.root / f"{label}{number}.avi", root / label)
    return root


def as_it_is(root: Path) -> Snapshot:
    return {path: (path.stat().st_size, path.stat().st_mtime_ns) for path in root.rglob("*")}


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Paths of the clips that are decoded."""
    import marey.training._gather as gathering

    decoded: list[str] = []
    real = gathering.check_index

    def check(index: Index) -> object:
        decoded.extend(entry.path for entry in index.entries)
        return real(index)

    monkeypatch.setattr(gathering, "check_index", check)
    return decoded


def test_a_folder_becomes_an_index_that_is_the_same_again(
    folder: Path, tmp_path: Path, counted: list[str]
) -> None:
    before = as_it_is(folder)
    clips = gather_clips(folder, tmp_path / "out")
    assert len(counted) == 6
    assert clips.frames == 12
    assert (clips.damaged, clips.unusable, clips.same, clips.extra) == ({}, {}, (), ())
    listed = read_index(clips.listed)
    assert not listed.missing()
    assert [entry.label for entry in listed.entries] == ["left"] * 3 + ["right"] * 3
    data = clips.listed.read_bytes()
    assert gather_clips(folder, tmp_path / "out") == clips
    assert clips.listed.read_bytes() == data
    assert len(counted) == 6  # Nothing is decoded twice.
    assert as_it_is(folder) == before


def test_what_cannot_be_decoded_is_named_and_left_out(folder: Path, tmp_path: Path) -> None:
    (folder / "left" / "broken.avi").write_bytes(b"not a video")
    (folder / "stray.avi").touch()
    clips = gather_clips(folder, tmp_path / "out")
    assert list(clips.unusable) == ["left/broken.avi"]
    assert clips.unusable["left/broken.avi"]
    assert clips.extra == ("stray.avi",)
    assert len(clips.index.entries) == 6


def test_copies_are_one_recording_and_so_is_what_shares_one_with_them(
    folder: Path, tmp_path: Path
) -> None:
    left = folder / "left"
    for number, name in enumerate(("a_1", "a_2", "b_1")):
        (left / f"left{number}.avi").rename(left / f"{name}.avi")
    shutil.copy(left / "b_1.avi", left / "c_1.avi")
    shutil.copy(left / "a_2.avi", left / "d_1.avi")
    shutil.copy(left / "a_2.avi", folder / "right" / "e.avi")
    clips = gather_clips(folder, tmp_path / "out")
    assert clips.same == (
        ("left/a_2.avi", "left/d_1.avi"),
        ("left/a_2.avi", "right/e.avi"),
        ("left/b_1.avi", "left/c_1.avi"),
    )
    groups = {Path(entry.path).stem: entry.group for entry in clips.index.entries}
    assert groups["a_1"] == groups["a_2"] == groups["d_1"] == groups["e"]
    assert groups["b_1"] == groups["c_1"] != groups["a_1"]
    assert groups["right0"] is None
    assert gather_clips(folder, tmp_path / "out") == clips


def test_a_class_without_a_clip_of_use_stays_a_class(folder: Path, tmp_path: Path) -> None:
    (folder / "up").mkdir()
    (folder / "up" / "broken.avi").write_bytes(b"not a video")
    clips = gather_clips(folder, tmp_path / "out")
    assert clips.index.classes == ("left", "right", "up")
    assert read_index(clips.listed).classes == ("left", "right", "up")


def test_a_clip_that_has_changed_is_decoded_again(
    folder: Path, tmp_path: Path, counted: list[str]
) -> None:
    gather_clips(folder, tmp_path / "out")
    (folder / "left" / "left0.avi").write_bytes(b"not a video")
    counted.clear()
    with pytest.raises(UsageError, match="1 gone or of no use now"):
        gather_clips(folder, tmp_path / "out")
    assert counted == ["left/left0.avi"]


def test_a_search_that_was_cut_short_goes_on(
    folder: Path, tmp_path: Path, counted: list[str]
) -> None:
    gather_clips(folder, tmp_path / "out")
    ledger = tmp_path / "out" / "checked.jsonl"
    (tmp_path / "out" / "index.csv").unlink()
    lines = ledger.read_text().splitlines(keepends=True)
    ledger.write_text("".join(lines[:2]) + lines[2][:20])
    counted.clear()
    gather_clips(folder, tmp_path / "out")
    assert len(counted) == 4
    assert (tmp_path / "out" / "index.csv").exists()


@pytest.mark.parametrize("line", [b"[]", b"{}", b"\xff", b'{"path": ["a"]}', b"[" * 100_000])
def test_lines_of_something_else_say_nothing(line: bytes, tmp_path: Path) -> None:
    row = b'{"path": "a", "stamp": "1 2", "status": "ok", "reason": "", "frames": 3}'
    path = tmp_path / "checked.jsonl"
    path.write_bytes(b"\n".join([line, row, line]))
    assert read_verdicts(path).keys() == {"a"}


def test_other_clips_than_a_run_began_with_are_refused(folder: Path, tmp_path: Path) -> None:
    gather_clips(folder, tmp_path / "out")
    shutil.copy(folder / "left" / "left0.avi", folder / "left" / "new.avi")
    (folder / "right" / "right1.avi").unlink()
    with pytest.raises(UsageError, match=r"1 new, such as .*new\.avi; 1 gone") as caught:
        gather_clips(folder, tmp_path / "out")
    assert "another --out" in str(caught.value)


@pytest.mark.parametrize("place", [".", "left", "left/deep"])
def test_nothing_is_written_among_the_clips(folder: Path, place: str) -> None:
    before = as_it_is(folder)
    with pytest.raises(UsageError, match="is where the clips are"):
        gather_clips(folder, folder / place)
    assert as_it_is(folder) == before


def test_a_folder_beside_the_classes_may_be_written_to(folder: Path) -> None:
    clips = gather_clips(folder, folder / "model")
    assert gather_clips(folder, folder / "model") == clips


def test_a_folder_of_broken_clips_alone_is_refused(tmp_path: Path) -> None:
    for name in ("a/one.avi", "b/two.avi"):
        (tmp_path / name).parent.mkdir()
        (tmp_path / name).write_bytes(b"not a video")
    with pytest.raises(UsageError, match=r"none of its 2 clips can be used, such as a/one\.avi"):
        gather_clips(tmp_path, tmp_path / "out")


def test_progress_ends_with_all_clips(folder: Path, tmp_path: Path) -> None:
    told: list[tuple[int, int]] = []
    each: Callable[[int, int], None] = lambda done, total: told.append((done, total))  # noqa: E731
    gather_clips(folder, tmp_path / "out", each=each)
    assert told == [(number, 6) for number in range(7)]
