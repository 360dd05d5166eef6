"""What becomes of each video of an index."""

import shutil
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from flow_films import DIS, TSN, again, index_of, ledger, tree
from killable_flow import Here

from marey.data import StoredFlow
from marey.errors import UsageError
from marey.extraction import Extraction, extract, summary
from marey.flow import FlowFolder, FlowReader, open_flow
from marey.isolation import CrashError

pytest.importorskip("cv2", reason="OpenCV is not installed")


@pytest.mark.usefixtures("here")
def test_every_video_has_its_flow_and_its_line_in_the_order_of_the_index(
    films: Path, tmp_path: Path
) -> None:
    index = index_of(films, "walk/b.mp4", "a.avi")
    rows = extract(index, DIS, tmp_path, workers=1)
    assert [(row.video, row.status, row.reason, row.pairs) for row in rows] == [
        ("walk/b.mp4", "ok", "", 4),
        ("a.avi", "ok", "", 3),
    ]
    assert ledger(tmp_path) == [asdict(row) for row in rows]
    assert sorted(tree(tmp_path)) == [
        "a.avi.mkv",
        "flow.json",
        "ledger.jsonl",
        "walk/b.mp4.mkv",
    ]
    for row in rows:
        with open_flow(tmp_path, row.video) as flow:
            assert len(flow) == row.pairs
            assert flow.making is not None
            assert flow.making.method == "dis"
            assert row.bytes == flow.path.stat().st_size
            assert row.source_bytes == (films / row.video).stat().st_size
            # 2 of 64 columns a frame are 4 of 128: 25.5 levels above 128.
            x, y = flow.frames_at([1])[0].reshape(-1, 2).T
            assert abs(np.median(x) - 153.5) < 3
            assert abs(np.median(y) - 128) < 3


@pytest.mark.usefixtures("here")
def test_a_damaged_video_has_flow_and_unusable_ones_have_none(films: Path, tmp_path: Path) -> None:
    names = ("text.avi", "cut.avi", "gone.avi", "one.avi", "a.avi", "n" * 300 + ".avi")
    rows = {row.video: row for row in extract(index_of(films, *names), DIS, tmp_path, workers=1)}
    assert list(rows) == list(names)
    assert rows["a.avi"].status == "ok"
    assert rows["cut.avi"].status == "damaged"
    assert rows["cut.avi"].reason
    with open_flow(tmp_path, "cut.avi") as flow:
        assert isinstance(flow, FlowReader)
        assert flow.reason == rows["cut.avi"].reason
        assert 0 < len(flow) == rows["cut.avi"].pairs < 19
    reasons = {name: rows[name].reason for name in names if rows[name].status == "unusable"}
    assert len(reasons) == 4
    assert reasons["text.avi"].startswith("is not a video")
    assert reasons["gone.avi"] == "does not exist"
    assert reasons["one.avi"] == "has a single frame; flow needs two"
    assert "too long" in reasons["n" * 300 + ".avi"]
    assert summary(list(rows.values())) == {
        "videos": 6,
        "ok": 1,
        "damaged": 1,
        "unusable": 4,
        "pairs": 3 + rows["cut.avi"].pairs,
        "bytes": rows["a.avi"].bytes + rows["cut.avi"].bytes,
    }
    # They are not tried again.
    assert again(index_of(films, *names), DIS, tmp_path).made == []


