"""Work that a cluster would do, done here one task after the other."""

import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import fsspec
import numpy as np
import pytest
from killable_flow import Here, work_here

from marey.cli import main
from marey.cluster import Cluster
from marey.errors import UsageError
from marey.extraction import Extraction, extract
from marey.index import Entry, Index, check_index
from marey.isolation import CrashError, own_process
from marey.video import write_video


class InTurn:
    """Workers that do each task here, the last one first; those named are lost."""

    def __init__(self, *lost: str) -> None:
        self.lost = lost

    def each(
        self, work: Callable[[Any], Any], items: Iterable[Any], /
    ) -> Iterator[tuple[int, Any]]:
        for number, item in reversed(list(enumerate(items))):
            name = getattr(item, "video", item)
            gone = CrashError("its worker was lost 6 times")
            yield number, gone if name in self.lost else work(item)

    def in_order(self, work: Callable[[Any], Any], items: Iterable[Any], /) -> Iterator[Any]:
        for _, result in sorted(self.each(work, items), key=lambda pair: pair[0]):
            yield result


@pytest.fixture(autouse=True)
def _here(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    work_here(monkeypatch.setattr)
    own_process.cache_clear()
    yield
    own_process.cache_clear()


@pytest.fixture
def index(tmp_path: Path) -> Index:
    """Films of which one is no video."""
    names = ["a.mp4", "b.mp4", "c.mp4"]
    for seed, name in enumerate(names):
        blocks = np.random.default_rng(seed).integers(0, 256, (6, 8, 3), np.uint8)
        still = blocks.repeat(8, 0).repeat(8, 1)
        write_video(tmp_path / name, np.stack([np.roll(still, t, 1) for t in range(4)]))
    (tmp_path / "b.mp4").write_text("no video")
    return Index(tmp_path, tuple(Entry(name, "walk") for name in names), ("walk",))


def at_addresses(index: Index) -> Index:
    """The same videos in a storage of objects."""
    storage = fsspec.filesystem("memory")
    for entry in index.entries:
        storage.pipe(f"/bucket/{entry.path}", index.file(entry).read_bytes())
    moved = [replace(entry, path=f"memory://bucket/{entry.path}") for entry in index.entries]
    return replace(index, entries=tuple(moved))


def test_reports_are_the_same_wherever_a_video_is_decoded(
    index: Index, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Here, "start", lambda self: None)
    here = list(check_index(index, workers=1))
    assert list(check_index(index, cluster=InTurn())) == here
    fetched = list(check_index(at_addresses(index), cluster=InTurn(), fetch=["memory"]))
    assert [replace(report, video=report.video[16:]) for report in fetched] == here


def test_a_video_whose_workers_are_lost_is_unusable(
    index: Index, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Here, "start", lambda self: None)
    reports = list(check_index(index, cluster=InTurn("a.mp4")))
    assert [report.status for report in reports] == ["unusable", "unusable", "ok"]
    assert reports[0].reason == "its worker was lost 6 times"


def test_an_address_is_no_address_unless_its_protocol_is_allowed(
    index: Index, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Here, "start", lambda self: None)
    reports = list(check_index(at_addresses(index), cluster=InTurn(), fetch=["file"]))
    assert {report.status for report in reports} == {"unusable"}


def test_flow_is_the_same_to_the_byte_and_lost_videos_are_tried_again(
    index: Index, tmp_path: Path
) -> None:
    pytest.importorskip("cv2", reason="OpenCV is not installed")
    dis = Extraction(method="dis")
    here = extract(index, dis, tmp_path / "here", workers=1)
    there = tmp_path / "there"
    first = extract(index, dis, there, cluster=InTurn("a.mp4"))
    assert [row.status for row in first] == ["unusable", "unusable", "ok"]
    kept: list[str] = []

    def each(row: Any, known: bool) -> None:
        kept.extend([row.video] * known)

    assert extract(index, dis, there, cluster=InTurn(), each=each) == here
    assert kept == ["b.mp4", "c.mp4"]
    for name in ("a.mp4.mkv", "c.mp4.mkv", "ledger.jsonl"):
        assert (there / name).read_bytes() == (tmp_path / "here" / name).read_bytes()


def test_flow_of_videos_at_addresses_is_not_computed_twice(index: Index, tmp_path: Path) -> None:
    pytest.importorskip("cv2", reason="OpenCV is not installed")
    moved = at_addresses(index)
    kept: list[bool] = []
    for _ in range(2):
        rows = extract(
            moved,
            Extraction(method="dis"),
            tmp_path / "flow",
            cluster=InTurn(),
            fetch=["memory"],
            each=lambda row, known: kept.append(known),
        )
        assert [row.status for row in rows] == ["ok", "unusable", "ok"]
    # What could not be used may have been mended there meanwhile.
    assert sorted(kept) == [False] * 4 + [True] * 2


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["check", "i.csv", "--fetch", "file"], "--fetch is for --cluster"),
        (["predict", "a.mp4", "--fetch", "file"], "--fetch is for --cluster"),
        (["predict", "a.mp4", "--cluster", "local", "--segments"], "--cluster is for answers"),
        (["predict", "a.mp4", "--cluster", "local", "--device", "cuda"], "take one core each"),
        (["check", "i.csv", "--cluster", "h:1", "--workers", "2"], "leave it out"),
        (["check", "i.csv", "--cluster", "h:1", "--fetch", "pigeon"], "pigeon: videos cannot"),
    ],
)
def test_words_that_do_not_go_together_are_refused(
    words: list[str],
    said: str,
    index: Index,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(index.root)
    Path("i.csv").write_text("path,label\na.mp4,walk\n")
    with pytest.raises(SystemExit) as caught:
        main(words)
    assert caught.value.code == 2
    assert said in capsys.readouterr().err


def test_without_ray_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "ray", None)
    with pytest.raises(UsageError, match=r"pip install 'marey\[cluster\]'"), Cluster("local"):
        pass


def test_predictions_of_copies_are_those_of_the_videos(index: Index) -> None:
    from marey.cluster import Looking, predictions
    from marey.predictor import Predictor

    predictor = Predictor("off-lite0-jhmdb", device="cpu", backend="torch")
    looking = Looking(
        model="off-lite0-jhmdb",
        weights_sha256=predictor.facts.weights_sha256,
        backend="torch",
    )
    moved = [entry.path for entry in at_addresses(index).entries]
    told = [p.as_json() for p in predictions(InTurn(), looking, moved, fetch=["memory"])]
    own = [predictor(index.file(entry)).as_json() for entry in index.entries]
    assert json.dumps(told) == json.dumps(own).replace(f"{index.root}/", "memory://bucket/")
