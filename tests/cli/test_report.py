import csv
import io
import json
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from films import CLASSES, Run, film

from marey.evaluation import Scores, save_scores
from marey.models import build_model, save_checkpoint
from marey.video import check_video

VIDEOS = ("run.mp4", "sit.mp4", "walk.mp4", "walk-2.mp4")


@pytest.fixture
def index(tmp_path: Path) -> Path:
    rows = ["path,label,split,group"]
    for number, video in enumerate(VIDEOS):
        film(tmp_path / video, frames=4 + number)
        label = video.removesuffix(".mp4").removesuffix("-2")
        rows.append(f"{video},{label},test,of-{label}")
    path = tmp_path / "videos.csv"
    path.write_text("\n".join([*rows, ""]))
    return path


@pytest.fixture
def scores(tmp_path: Path) -> Path:
    """Scores of the index: `run` is recognised, `sit` and both `walk` are not."""
    logits = np.array([[3, 0, 0], [2, 1, 0], [0, 4, 1], [0, 2, 1]], dtype=np.float32)
    path = tmp_path / "rgb.npz"
    save_scores(
        Scores(
            videos=VIDEOS,
            labels=np.array([0, 1, 2, 2]),
            classes=CLASSES,
            heads={"tsn": logits, "off7": logits[::-1].copy()},
            meta={"split": "test", "fusion": {"tsn": 1.0}},
        ),
        path,
    )
    return path


def rows_of(path: Path) -> list[list[str]]:
    return list(csv.reader(io.StringIO(path.read_bytes().decode(), newline="")))


