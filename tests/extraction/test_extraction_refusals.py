"""Folders that are not ours, and other mistakes."""

import itertools
import os
from dataclasses import replace
from pathlib import Path

import pytest
from flow_films import DIS, TSN, StopError, index_of, tree
from killable_flow import Here

from marey.errors import UsageError
from marey.extraction import Extracted, Extraction, extract
from marey.index import Index

pytest.importorskip("cv2", reason="OpenCV is not installed")


@pytest.mark.usefixtures("here")
@pytest.mark.parametrize("other", [Extraction(method="farneback"), replace(DIS, pairs="test"), TSN])
def test_a_folder_of_other_flow_is_refused(three: Index, kept: Path, other: Extraction) -> None:
    before = tree(kept)
    with pytest.raises(UsageError) as caught:
        extract(three, other, kept, workers=1)
    assert str(caught.value) == (
        f"{kept} holds other flow (see {kept}/flow.json); give another --out, or its own method, "
        "--for and --format"
    )
    assert tree(kept) == before


@pytest.mark.usefixtures("here")
def test_settings_that_are_damaged_are_refused(three: Index, kept: Path) -> None:
    (kept / "flow.json").write_bytes(b"\xff\xfe")
    with pytest.raises(UsageError, match="holds other flow"):
        extract(three, DIS, kept, workers=1)


@pytest.mark.usefixtures("here")
def test_a_folder_of_something_else_is_refused_and_left_alone(three: Index, tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(UsageError, match="that `marey flow` did not write; give another --out"):
        extract(three, DIS, tmp_path, workers=1)
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]


def test_no_worker_is_too_few(three: Index, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="at least 1 worker, got 0"):
        extract(three, DIS, tmp_path, workers=0)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("videos", "extraction", "told"),
    [
        (("a.avi", "a.mp4"), TSN, "'a.avi' and 'a.mp4' would have their flow in one place, "),
        (("a.avi", "../a.avi"), DIS, "'a.avi' and '../a.avi' would have their flow in one place"),
        (("b.avi", "b/a.avi"), TSN, "'b/a.avi' would have its flow within that of 'b.avi'"),
        (("b/a.avi", "b.avi"), TSN, "'b/a.avi' would have its flow within that of 'b.avi'"),
        (("b", "b.mkv/a.avi"), DIS, "'b.mkv/a.avi' would have its flow within that of 'b'"),
        (("lock.avi",), TSN, "'lock.avi' would have its flow in .*/lock, which is needed for"),
        (("flow.json.avi",), TSN, "flow.json, which is needed for other things"),
    ],
)
def test_flow_that_would_get_into_the_way_of_other_flow_is_refused(
    tmp_path: Path, videos: tuple[str, ...], extraction: Extraction, told: str
) -> None:
    with pytest.raises(UsageError, match=told):
        extract(index_of(tmp_path, *videos), extraction, tmp_path / "flow", workers=1)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.usefixtures("here")
def test_a_full_disk_ends_the_run_and_leaves_nothing_half(
    three: Index, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = itertools.count(1)
    real = os.fsync

    def full(handle: int) -> None:
        if next(calls) == 3:
            raise OSError(28, "No space left on device")
        real(handle)

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        extract(three, DIS, tmp_path, workers=1)
    assert "a.avi.mkv" not in tree(tmp_path)
    assert not [path for path in tmp_path.rglob("*") if "partial" in path.name]


@pytest.mark.usefixtures("here")
def test_processes_end_when_a_run_is_stopped_between_two_videos(
    three: Index, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    closed = []
    monkeypatch.setattr(Here, "close", lambda self: closed.append(self))

    def stop(row: Extracted, kept: bool) -> None:
        raise StopError

    with pytest.raises(StopError) as caught:
        extract(three, DIS, tmp_path, workers=2, each=stop)
    # Though the exception still holds all that was going on.
    assert caught.value.__traceback__ is not None
    assert len(closed) == 2
