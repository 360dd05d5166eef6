"""Folders in which flow was extracted before."""

import hashlib
import shutil
from pathlib import Path

import pytest
from flow_films import DIS, TSN, StopError, again, film, index_of, ledger, tree

from marey.errors import VideoError
from marey.extraction import Extracted, Extraction, extract
from marey.extraction._ledger import line_of, read_ledger
from marey.flow import open_flow
from marey.index import Index

pytest.importorskip("cv2", reason="OpenCV is not installed")


@pytest.mark.usefixtures("here")
def test_what_is_done_is_not_done_again(three: Index, ready: Path, kept: Path) -> None:
    told = again(three, DIS, kept)
    assert (told.made, told.kept) == ([], ["a.avi", "walk/b.mp4", "text.avi"])
    assert tree(kept) == tree(ready)


@pytest.mark.usefixtures("here")
@pytest.mark.parametrize(
    "left",
    [b"", b'{"video": "a.avi", "stat', b'{"video": "a.avi"}\n[]\n7\n\xff\n', None],
    ids=["empty", "torn", "nonsense", "lost"],
)
def test_flow_that_is_there_is_believed_without_the_ledger(
    three: Index, ready: Path, kept: Path, left: bytes | None
) -> None:
    if left is None:
        (kept / "ledger.jsonl").unlink()
    else:
        (kept / "ledger.jsonl").write_bytes(left)
    assert again(three, DIS, kept).made == ["text.avi"]
    assert tree(kept) == tree(ready)


@pytest.mark.usefixtures("here")
def test_a_last_line_cut_short_says_nothing(three: Index, ready: Path, kept: Path) -> None:
    lines = (kept / "ledger.jsonl").read_bytes()
    (kept / "ledger.jsonl").write_bytes(lines[:-40])
    told = again(three, DIS, kept)
    assert (told.made, told.kept) == (["text.avi"], ["a.avi", "walk/b.mp4"])
    assert tree(kept) == tree(ready)


@pytest.mark.usefixtures("here")
@pytest.mark.parametrize(
    "line", ["[]", '{"video": ["a.avi"]}', '{"video": 3, "status": "ok"}', "[" * 100_000]
)
def test_a_line_of_something_else_says_nothing(line: str, tmp_path: Path) -> None:
    row = Extracted("a.avi", "ok", "", 3, 9, 7)
    path = tmp_path / "ledger.jsonl"
    of_lists = line_of(row).replace('"a.avi"', '["b.avi"]')
    path.write_text("\n".join([line, of_lists, line_of(row), line]))
    assert read_ledger(path) == {"a.avi": row}


@pytest.mark.usefixtures("here")
def test_a_line_behind_one_cut_short_is_read(films: Path, tmp_path: Path) -> None:
    """Images are believed by the ledger alone, so no line of it may be lost."""
    index = index_of(films, "a.avi", "walk/b.mp4")
    extract(index, TSN, tmp_path / "whole", workers=1)
    folder = tmp_path / "flow"

    def stop(row: Extracted, kept: bool) -> None:
        raise StopError

    with pytest.raises(StopError):
        extract(index, TSN, folder, workers=1, each=stop)
    rest = (folder / "ledger.jsonl").read_bytes()
    (folder / "ledger.jsonl").write_bytes(b'{"video": "wal')
    with pytest.raises(StopError):
        extract(index, TSN, folder, workers=1, each=stop)
    assert (folder / "ledger.jsonl").read_bytes() == b'{"video": "wal\n' + rest
    assert again(index, TSN, folder).made == ["walk/b.mp4"]
    assert tree(folder) == tree(tmp_path / "whole")


@pytest.mark.usefixtures("here")
def test_lost_or_damaged_flow_is_made_again(three: Index, ready: Path, kept: Path) -> None:
    (kept / "a.avi.mkv").unlink()
    assert again(three, DIS, kept).made == ["a.avi"]
    (kept / "walk" / "b.mp4.mkv").write_bytes(b"damaged")
    (kept / "ledger.jsonl").unlink()
    assert again(three, DIS, kept).made == ["walk/b.mp4", "text.avi"]
    assert tree(kept) == tree(ready)


@pytest.mark.usefixtures("here")
@pytest.mark.parametrize("extraction", [DIS, TSN], ids=["video", "tsn"])
def test_a_video_that_changed_is_done_again(
    films: Path, tmp_path: Path, extraction: Extraction
) -> None:
    root = tmp_path / "films"
    shutil.copytree(films, root)
    index = index_of(root, "a.avi", "walk/b.mp4")
    extract(index, extraction, tmp_path / "flow", workers=1)
    film(root / "a.avi", 8, seed=5)
    told = again(index, extraction, tmp_path / "flow")
    assert (told.made, told.kept) == (["a.avi"], ["walk/b.mp4"])
    assert len(open_flow(tmp_path / "flow", "a.avi")) == 7
    extract(index, extraction, tmp_path / "whole", workers=1)
    assert tree(tmp_path / "flow") == tree(tmp_path / "whole")
    # Nothing of the video before is left where its successor cannot be used.
    (root / "a.avi").write_text("no video")
    assert again(index, extraction, tmp_path / "flow").made == ["a.avi"]
    with pytest.raises(VideoError, match="holds no flow of it"):
        open_flow(tmp_path / "flow", "a.avi")


@pytest.mark.usefixtures("here")
def test_flow_of_a_video_that_is_gone_stays(films: Path, tmp_path: Path) -> None:
    root = tmp_path / "films"
    shutil.copytree(films, root)
    index = index_of(root, "a.avi", "walk/b.mp4")
    extract(index, DIS, tmp_path / "flow", workers=1)
    before = tree(tmp_path / "flow")
    (root / "a.avi").rename(root / "elsewhere.avi")
    assert again(index, DIS, tmp_path / "flow").made == ["a.avi"]
    assert ledger(tmp_path / "flow")[0]["reason"] == "does not exist"
    (root / "elsewhere.avi").rename(root / "a.avi")
    assert again(index, DIS, tmp_path / "flow").kept == ["a.avi", "walk/b.mp4"]
    assert tree(tmp_path / "flow") == before


@pytest.mark.usefixtures("here")
def test_two_indices_may_share_a_folder(films: Path, three: Index, kept: Path) -> None:
    told = again(index_of(films, "walk/b.mp4", "long.avi"), DIS, kept)
    assert (told.made, told.kept) == (["long.avi"], ["walk/b.mp4"])
    assert [row["video"] for row in ledger(kept)] == [
        "walk/b.mp4",
        "long.avi",
        "a.avi",
        "text.avi",
    ]
    assert again(three, DIS, kept).made == []


@pytest.mark.usefixtures("here")
def test_what_a_killed_run_left_half_written_is_gone_after_the_next(
    three: Index, ready: Path, kept: Path
) -> None:
    digest = hashlib.sha256(b"a.avi.mkv").hexdigest()[:16]
    (kept / "a.avi.mkv").rename(kept / f".{digest}.partial.mkv")
    assert again(three, DIS, kept).made == ["a.avi"]
    assert tree(kept) == tree(ready)


@pytest.mark.usefixtures("here")
def test_a_folder_in_which_nothing_but_a_beginning_is_left_is_gone_on_in(
    three: Index, ready: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "flow"
    folder.mkdir()
    (folder / "lock").touch()
    digest = hashlib.sha256(b"flow.json").hexdigest()[:16]
    (folder / f".{digest}.partial.json").write_text("{")
    again(three, DIS, folder)
    assert tree(folder) == tree(ready)
