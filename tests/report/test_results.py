from pathlib import Path

import numpy as np
import pytest
from made_scores import made_scores, saved

from marey.errors import UsageError
from marey.evaluation import Scores
from marey.report import load_results
from marey.report._streams import streams_of


def test_heads_are_summed_with_the_weights_of_their_network(tmp_path: Path) -> None:
    scores = made_scores(heads=("tsn", "off7"), meta={"fusion": {"tsn": 2.0, "off7": 0.5}})
    (result,) = load_results([saved(tmp_path, "rgb.npz", scores)])
    wanted = 2 * scores.heads["tsn"] + 0.5 * scores.heads["off7"]
    np.testing.assert_allclose(result.logits, wanted, rtol=1e-6)
    assert list(result.rows) == ["tsn", "off7", "fused"]


def test_a_file_of_marey_fuse_has_one_head_which_is_the_result(tmp_path: Path) -> None:
    scores = made_scores(heads=("fused",), meta={"weights_from": "given", "streams": []})
    (result,) = load_results([saved(tmp_path, "fused.npz", scores)])
    assert (result.logits == scores.heads["fused"]).all()
    assert list(result.rows) == ["fused"]


def test_heads_that_nobody_has_weighed_count_alike(tmp_path: Path) -> None:
    scores = made_scores(heads=("left", "right"))
    (result,) = load_results([saved(tmp_path, "a.npz", scores)])
    assert result.weights == {"left": 1, "right": 1}


def test_files_of_one_name_are_told_apart_by_their_folders(tmp_path: Path) -> None:
    paths = []
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        paths.append(saved(tmp_path / folder, "s.npz", made_scores()))
    assert [result.name for result in load_results(paths)] == [str(path) for path in paths]


def test_streams_are_joined_by_video_and_compared_with_the_last(tmp_path: Path) -> None:
    logits = np.eye(3, dtype=np.float32)
    right = Scores(
        videos=("a", "b", "c"), labels=np.arange(3), classes=("x", "y", "z"),
        heads={"tsn": logits}, meta={},
    )  # fmt: skip
    # The same videos in another order, and one of them wrong.
    wrong = Scores(
        videos=("c", "a", "b"), labels=np.array([2, 0, 1]), classes=("x", "y", "z"),
        heads={"tsn": logits[[2, 1, 1]]}, meta={},
    )  # fmt: skip
    paths = [saved(tmp_path, "wrong.npz", wrong), saved(tmp_path, "right.npz", right)]
    streams = streams_of(load_results(paths), {}, times=50, seed=0)
    first, main = streams.rows
    assert (main.result, main.main, first.main) == ("right", True, False)
    assert first.metrics.top1 == pytest.approx(2 / 3)
    assert first.ahead == pytest.approx(1 / 3)
    assert not streams.grouped
    assert streams_of(load_results(paths), {"a": "r", "b": "r"}, times=50, seed=0).groups == 2


@pytest.mark.parametrize(
    ("other", "words"),
    [
        (
            made_scores(classes=("run", "walk", "sit")),
            ["its classes are not those of", "class 1", "'walk'", "'sit'"],
        ),
        (
            made_scores(labels=(0, 1, 1, 0)),
            ["its labels are not those of", "c.mp4: 'sit' in", "'walk' in"],
        ),
        (made_scores(videos=("e", "f", "g", "h")), ["have no video in common"]),
    ],
)
def test_files_that_contradict_each_other_are_refused(
    tmp_path: Path, other: Scores, words: list[str]
) -> None:
    paths = [saved(tmp_path, "a.npz", other), saved(tmp_path, "b.npz", made_scores())]
    with pytest.raises(UsageError) as caught:
        load_results(paths)
    assert all(word in str(caught.value) for word in [*words, "a.npz", "b.npz"])


def test_only_the_first_five_differences_are_shown(tmp_path: Path) -> None:
    videos = [f"{number}.mp4" for number in range(9)]
    paths = [
        saved(tmp_path, f"{label}.npz", made_scores(videos=videos, labels=[label] * 9))
        for label in (0, 1)
    ]
    with pytest.raises(UsageError, match="and 4 more") as caught:
        load_results(paths)
    assert "4.mp4" in str(caught.value)
    assert "5.mp4" not in str(caught.value)


def test_scores_that_say_nothing_are_refused(tmp_path: Path) -> None:
    empty = made_scores(videos=(), labels=())
    with pytest.raises(UsageError, match="no scores in it"):
        load_results([saved(tmp_path, "a.npz", empty)])
    single = made_scores(labels=(0, 0, 0, 0), classes=("run",))
    with pytest.raises(UsageError, match="nothing to tell apart"):
        load_results([saved(tmp_path, "a.npz", single)])
    broken = made_scores()
    broken.heads["tsn"][2] = np.nan
    with pytest.raises(UsageError, match=r"head tsn holds no finite numbers for c\.mp4"):
        load_results([saved(tmp_path, "a.npz", broken)])


def test_a_file_given_twice_is_refused(tmp_path: Path) -> None:
    path = saved(tmp_path, "a.npz", made_scores())
    with pytest.raises(UsageError, match="is given twice"):
        load_results([path, path])
