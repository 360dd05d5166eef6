import json
from pathlib import Path

import numpy as np
import pytest
from films import Run, film

from marey.evaluation import load_scores
from marey.index import hold_out, read_index


@pytest.fixture
def index(tmp_path: Path) -> Path:
    rows = ["path,label,split"]
    for number, label in enumerate(("run", "sit", "walk")):
        film(tmp_path / f"{label}.mp4", frames=3 + number)
        rows.append(f"{label}.mp4,{label},test")
    path = tmp_path / "videos.csv"
    path.write_text("\n".join([*rows, ""]))
    return path


def test_scores_and_figures_are_written_and_printed(
    run: Run, checkpoint: Path, index: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = index.parent / "scores.npz"
    assert run("test", checkpoint, index, "--out", out, "--crops", 1, "--json") == 0
    printed = json.loads(capsys.readouterr().out)
    assert printed == json.loads(out.with_suffix(".json").read_text())
    assert set(printed["heads"]) == {"tsn", "off7", "off14", "fused"}
    scores = load_scores(out)
    assert scores.videos == ("run.mp4", "sit.mp4", "walk.mp4")
    assert scores.labels.tolist() == [0, 1, 2]
    assert scores.meta["views"] == {"snippets": 25, "crops": 1, "over_crops": "max"}
    assert not list(index.parent.glob("*.unfinished"))


def test_a_missing_video_is_named_and_the_others_are_scored(
    run: Run, checkpoint: Path, index: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (index.parent / "sit.mp4").unlink()
    out = index.parent / "scores.npz"
    assert run("test", checkpoint, index, "--out", out, "--crops", 1) == 3
    assert "marey: unusable: sit.mp4: does not exist\n" in capsys.readouterr().err
    assert load_scores(out).videos == ("run.mp4", "walk.mp4")
    assert load_scores(out).meta["unusable"] == ["sit.mp4"]


def test_of_many_missing_videos_the_first_are_named_and_the_figures_name_all(
    run: Run, checkpoint: Path, index: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    gone = [f"gone{number}.mp4" for number in range(8)]
    index.write_text(index.read_text() + "".join(f"{name},run,test\n" for name in gone))
    out = index.parent / "scores.npz"
    words = ["--snippets", 2, "--crops", 1, "--quiet"]
    assert run("test", checkpoint, index, "--out", out, *words) == 3
    figures = out.with_suffix(".json")
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 6
    assert lines[-1] == f"marey: unusable: 3 more, like gone0.mp4; {figures} lists them"
    assert json.loads(figures.read_text())["unusable"] == gone


def test_an_index_that_was_moved_is_refused_before_any_work(
    run: Run, checkpoint: Path, index: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    moved = index.parent / "elsewhere" / "videos.csv"
    moved.parent.mkdir()
    index.rename(moved)
    assert run("test", checkpoint, moved, "--out", moved.parent / "scores.npz") == 2
    said = capsys.readouterr().err
    assert said.startswith("marey: 3 of 3 videos are missing:\n")
    assert f"start from its own folder, here '{moved.parent}'" in said
    assert list(moved.parent.iterdir()) == [moved]


def test_an_index_with_a_wrong_label_is_refused_before_any_work(
    run: Run, checkpoint: Path, index: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    index.write_text(index.read_text().replace("walk.mp4,walk", "walk.mp4,wakl"))
    assert run("test", checkpoint, index, "--out", index.parent / "scores.npz") == 2
    err = capsys.readouterr().err
    assert "wakl" in err
    assert "walk" in err
    assert not (index.parent / "scores.npz").exists()


def test_a_split_that_is_empty_is_refused_with_those_there_are(
    run: Run, checkpoint: Path, index: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("test", checkpoint, index, "--split", "val") == 2
    assert "test (3)" in capsys.readouterr().err


def test_what_was_scored_before_an_interruption_is_not_scored_again(
    run: Run, checkpoint: Path, index: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from marey.evaluation import _scoring

    whole = index.parent / "whole.npz"
    assert run("test", checkpoint, index, "--out", whole, "--crops", 1) == 0

    out = index.parent / "scores.npz"
    looks = []
    look = _scoring.score_snippets

    def interrupted(*words: object, **options: object) -> object:
        if len(looks) == 2:
            raise KeyboardInterrupt
        looks.append(1)
        return look(*words, **options)

    monkeypatch.setattr(_scoring, "score_snippets", interrupted)
    assert run("test", checkpoint, index, "--out", out, "--crops", 1) == 130
    assert not out.exists()
    looks.clear()
    assert run("test", checkpoint, index, "--out", out, "--crops", 1) == 0
    assert len(looks) == 1
    assert out.read_bytes() == whole.read_bytes()


def test_what_a_crash_left_of_the_first_answer_is_no_hindrance(
    run: Run, checkpoint: Path, index: Path
) -> None:
    out = index.parent / "scores.npz"
    unfinished = index.parent / "scores.npz.unfinished"
    unfinished.mkdir()
    (unfinished / ".0123456789abcdef.partial.txt").touch()
    (unfinished / "lock").touch()
    assert run("test", checkpoint, index, "--out", out, "--crops", 1, "--snippets", 3) == 0
    assert out.exists()
    assert not unfinished.exists()


def test_answers_of_somebody_else_are_not_touched(
    run: Run, checkpoint: Path, index: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    unfinished = index.parent / "scores.npz.unfinished"
    unfinished.mkdir()
    (unfinished / "notes.txt").write_text("mine")
    assert run("test", checkpoint, index, "--out", index.parent / "scores.npz") == 2
    assert "holds something that is not ours" in capsys.readouterr().err
    assert (unfinished / "notes.txt").read_text() == "mine"


def test_ten_crops_take_the_highest_logit_or_the_mean(
    run: Run, checkpoint: Path, index: Path
) -> None:
    heads = {}
    for rule in ("max", "mean"):
        out = index.parent / f"{rule}.npz"
        assert run("test", checkpoint, index, "--out", out, "--over-crops", rule) == 0
        heads[rule] = load_scores(out).heads
    for head in ("tsn", "off7", "off14"):
        assert (heads["max"][head] >= heads["mean"][head]).all()
        assert not np.allclose(heads["max"][head], heads["mean"][head])


def test_flow_kept_on_the_disk_scores_as_flow_computed_on_the_fly_does(
    run: Run, flow_checkpoint: Path, index: Path
) -> None:
    folder = index.parent
    assert run("flow", index, "--out", folder / "dis", "--method", "dis", "--workers", 1) == 0
    words = ["test", flow_checkpoint, index, "--crops", 1, "--out"]
    assert run(*words, folder / "kept.npz", "--flow", folder / "dis") == 0
    assert run(*words, folder / "computed.npz", "--on-the-fly") == 0
    kept, computed = (load_scores(folder / f"{name}.npz") for name in ("kept", "computed"))
    assert kept.heads["tsn"].tolist() == computed.heads["tsn"].tolist()
    assert len(np.unique(kept.heads["tsn"], axis=0)) == 3
    assert kept.meta["flow"] == computed.meta["flow"] == "dis"


def test_a_network_on_flow_needs_to_know_where_flow_is(
    run: Run, flow_checkpoint: Path, index: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("test", flow_checkpoint, index) == 2
    assert "say where it is with --flow FOLDER" in capsys.readouterr().err


def test_flow_by_another_method_is_refused_unless_the_user_insists(
    run: Run, flow_checkpoint: Path, index: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    flow = index.parent / "farneback"
    assert run("flow", index, "--out", flow, "--method", "farneback", "--workers", 1) == 0
    out = index.parent / "scores.npz"
    words = ["test", flow_checkpoint, index, "--crops", 1, "--out", out, "--flow", flow]
    assert run(*words) == 2
    assert "is flow by farneback, but the network learnt from dis" in capsys.readouterr().err
    assert run(*words, "--any-flow") == 0
    assert load_scores(out).meta["flow"] == "farneback"


def test_flow_is_refused_for_a_network_that_does_not_look_at_it(
    run: Run, checkpoint: Path, index: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("test", checkpoint, index, "--on-the-fly") == 2
    assert "looks at rgb, not at flow" in capsys.readouterr().err


def test_without_a_val_split_the_videos_that_training_held_out_are_scored(
    run: Run, flow_checkpoint: Path, index: Path
) -> None:
    rows = ["path,label,split"]
    for name in ("run", "run2", "sit", "sit2", "walk", "walk2"):
        film(index.parent / f"{name}.mp4", frames=3, width=64 + 8 * len(rows))
        rows.append(f"{name}.mp4,{name.rstrip('2')},train")
    index.write_text("\n".join([*rows, ""]))
    expected = hold_out(read_index(index), fraction=0.5, seed=0).only("val")
    out = index.parent / "scores.npz"
    words = ["--crops", 1, "--out", out, "--on-the-fly", "--split", "val"]
    assert run("test", flow_checkpoint, index, *words) == 0
    scores = load_scores(out)
    assert scores.videos == tuple(entry.path for entry in expected.entries)
    assert scores.meta["split"] == "val"
