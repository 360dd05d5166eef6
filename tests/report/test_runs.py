import json
from pathlib import Path

import pytest

from marey.errors import UsageError
from marey.report import load_run


def logged(folder: Path, rows: list[object], *, end: str = "\n") -> Path:
    folder.mkdir()
    (folder / "log.jsonl").write_text("\n".join(map(json.dumps, rows)) + end)
    return folder


def test_curves_are_the_figures_of_the_log(tmp_path: Path) -> None:
    rows: list[object] = [
        {"step": 1, "epoch": 0, "loss": 3.0, "learning_rate": 0.1},
        {"step": 2, "epoch": 0, "loss": 2.0, "learning_rate": 0.2},
        {"step": 2, "epoch": 0, "training_loss": 2.5, "validation_accuracy": 0.5,
         "validation_loss": 1.0, "accuracy_tsn": 0.4, "accuracy_off7": 0.3},
    ]  # fmt: skip
    run = load_run(logged(tmp_path / "a-run", rows))
    assert (run.name, run.steps) == ("a-run", 2)
    assert {curve.name: curve.points for curve in run.loss} == {
        "training": ((1, 3), (2, 2)),
        "held-out videos": ((2, 1),),
    }
    assert {curve.name: curve.points for curve in run.accuracy} == {
        "held-out videos": ((2, 50),),
        "head off7": ((2, 30),),
        "head tsn": ((2, 40),),
    }
    assert run.learning_rate[0].points == ((1, 0.1), (2, 0.2))


def test_a_single_head_is_not_drawn_twice(tmp_path: Path) -> None:
    rows: list[object] = [{"step": 1, "validation_accuracy": 0.5, "accuracy_tsn": 0.5}]
    run = load_run(logged(tmp_path / "run", rows))
    assert [curve.name for curve in run.accuracy] == ["held-out videos"]


def test_a_line_cut_short_and_figures_that_are_none_are_left_out(tmp_path: Path) -> None:
    rows: list[object] = [{"step": 1, "loss": 1.0}, {"step": 2, "loss": float("nan")}, "x"]
    run = load_run(logged(tmp_path / "run", rows, end='\n{"step": 3, "lo'))
    assert run.loss[0].points == ((1, 1),)


def test_figures_beyond_all_bounds_are_left_out(tmp_path: Path) -> None:
    huge = "1" + "0" * 400
    lines = f'{{"step": {huge}, "loss": 1}}\n{{"step": 1, "loss": {huge}}}\n'
    (tmp_path / "log.jsonl").write_text(lines + '{"step": 2, "loss": 0.5}\n')
    assert load_run(tmp_path).loss[0].points == ((2.0, 0.5),)


def test_a_long_run_is_thinned_to_means_of_neighbours(tmp_path: Path) -> None:
    rows: list[object] = [{"step": step, "loss": float(step)} for step in range(1, 1201)]
    points = load_run(logged(tmp_path / "run", rows)).loss[0].points
    assert len(points) == 300
    assert points[0] == (2.5, 2.5)  # Of steps 1 to 4.
    assert points[-1] == (1198.5, 1198.5)


def test_a_folder_without_a_log_or_with_an_empty_one_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"no log\.jsonl in it; --run takes the folder that"):
        load_run(tmp_path)
    with pytest.raises(UsageError, match="no step in it yet"):
        load_run(logged(tmp_path / "run", []))