def test_a_page_with_tables_and_charts_is_written(
    run: Run, scores: Path, index: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = index.parent / "report"
    assert run("report", scores, "--index", index, "--out", out) == 0
    captured = capsys.readouterr()
    assert captured.out == f"{out / 'report.html'}\n"
    assert "25.0% (95 %: " in captured.err
    assert {path.name for path in out.iterdir()} == {
        "report.html", "streams.csv", "confusion.csv", "classes.csv", "worst.csv",
        "accuracy.png", "confusion.png",
    }  # fmt: skip
    assert rows_of(out / "confusion.csv") == [
        ["true class", "run", "sit", "walk"],
        ["run", "1", "0", "0"],
        ["sit", "1", "0", "0"],
        ["walk", "0", "2", "0"],
    ]
    assert [row[1:4] for row in rows_of(out / "worst.csv")[1:]] == [
        ["walk.mp4", "walk", "sit"],  # Three behind; the others one, one, and three ahead.
        ["sit.mp4", "sit", "run"],
        ["walk-2.mp4", "walk", "sit"],
        ["run.mp4", "run", "run"],
    ]
    page = (out / "report.html").read_text()
    # Six places in each of the worst videos, as many frames as there are; then two pairs.
    assert page.count("data:image/jpeg") == (4 + 5 + 6 + 6) + 1 + 1
    assert "3 recordings" in page


def test_the_figures_can_be_had_as_json(
    run: Run, scores: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("report", scores, "--out", tmp_path / "r", "--json", "--quiet") == 0
    captured = capsys.readouterr()
    document = json.loads(captured.out)
    assert document["result"]["head"] == "fused"
    assert document["result"]["top1"] == 0.25
    low, high = document["result"]["top1_interval"]
    assert 0 <= low <= 0.25 <= high <= 1
    assert [stream["head"] for stream in document["streams"]] == ["tsn", "off7", "fused"]
    assert document["bootstrap"] == {"draws": 1000, "of": "videos", "groups": 4}
    assert captured.err == ""


def test_without_an_index_the_page_has_no_pictures_and_needs_no_videos(
    run: Run, scores: Path, tmp_path: Path
) -> None:
    assert run("report", scores, "--out", tmp_path / "r") == 0
    page = (tmp_path / "r" / "report.html").read_text()
    assert "<img" not in page
    assert "walk.mp4" in page


def test_the_same_words_give_the_same_bytes(run: Run, scores: Path, index: Path) -> None:
    folders = [index.parent / name for name in ("a", "b")]
    for out in folders:
        assert run("report", scores, "--index", index, "--out", out, "--on-the-fly") == 0
    for path in folders[0].iterdir():
        assert path.read_bytes() == (folders[1] / path.name).read_bytes()


def test_a_missing_video_and_a_broken_one_are_named_and_the_rest_is_shown(
    run: Run, scores: Path, index: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (index.parent / "sit.mp4").unlink()
    (index.parent / "walk.mp4").write_bytes(b"no video")
    out = index.parent / "report"
    assert run("report", scores, "--index", index, "--out", out) == 3
    err = capsys.readouterr().err
    assert "marey: sit.mp4: missing" in err
    assert "marey: walk.mp4: unusable" in err
    page = (out / "report.html").read_text()
    assert "<code>sit.mp4</code> missing" in page
    assert "<code>walk.mp4</code> unusable" in page
    assert page.count("data:image/jpeg") == 4 + 6


def test_of_many_missing_videos_the_page_names_all_and_the_terminal_the_first(
    run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    videos = tuple(f"{number:02}.mp4" for number in range(25))
    logits = np.eye(2, dtype=np.float32)[np.arange(25) % 2]
    path, index, out = tmp_path / "s.npz", tmp_path / "i.csv", tmp_path / "r"
    index.write_text("\n".join(["path,label", *(f"{video},run" for video in videos)]) + "\n")
    save_scores(
        Scores(
            videos=videos,
            labels=np.zeros(25, dtype=np.int64),
            classes=("run", "sit"),
            heads={"tsn": logits},
            meta={},
        ),
        path,
    )
    assert run("report", path, "--index", index, "--out", out) == 3
    err = capsys.readouterr().err
    assert "19.mp4: missing" in err
    assert "20.mp4" not in err
    assert "marey: and 5 more, all named on the page" in err
    page = (out / "report.html").read_text()
    assert all(f"<code>{video}</code> missing" in page for video in videos)


def test_a_damaged_video_is_shown_and_named(
    run: Run, scores: Path, index: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = film(index.parent / "run.mp4", frames=40)
    data = path.read_bytes()
    path.write_bytes(data[: len(data) * 7 // 10])
    assert check_video(path).status == "damaged"
    out = index.parent / "report"
    assert run("report", scores, "--index", index, "--out", out) == 3
    assert "marey: run.mp4: damaged" in capsys.readouterr().err
    assert "run.mp4, frame 1 of" in (out / "report.html").read_text()


def test_what_a_network_sees_and_how_pixels_move_is_beside_the_frames(
    run: Run, checkpoint: Path, scores: Path, index: Path
) -> None:
    pytest.importorskip("cv2")
    out = index.parent / "report"
    words = ("--model", checkpoint, "--on-the-fly", "--worst", 0)
    assert run("report", scores, "--index", index, "--out", out, *words) == 0
    page = (out / "report.html").read_text()
    for strip in ("frame", "change in time", "change in space", "flow"):
        # One video was recognised, and two of the others are shown.
        assert page.count(f"<figcaption>{strip}</figcaption>") == 3
    assert "run.mp4, change in time, frame 1" in page
    assert "Flow by DIS" in page


def test_stored_flow_is_shown_and_a_video_without_it_is_named(
    run: Run, scores: Path, index: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("cv2")
    few = index.parent / "few.csv"
    few.write_text("\n".join(index.read_text().splitlines()[:2]) + "\n")
    flow = index.parent / "flow"
    assert run("flow", few, "--method", "dis", "--out", flow, "--workers", 1) == 0
    out = index.parent / "report"
    assert run("report", scores, "--index", index, "--out", out, "--flow", flow) == 3
    err = capsys.readouterr().err
    assert "marey: walk.mp4: shown without flow" in err
    assert "marey: run.mp4" not in err
    page = (out / "report.html").read_text()
    assert page.count("<figcaption>flow</figcaption>") == 1
    assert "Flow as stored in flow" in page


def test_where_opencv_is_missing_the_page_says_why_there_is_no_flow(
    run: Run, scores: Path, index: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "cv2", None)
    out = index.parent / "report"
    assert run("report", scores, "--index", index, "--out", out, "--on-the-fly") == 0
    page = (out / "report.html").read_text()
    assert "Flow is not shown: " in page
    assert "which is not installed" in page


def test_training_curves_are_drawn_for_each_run(run: Run, scores: Path, tmp_path: Path) -> None:
    for name in ("first-run", "second-run"):
        (tmp_path / name).mkdir()
        lines = [{"step": step, "loss": 3 / step, "learning_rate": 0.1} for step in range(1, 5)]
        lines.append({"step": 4, "validation_accuracy": 0.5, "validation_loss": 1.0})
        text = "\n".join(map(json.dumps, lines)) + "\n"
        (tmp_path / name / "log.jsonl").write_text(text)
    out = tmp_path / "report"
    runs = (tmp_path / "first-run", tmp_path / "second-run")
    assert run("report", scores, "--out", out, "--run", *runs) == 0
    page = (out / "report.html").read_text()
    assert page.count('class="plot"') == 6
    assert "first-run" in page
    assert "second-run" in page
    assert (out / "curves.png").exists()


def test_names_that_spreadsheets_would_run_are_escaped(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "s.npz"
    save_scores(
        Scores(
            videos=("=cmd|' /C calc'!A0", "-1.mp4"),
            labels=np.array([0, 1]),
            classes=("+run", "@walk"),
            heads={"tsn": np.eye(2, dtype=np.float32)[::-1].copy()},
            meta={},
        ),
        path,
    )
    assert run("report", path, "--out", tmp_path / "r") == 0
    for table in (tmp_path / "r").glob("*.csv"):
        cells = [cell for row in rows_of(table) for cell in row]
        assert not [cell for cell in cells if cell.startswith(("=", "+", "-", "@"))]
    assert rows_of(tmp_path / "r" / "worst.csv")[1][1] == "'=cmd|' /C calc'!A0"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "no scores given; make some with: marey test MODEL INDEX"),
        (["none.npz"], "none.npz: no such scores file"),
        (["rgb.npz", "--worst", "-1"], "--worst must be at least 0, got -1"),
        (["rgb.npz", "--bootstrap", "10"], "--bootstrap must be at least 40"),
        (["rgb.npz", "--seed", "-1"], "--seed must be at least 0, got -1"),
        (["rgb.npz", "--out", "rgb.npz"], "rgb.npz is a file; --out takes a folder"),
        (["rgb.npz", "--model", "off-lite0-jhmdb"], "--model looks at videos; say where"),
        (["rgb.npz", "--flow", "flow"], "--flow looks at videos; say where"),
        (["rgb.npz", "--on-the-fly"], "--on-the-fly looks at videos; say where"),
        (
            ["rgb.npz", "--index", "videos.csv", "--flow", "flow", "--on-the-fly"],
            "--flow and --on-the-fly exclude each other; choose one",
        ),
        (["rgb.npz", "--index", "videos.csv", "--flow", "flow"], "flow: no such folder of flow"),
        (["rgb.npz", "--index", "none.csv"], "none.csv: no such index"),
        (["rgb.npz", "--run", "."], "no log.jsonl in it; --run takes the folder"),
    ],
)
def test_what_cannot_be_is_refused_before_any_work(
    run: Run,
    scores: Path,
    index: Path,
    words: list[str],
    message: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(index.parent)
    assert run("report", *words) == 2
    assert message in capsys.readouterr().err
    assert not Path("report").exists()


@pytest.mark.parametrize(
    ("network", "modality", "message"),
    [
        ("tsn_efficientnet_lite0", "rgb", "is a TSN; --model takes OFF networks"),
        ("off_efficientnet_lite0", "flow", "looks at flow, which plain videos do not hold"),
    ],
)
def test_networks_without_maps_over_frames_are_refused(
    run: Run,
    scores: Path,
    index: Path,
    network: str,
    modality: str,
    message: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    torch.manual_seed(0)
    path = index.parent / "model.safetensors"
    model = build_model(network, num_classes=3, modality=modality)
    save_checkpoint(model, path, classes=CLASSES)
    assert run("report", scores, "--index", index, "--model", path) == 2
    assert message in capsys.readouterr().err


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("sit.mp4,sit", "sat.mp4,sit"), "it has not 1 of the 4 videos that were scored"),
        (("walk.mp4,walk", "walk.mp4,run"), "its labels are not those of the scores: walk.mp4"),
        (("sit.mp4,sit", "sit.mp4,sti"), "its classes are not the model's"),
    ],
)
def test_an_index_of_other_videos_is_refused(
    run: Run,
    scores: Path,
    index: Path,
    change: tuple[str, str],
    message: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    index.write_text(index.read_text().replace(*change))
    assert run("report", scores, "--index", index) == 2
    assert message in capsys.readouterr().err


def test_stretches_of_one_video_are_told_apart(run: Run, tmp_path: Path) -> None:
    film(tmp_path / "a.mp4", frames=50)
    index = tmp_path / "i.csv"
    index.write_text("path,label,start,end\na.mp4,run,0,1\na.mp4,sit,1,\n")
    path = tmp_path / "s.npz"
    save_scores(
        Scores(
            videos=("a.mp4", "a.mp4"),
            labels=np.array([0, 1]),
            classes=("run", "sit"),
            heads={"tsn": np.zeros((2, 2), dtype=np.float32)},
            meta={},
        ),
        path,
    )
    out = tmp_path / "report"
    assert run("report", path, "--index", index, "--out", out, "--json") == 0
    assert [row[1] for row in rows_of(out / "worst.csv")[1:]] == [
        "a.mp4, 0 s to 1 s",
        "a.mp4, 1 s to the end",
    ]
    page = (out / "report.html").read_text()
    assert "frame 3 of 25" in page  # The first of six places in each second of 25 frames.
