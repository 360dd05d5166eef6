import json
from pathlib import Path

import numpy as np
import pytest
from films import Run, film
from killable_flow import Here

from marey.flow import FlowFolder, FlowReader, open_flow
from marey.video import write_video


@pytest.fixture
def index(tmp_path: Path) -> Path:
    film(tmp_path / "a.mp4", frames=4)
    film(tmp_path / "b.mp4", frames=3, width=72)
    path = tmp_path / "videos.csv"
    path.write_text("path,label\na.mp4,run\nb.mp4,sit\n")
    return path


@pytest.fixture
def _here(monkeypatch: pytest.MonkeyPatch) -> None:
    """Do videos in this process, which saves the seconds that another takes to start."""
    monkeypatch.setattr("marey.isolation.Isolated", Here)


def test_flow_of_every_video_is_written_and_counted(
    run: Run, index: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "dis"
    words = ["flow", index, "--out", out, "--method", "dis", "--workers", 1]
    assert run(*words, "--json") == 0
    document = json.loads(capsys.readouterr().out)
    assert (document["videos"], document["ok"], document["pairs"]) == (2, 2, 3 + 2)
    assert [row["video"] for row in document["results"]] == ["a.mp4", "b.mp4"]
    written = [open_flow(out, name) for name in ("a.mp4", "b.mp4")]
    assert [len(flow) for flow in written] == [3, 2]
    assert document["bytes"] == sum(flow.path.stat().st_size for flow in written)

    assert run(*words) == 0
    printed, said = capsys.readouterr()
    assert printed == f"{out}\n"
    assert "5 pairs" in said
    assert "0 pairs computed" in said


@pytest.mark.usefixtures("_here")
def test_a_video_moving_right_has_x_flow_above_rest(run: Run, index: Path, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    texture = rng.integers(0, 256, (16, 24, 3)).astype(np.uint8).repeat(16, 0).repeat(16, 1)
    for name, step in (("a.mp4", 3), ("b.mp4", -3)):
        write_video(tmp_path / name, np.stack([np.roll(texture, step * t, 1) for t in range(3)]))
    assert run("flow", index, "--out", tmp_path / "tvl1", "--workers", 1) == 0
    right, left = (
        open_flow(tmp_path / "tvl1", n).frames_at([0])[0, ..., 0] for n in ("a.mp4", "b.mp4")
    )
    assert np.median(right) > 128 > np.median(left)


@pytest.mark.usefixtures("_here")
def test_an_unusable_video_is_named_and_the_rest_goes_on(
    run: Run, index: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "a.mp4").write_bytes(b"no video at all")
    words = ["flow", index, "--out", tmp_path / "dis", "--method", "dis", "--workers", 1]
    assert run(*words) == 3
    assert "marey: unusable: a.mp4: " in capsys.readouterr().err
    assert len(open_flow(tmp_path / "dis", "b.mp4")) == 2


@pytest.mark.usefixtures("_here")
def test_folders_as_tsns_tools_write_them_can_be_asked_for(
    run: Run, index: Path, tmp_path: Path
) -> None:
    words = ["--method", "dis", "--format", "tsn", "--workers", 1]
    assert run("flow", index, "--out", tmp_path / "tsn", *words) == 0
    assert sorted(path.name for path in (tmp_path / "tsn" / "b").iterdir()) == [
        f"flow_{part}_0000{number}.jpg" for part in "xy" for number in (1, 2)
    ]
    assert isinstance(open_flow(tmp_path / "tsn", "b.mp4"), FlowFolder)


@pytest.mark.usefixtures("_here")
def test_without_a_place_flow_goes_to_one_named_by_its_method(
    run: Run, index: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run("flow", index, "--method", "dis", "--workers", 1) == 0
    assert (tmp_path / "flow" / "dis" / "flow.json").exists()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--method", "raft"], "raft needs weights"),
        (["--method", "dis", "--weights", "w.pth"], "dis has no weights"),
        (["--method", "dis", "--workers", "0"], "at least 1 worker, got 0"),
        (["--method", "dis", "--device", "gpu"], "no device is called 'gpu'"),
    ],
)
def test_what_cannot_be_done_is_refused_before_any_work(
    run: Run,
    index: Path,
    tmp_path: Path,
    words: list[str],
    said: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert run("flow", index, "--out", tmp_path / "out", *words) == 2
    assert said in capsys.readouterr().err
    assert not list((tmp_path / "out").glob("*.mkv"))


@pytest.mark.usefixtures("_here")
def test_a_damaged_video_is_named_and_has_flow_and_an_unusable_one_makes_the_code_3(
    run: Run, index: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = film(tmp_path / "cut.avi", frames=20).read_bytes()
    (tmp_path / "cut.avi").write_bytes(data[: len(data) * 4 // 5])
    film(tmp_path / "one.avi", frames=1)
    index.write_text("path,label\ncut.avi,run\nb.mp4,sit\n")
    words = ["--out", tmp_path / "dis", "--method", "dis", "--workers", 1]
    assert run("flow", index, *words) == 0
    printed, said = capsys.readouterr()
    assert printed == f"{tmp_path / 'dis'}\n"
    told, counted = said.splitlines()
    assert told.startswith("marey: damaged: cut.avi: the file ends early")
    assert counted.startswith("2 videos: 1 ok, 1 damaged, 0 unusable; ")
    assert len(open_flow(tmp_path / "dis", "cut.avi")) > 1

    index.write_text('path,label\none.avi,run\n"gone\n.avi",run\ncut.avi,run\n')
    assert run("flow", index, *words, "--json") == 3
    printed, said = capsys.readouterr()
    document = json.loads(printed)
    assert [(row["video"], row["status"]) for row in document["results"]] == [
        ("one.avi", "unusable"),
        ("gone\n.avi", "unusable"),
        ("cut.avi", "damaged"),
    ]
    assert document["results"][0]["reason"] == "has a single frame; flow needs two"
    assert (document["damaged"], document["unusable"]) == (1, 2)
    assert said == ""
    assert run("flow", index, *words, "--quiet") == 3
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 3
    assert "marey: unusable: gone\\n.avi: does not exist" in lines


@pytest.mark.usefixtures("_here")
def test_of_many_missing_videos_the_first_are_named_and_the_ledger_names_all(
    run: Run, index: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    index.write_text(index.read_text() + "".join(f"gone{number}.mp4,run\n" for number in range(8)))
    out = tmp_path / "dis"
    words = ["flow", index, "--out", out, "--method", "dis", "--workers", 1, "--quiet"]
    assert run(*words) == 3
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 6
    assert lines[-1] == f"marey: unusable: 3 more, like gone0.mp4; {out}/ledger.jsonl lists them"
    assert (out / "ledger.jsonl").read_text().count("does not exist") == 8


def test_an_index_that_was_moved_is_refused_before_any_work(
    run: Run, index: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    moved = tmp_path / "elsewhere" / "videos.csv"
    moved.parent.mkdir()
    index.rename(moved)
    assert run("flow", moved, "--out", tmp_path / "dis", "--method", "dis") == 2
    said = capsys.readouterr().err
    assert said.startswith("marey: 2 of 2 videos are missing:\n")
    assert f"start from its own folder, here '{moved.parent}'" in said
    assert not (tmp_path / "dis").exists()


@pytest.mark.usefixtures("_here")
def test_the_pairs_of_testing_alone_can_be_asked_for(
    run: Run, index: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    film(tmp_path / "a.mp4", frames=170)
    words = ["--method", "dis", "--workers", 1, "--for", "test"]
    assert run("flow", index, "--out", tmp_path / "dis", *words) == 0
    with open_flow(tmp_path / "dis", "a.mp4") as flow:
        assert isinstance(flow, FlowReader)
        assert (len(flow), flow.written) == (169, 125)
    assert run("flow", index, "--out", tmp_path / "tsn", *words, "--format", "tsn") == 2
    assert "--for test needs --format video" in capsys.readouterr().err


@pytest.mark.usefixtures("_here")
def test_a_folder_of_other_flow_or_of_something_else_is_refused(
    run: Run, index: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["--workers", 1, "--out"]
    assert run("flow", index, "--method", "dis", *words, tmp_path / "dis") == 0
    assert run("flow", index, "--method", "farneback", *words, tmp_path / "dis") == 2
    assert "dis holds other flow (see " in capsys.readouterr().err
    assert run("flow", index, "--method", "dis", *words, tmp_path) == 2
    err = capsys.readouterr().err
    assert "holds something that `marey flow` did not write; give another --out" in err
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "a.mp4",
        "b.mp4",
        "dis",
        "videos.csv",
    ]
