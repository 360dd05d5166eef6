"""The figures of a run, as TensorBoard finds them."""

from pathlib import Path

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from marey.training._board import Board


def shown(folder: Path, name: str) -> list[tuple[int, float]]:
    """Return the steps and values that TensorBoard shows."""
    found = EventAccumulator(str(folder)).Reload()
    return [(event.step, event.value) for event in found.Scalars(name)]


def test_figures_are_shown_under_their_names(tmp_path: Path) -> None:
    board = Board(tmp_path / "new" / "board", first=1)
    board.add(1, {"loss": 0.5, "learning_rate": 2.0})
    board.add(2, {"loss": 0.25})
    assert shown(tmp_path / "new" / "board", "loss") == [(1, 0.5), (2, 0.25)]
    assert shown(tmp_path / "new" / "board", "learning_rate") == [(1, 2.0)]


def test_steps_that_are_taken_again_are_shown_once(tmp_path: Path) -> None:
    for first, loss in ((1, 3.0), (3, 4.0)):
        board = Board(tmp_path, first=first)
        for step in range(first, first + 4):
            board.add(step, {"loss": loss})
    assert len(list(tmp_path.iterdir())) == 2
    assert shown(tmp_path, "loss") == [(1, 3.0), (2, 3.0), *((step, 4.0) for step in (3, 4, 5, 6))]


def test_a_file_that_was_cut_short_is_shown_up_to_there(tmp_path: Path) -> None:
    board = Board(tmp_path, first=1)
    board.add(1, {"loss": 0.5})
    (file,) = tmp_path.iterdir()
    whole = len(file.read_bytes())
    board.add(2, {"loss": 0.5})
    file.write_bytes(file.read_bytes()[: whole + 9])
    assert shown(tmp_path, "loss") == [(1, 0.5)]


def test_a_full_disk_is_told_at_once_and_by_nobody_else(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    board = Board(tmp_path, first=1)
    (file,) = tmp_path.iterdir()
    file.unlink()
    file.symlink_to("/dev/full")
    with pytest.raises(OSError, match="it needs more than the") as caught:
        board.add(1, {"loss": 0.5})
    assert caught.value.filename == str(file)
    assert capfd.readouterr() == ("", "")
