import pickle
from pathlib import Path

import numpy as np
import pytest

from marey.errors import MareyError, UsageError
from marey.evaluation import Scores, load_scores, save_scores

SCORES = Scores(
    videos=("a b.avi", "ü;#.avi"),
    labels=np.array([1, 0]),
    classes=("run", "walk"),
    heads={"tsn": np.array([[1, 2], [3, 4]], dtype=np.float32)},
    meta={"model": "tsn", "views": {"crops": 10}},
)


def test_scores_come_back_as_they_were(tmp_path: Path) -> None:
    save_scores(SCORES, tmp_path / "s.npz")
    back = load_scores(tmp_path / "s.npz")
    assert (back.videos, back.classes, back.meta) == (SCORES.videos, SCORES.classes, SCORES.meta)
    assert back.heads["tsn"].tolist() == SCORES.heads["tsn"].tolist()
    assert back.labels.tolist() == [1, 0]


def test_the_same_scores_are_the_same_bytes(tmp_path: Path) -> None:
    for name in ("a.npz", "b.npz"):
        save_scores(SCORES, tmp_path / name)
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()


def test_scores_that_do_not_fit_their_videos_cannot_be_made() -> None:
    with pytest.raises(MareyError, match=r"2 videos and 3 classes need heads of shape \(2, 3\)"):
        Scores(
            videos=SCORES.videos,
            labels=SCORES.labels,
            classes=("run", "sit", "walk"),
            heads={"tsn": np.zeros((2, 2), dtype=np.float32)},
            meta={},
        )


@pytest.mark.parametrize("content", [b"", b"text", pickle.dumps({"videos": []})])
def test_other_files_are_refused_by_name(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "other.npz"
    path.write_bytes(content)
    with pytest.raises(UsageError, match=r"other\.npz: not a scores file"):
        load_scores(path)


def test_missing_scores_say_how_to_make_them(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="make one with: marey test"):
        load_scores(tmp_path / "none.npz")