@pytest.mark.usefixtures("here")
def test_a_video_that_brings_the_process_down_does_not_stop_the_others(
    films: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fragile(self: Here, function: Callable[..., Any], seconds: float, task: Any) -> Any:
        if task.video == "a.avi":
            raise CrashError("did not end within 5 seconds")
        return function(task)

    monkeypatch.setattr(Here, "call", fragile)
    first, second = extract(index_of(films, "a.avi", "walk/b.mp4"), DIS, tmp_path, workers=1)
    assert (first.status, first.reason) == ("unusable", "the decoder did not end within 5 seconds")
    assert second.status == "ok"


@pytest.mark.usefixtures("here")
@pytest.mark.parametrize(
    "name",
    ["a b.avi", 'it\'s "a".avi', "a\nb.avi", "🏃.avi", "-o.avi", "%05d.avi", "n" * 251 + ".avi"],
)
def test_a_video_of_any_name_has_flow_that_is_found(films: Path, tmp_path: Path, name: str) -> None:
    shutil.copy(films / "a.avi", tmp_path / name)
    index = index_of(tmp_path, name)
    (row,) = extract(index, DIS, tmp_path / "flow", workers=1)
    assert (row.video, row.status) == (name, "ok")
    with StoredFlow(tmp_path / "flow", "dis").open(index, index.entries[0]) as flow:
        assert len(flow) == 3
    assert again(index, DIS, tmp_path / "flow").kept == [name]


@pytest.mark.usefixtures("here")
def test_a_video_elsewhere_has_its_flow_inside_the_folder(films: Path, tmp_path: Path) -> None:
    shutil.copytree(films / "walk", tmp_path / "walk")
    (tmp_path / "here").mkdir()
    out = tmp_path / "here" / "flow"
    index = index_of(tmp_path / "here", "../walk/b.mp4", str(films / "a.avi"))
    extract(index, DIS, out, workers=1)
    inside = str(films / "a.avi").lstrip("/") + ".mkv"
    assert set(tree(out)) == {"flow.json", "ledger.jsonl", "walk/b.mp4.mkv", inside}
    assert set(tree(tmp_path)) == {"walk/b.mp4", *(f"here/flow/{name}" for name in tree(out))}


@pytest.mark.usefixtures("here")
def test_a_folder_of_images_is_a_video_too(films: Path, tmp_path: Path) -> None:
    from PIL import Image

    (tmp_path / "clip").mkdir()
    noise = np.random.default_rng(0).integers(0, 256, (3, 48, 64, 3), np.uint8)
    for number, frame in enumerate(noise, start=1):
        Image.fromarray(frame).save(tmp_path / "clip" / f"img_{number:05d}.jpg")
    index = index_of(tmp_path, "clip")
    (row,) = extract(index, DIS, tmp_path / "flow", workers=1)
    assert (row.status, row.pairs) == ("ok", 2)
    images = list((tmp_path / "clip").iterdir())
    assert row.source_bytes == sum(image.stat().st_size for image in images)
    assert again(index, DIS, tmp_path / "flow").made == []
    images[0].unlink()
    assert again(index, DIS, tmp_path / "flow").made == ["clip"]


# Folders of images.


@pytest.mark.usefixtures("here")
def test_tsn_s_folders_hold_the_same_flow_but_for_jpeg(films: Path, tmp_path: Path) -> None:
    index = index_of(films, "a.avi", "walk/b.mp4")
    extract(index, DIS, tmp_path / "video", workers=1)
    rows = extract(index, TSN, tmp_path / "tsn", workers=1)
    assert [(row.status, row.pairs) for row in rows] == [("ok", 3), ("ok", 4)]
    images = [f"walk/b/flow_{part}_{n:05d}.jpg" for part in "xy" for n in range(1, 5)]
    assert set(images) < set(tree(tmp_path / "tsn"))
    assert len(tree(tmp_path / "tsn")) == 2 * 7 + 2
    for row in rows:
        with (
            open_flow(tmp_path / "video", row.video) as one,
            open_flow(tmp_path / "tsn", row.video) as other,
        ):
            assert isinstance(other, FlowFolder)
            assert row.bytes == sum(path.stat().st_size for path in other.path.iterdir())
            places = range(row.pairs)
            difference = one.frames_at(places).astype(int) - other.frames_at(places)
            assert np.abs(difference).mean() < 2
    assert again(index, TSN, tmp_path / "tsn").made == []


def test_images_of_the_pairs_of_testing_alone_are_refused() -> None:
    with pytest.raises(UsageError, match="--for test needs --format video"):
        Extraction(pairs="test", form="tsn")
