"""The table of results adds up, and its cells are named by what they depend on."""

import runpy
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from marey.evaluation import Scores, save_scores
from marey.index import Entry, Index, write_index

SCRIPT = Path(__file__).parents[1] / "benchmarks" / "results.py"


@pytest.fixture(scope="module")
def parts() -> dict[str, Any]:
    return runpy.run_path(str(SCRIPT))


def cell_with(parts: dict[str, Any], out: Path, split: int, right: dict[str, bool]) -> None:
    """Write an index of test videos `a1`, `b1`, ..., and the scores of an RGB cell on them."""
    entries = [Entry(f"{name}.avi", "run", "test", name[0]) for name in right]
    entries.append(Entry("z1.avi", "walk", "train", "z"))
    write_index(
        Index(entries=tuple(entries), classes=("run", "walk"), root=out),
        parts["index_of"](out, split),
    )
    said = np.array([[1, 0] if known else [0, 1] for known in right.values()], np.float32)
    scores = Scores(
        videos=tuple(f"{name}.avi" for name in right),
        labels=np.zeros(len(right), np.int64),
        classes=("run", "walk"),
        heads={"tsn": said, "off7": -said},
        meta={"fusion": {"tsn": 1.0, "off7": 3.0}},
    )
    folder = parts["cell"](out, "rgb", split, 0)
    folder.mkdir()
    save_scores(scores, folder / "test.npz")
    (folder / "test.json").write_text("{}")


def test_a_row_is_the_mean_of_its_cells(parts: dict[str, Any], tmp_path: Path) -> None:
    cell_with(parts, tmp_path, 1, {"a1": True, "a2": True, "b1": True, "c1": False})
    cell_with(parts, tmp_path, 2, {"a1": False, "d1": True})
    mean, low, high = parts["row"](tmp_path, ["rgb:tsn"], [(1, 0), (2, 0)])
    assert mean == pytest.approx(100 * (3 / 4 + 1 / 2) / 2)
    assert 0 <= low < mean < high <= 100
    # The whole stream is the sum of its heads, of which the other is thrice as heavy.
    assert parts["row"](tmp_path, ["rgb"], [(1, 0), (2, 0)])[0] == pytest.approx(100 - mean)


def test_a_cell_is_another_one_with_another_seed_or_other_videos(
    parts: dict[str, Any], tmp_path: Path
) -> None:
    cell_with(parts, tmp_path, 1, {"a1": True})
    before = parts["cell"](tmp_path, "rgb", 1, 0)
    assert parts["complete"](tmp_path, "rgb:tsn", 1, 0)
    assert parts["cell"](tmp_path, "rgb", 1, 1) != before
    cell_with(parts, tmp_path, 1, {"a1": True, "b1": True})
    assert parts["cell"](tmp_path, "rgb", 1, 0) != before


def test_a_recipe_that_changes_has_its_cells_trained_anew(
    parts: dict[str, Any], tmp_path: Path
) -> None:
    cell_with(parts, tmp_path, 1, {"a1": True})
    before = parts["cell"](tmp_path, "rgb", 1, 0)
    (tmp_path / "other.toml").write_text("[train]")
    inside = parts["cell"].__globals__
    ours = inside["recipe"]
    try:
        inside["recipe"] = lambda *_: tmp_path / "other.toml"
        assert parts["cell"](tmp_path, "rgb", 1, 0) != before
    finally:
        inside["recipe"] = ours
