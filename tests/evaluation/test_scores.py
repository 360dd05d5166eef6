import pickle
from pathlib import Path

import numpy as np
import pytest

from marey.errors import MareyError, RefusedError, UsageError
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


def test_labels_that_number_no_class_cannot_be_kept() -> None:
    with pytest.raises(MareyError, match="labels run from 0 to 2, but 2 classes are numbered 0 to"):
        Scores(
            videos=SCORES.videos,
            labels=np.array([0, 2]),
            classes=SCORES.classes,
            heads=SCORES.heads,
            meta={},
        )


def test_a_pickle_is_refused_for_safety(tmp_path: Path) -> None:
    path = tmp_path / "other.npz"
    path.write_bytes(pickle.dumps({"videos": []}))
    with pytest.raises(RefusedError, match=r"other\.npz: holds Python objects"):
        load_scores(path)


@pytest.mark.parametrize(
    ("name", "array", "said"),
    [
        ("labels", np.array([0.0, 1.0]), r"its labels is float64 of shape \(2,\)"),
        ("tsn", np.zeros((2, 2), dtype=np.int64), "its tsn is int64 of shape"),
        ("tsn", np.zeros((2, 3)), "2 videos and 2 classes need heads of shape"),
        ("videos", np.array([1, 2]), "its videos is int64"),
        ("meta", np.array("{"), "its meta is no JSON"),
        ("meta", np.array("[]"), "its meta is no JSON object"),
        ("meta", np.array('{"split": ["test"]}'), r"its meta has split \['test'\]"),
        ("meta", np.array('{"fusion": {"tsn": "much"}}'), "its meta has fusion {'tsn': 'much'}"),
    ],
)
def test_a_file_that_only_looks_like_scores_is_refused(
    tmp_path: Path, name: str, array: np.ndarray, said: str
) -> None:
    path = tmp_path / "s.npz"
    save_scores(SCORES, path)
    with np.load(path) as file:
        arrays = dict(file)
    np.savez(path, **{**arrays, name: array})
    with pytest.raises(UsageError, match=rf"s\.npz: not a scores file.*{said}"):
        load_scores(path)


@pytest.mark.parametrize("content", [b"", b"text"])
def test_other_files_are_refused_by_name(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "other.npz"
    path.write_bytes(content)
    with pytest.raises(UsageError, match=r"other\.npz: not a scores file"):
        load_scores(path)


def test_missing_scores_say_how_to_make_them(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="make one with: marey test"):
        load_scores(tmp_path / "none.npz")
