"""Where the weights of streams come from, and what they never look at."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from marey.errors import UsageError
from marey.evaluation import (
    ScoreFile,
    Weighing,
    equal_weights,
    fuse_streams,
    given_weights,
    held_out_weights,
    join,
    own_weights,
    top_k_accuracy,
    weights_on_test,
)

CLASSES = ("run", "sit", "walk")
VIEWS = {"snippets": 25, "crops": 10, "over_crops": "max"}


def scored(
    file: str,
    split: str = "test",
    *,
    count: int = 40,
    sure: float = 2.0,
    seed: int = 0,
    **meta: Any,
) -> ScoreFile:
    """Scores of heads `tsn` and `off7`, surer of the truth than of the rest."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 3, size=count)
    heads = {
        head: (np.eye(3)[labels] * sure + rng.normal(size=(count, 3))).astype(np.float32)
        for head in ("tsn", "off7")
    }
    plain = {"model": "off", "modality": "rgb", "split": split, "views": VIEWS}
    return ScoreFile(
        path=Path(file),
        videos=tuple(f"{split}/{n}.avi" for n in range(count)),
        labels=labels,
        classes=CLASSES,
        heads=heads,
        meta=plain | {"weights_sha256": Path(file).stem.split("-")[0]} | meta,
        ours=True,
    )


def foreign(file: str, split: str, **changes: Any) -> ScoreFile:
    return replace(scored(file, split), meta={}, classes=None, ours=False, **changes)


def found(files: list[ScoreFile], held_out: list[ScoreFile], *, on_test: bool = False) -> Weighing:
    return held_out_weights(join(files), files, held_out, on_test=on_test)


def refusal(files: list[ScoreFile], held_out: list[ScoreFile]) -> str:
    with pytest.raises(UsageError) as caught:
        found(files, held_out)
    return str(caught.value)


def test_equal_weights_are_the_plain_sum() -> None:
    joined = join([scored("a.npz")])
    weighing = equal_weights(joined)
    assert (weighing.weights, weighing.found, weighing.optimistic) == ((1.0, 1.0), "equal", False)
    fused = fuse_streams(joined, weighing).heads["fused"]
    np.testing.assert_array_equal(fused, joined.streams[0].scores + joined.streams[1].scores)


def test_given_weights_follow_the_order_of_the_streams() -> None:
    joined = join([scored("a.npz").only(["off7", "tsn"])])
    fused = fuse_streams(joined, given_weights(joined, [3.0, 0.0])).heads["fused"]
    np.testing.assert_array_equal(fused, 3 * joined.streams[0].scores)
    assert joined.streams[0].head == "off7"


@pytest.mark.parametrize(
    ("weights", "said"),
    [
        (
            [1.0],
            "got 1 weights for 2 streams; give one for each, in this order:\n  a/tsn\n  a/off7",
        ),
        ([1.0, 1.0, 1.0], "got 3 weights for 2 streams"),
        ([1.0, -0.5], "weights are numbers from 0 up, got -0.5"),
        ([1.0, float("nan")], "weights are numbers from 0 up, got nan"),
        ([1.0, float("inf")], "weights are numbers from 0 up, got inf"),
        ([0.0, 0.0], "weights are numbers from 0 up, and not all of them 0"),
    ],
)
def test_weights_that_cannot_be_meant_are_refused(weights: list[float], said: str) -> None:
    with pytest.raises(UsageError) as caught:
        given_weights(join([scored("a.npz")]), weights)
    assert str(caught.value).startswith(said)


def test_own_weights_are_those_of_each_files_network() -> None:
    off = scored("a.npz", fusion={"tsn": 0.7, "off7": 1.9})
    assert own_weights([off, scored("b.npz")]).weights == (0.7, 1.9, 1 / 3, 2 / 3)
    assert own_weights([off.only(["off7"])]).weights == (1.9,)
    assert "published shares" not in own_weights([off]).said
    said = own_weights([off, scored("b.npz")]).said
    assert said.endswith("(published shares for b.npz, which has none)")
    lone = foreign("c.npz", "test")
    flow = replace(lone, heads={"flow": lone.heads["tsn"]})
    assert own_weights([flow]).weights == (1.0,)
    two = replace(flow, heads={"rgb": lone.heads["tsn"], "flow": lone.heads["tsn"]})
    with pytest.raises(UsageError, match=r"c\.npz: has no weight of its own for the head rgb"):
        own_weights([two])
    with pytest.raises(UsageError, match="for the head off7; give numbers"):
        own_weights([scored("a.npz", fusion={"tsn": 1.0})])


@given(labels=st.lists(st.integers(0, 2), min_size=40, max_size=40), seed=st.integers(0, 99))
@settings(deadline=None, max_examples=30)
def test_no_label_and_no_score_of_a_test_video_moves_weights_from_held_out_ones(
    labels: list[int], seed: int
) -> None:
    held_out = [scored("a-val.npz", "val", seed=5)]
    wanted = found([scored("a.npz")], held_out)
    other = replace(scored("a.npz", seed=seed), labels=np.array(labels, dtype=np.int64))
    assert found([other], held_out) == wanted


@given(order=st.permutations(range(40)), other=st.permutations(range(40)))
@settings(deadline=None, max_examples=30)
def test_permuted_held_out_videos_give_the_same_weights(order: list[int], other: list[int]) -> None:
    def permuted(file: ScoreFile, rows: list[int]) -> ScoreFile:
        assert file.videos is not None
        return replace(
            file,
            videos=tuple(file.videos[row] for row in rows),
            labels=file.labels[rows],
            heads={head: scores[rows] for head, scores in file.heads.items()},
        )

    files = [scored("a.npz"), scored("b.npz")]
    a, b = scored("a-val.npz", "val"), scored("b-val.npz", "val", sure=1.0)
    b = replace(b, labels=a.labels)
    assert found(files, [permuted(a, order), permuted(b, other)]) == found(files, [a, b])


@given(
    factor=st.floats(-6, 6).map(lambda power: 10.0**power),
    offsets=st.lists(st.floats(-3, 3), min_size=40, max_size=40),
)
@settings(deadline=None, max_examples=30)
def test_neither_unit_nor_offset_of_a_stream_changes_what_it_counts(
    factor: float, offsets: list[float]
) -> None:
    files, plain = [scored("a.npz")], scored("a-val.npz", "val")
    moved = (plain.heads["tsn"] + np.array(offsets)[:, None]) * factor
    held_out = replace(plain, heads={**plain.heads, "tsn": moved.astype(np.float32)})
    tsn, off7 = found(files, [held_out]).weights
    np.testing.assert_allclose([tsn * factor, off7], found(files, [plain]).weights, rtol=2e-3)


def test_a_stream_that_knows_outweighs_one_that_guesses_and_one_that_says_nothing() -> None:
    val = scored("a-val.npz", "val", count=200, sure=3.0)
    noise = np.random.default_rng(1).normal(size=(200, 3)).astype(np.float32)
    knows, guesses = found(
        [scored("a.npz")], [replace(val, heads={**val.heads, "off7": noise})]
    ).weights
    assert knows > 10 * guesses >= 0
    silent = np.full((200, 3), 5.0, dtype=np.float32)
    weights = found([scored("a.npz")], [replace(val, heads={**val.heads, "off7": silent})]).weights
    assert np.isfinite(weights).all()


def test_held_out_files_are_told_by_the_network_whatever_their_names_and_order() -> None:
    files = [scored("a.npz"), scored("b.npz")]
    a = scored("x.npz", "val", weights_sha256="a")
    b = replace(scored("y.npz", "val", weights_sha256="b", sure=0.5), labels=a.labels)
    weighing = found(files, [b, a])
    assert weighing.weights == found(files, [a, b]).weights
    assert weighing.weights[0] > weighing.weights[2]
    assert (weighing.found, weighing.optimistic) == ("held-out", False)
    assert weighing.said == "weights found on 40 held-out videos of x.npz, y.npz"


def test_heads_that_are_not_fused_are_not_needed_nor_looked_at() -> None:
    files = [scored("a.npz").only(["off7"])]
    val = scored("a-val.npz", "val")
    assert found(files, [val]).weights == found(files, [val.only(["off7"])]).weights


def test_a_network_without_held_out_scores_is_named_with_what_to_do() -> None:
    said = refusal([scored("a.npz")], [scored("b-val.npz", "val")])
    assert said == (
        "--held-out has no scores of head tsn of the network of a.npz (off); make them with the "
        "same checkpoint: marey test MODEL INDEX --split val"
    )
    twice = refusal([scored("a.npz")], [scored("a-1.npz", "val"), scored("a-2.npz", "val")])
    assert "head tsn of the network of a.npz (off) 2 times: a-1.npz, a-2.npz" in twice


def test_held_out_scores_must_look_the_same_way_and_tell_the_same_classes() -> None:
    val = scored("a-val.npz", "val", views=VIEWS | {"crops": 1})
    assert "crops is 10 in a.npz and 1 in a-val.npz" in refusal([scored("a.npz")], [val])
    val = replace(scored("a-val.npz", "val"), classes=("run", "walk", "sit"))
    assert "class 1 is 'sit' in a.npz and 'walk' in a-val.npz" in refusal([scored("a.npz")], [val])


def test_test_videos_are_not_held_out_unless_the_user_insists_and_then_it_says_so() -> None:
    files = [scored("a.npz")]
    elsewhere = replace(scored("a-2.npz", "test"), videos=tuple(f"x{n}" for n in range(40)))
    for held, reason in (
        (elsewhere, "they are of the split 'test'"),
        (
            replace(scored("a-val.npz", "val"), videos=files[0].videos),
            "40 of their 40 videos are among those judged",
        ),
    ):
        said = refusal(files, [held])
        assert reason in said
        assert "marey test MODEL INDEX --split val; or add --on-test" in said
        weighing = found(files, [held], on_test=True)
        assert (weighing.found, weighing.optimistic) == ("test", True)
        assert weighing.said.startswith(f"weights fitted on test videos (--on-test; {reason}")
        assert weighing.said.endswith("this accuracy is optimistic")


def test_one_shared_video_is_enough_to_refuse() -> None:
    val = scored("a-val.npz", "val")
    assert val.videos is not None
    held = replace(val, videos=("test/3.avi", *val.videos[1:]))
    said = refusal([scored("a.npz")], [held])
    assert "1 of their 40 videos are among those judged, such as 'test/3.avi'" in said


def test_insisting_changes_nothing_where_nothing_is_wrong() -> None:
    files, val = [scored("a.npz")], [scored("a-val.npz", "val")]
    assert found(files, val, on_test=True) == found(files, val)


def test_videos_that_the_networks_learnt_from_are_doubted() -> None:
    weighing = found([scored("a.npz")], [scored("a-train.npz", "train")])
    assert weighing.said.endswith("of the split train: do the networks know them by heart?")


def test_files_of_others_are_held_out_in_their_order() -> None:
    files = [foreign("a.npz", "test"), foreign("b.npz", "test")]
    val = foreign("x.npz", "val")
    weak = {head: scores * 0 for head, scores in val.heads.items()}
    weights = found(files, [val, foreign("y.npz", "val", heads=weak)]).weights
    assert weights[0] > 0.1
    reversed_ = found(files, [foreign("y.npz", "val", heads=weak), val]).weights
    assert reversed_[2:] == weights[:2]
    said = refusal(files, [val])
    assert said.startswith("1 held-out files for 2 files that do not tell their network (a.npz, b.")
    lacks = val.only(["off7"])
    assert "x.npz: no head 'tsn', as a.npz has" in refusal(files[:1], [lacks])


def test_a_shared_video_is_recognised_from_an_index_that_lies_elsewhere() -> None:
    val = scored("a-val.npz", "val", index_sha256="2")
    held = replace(val, videos=("../data/test/3.avi", *val.videos[1:]))
    said = refusal([scored("a.npz", index_sha256="1")], [held])
    assert "1 of their 40 videos are among those judged, such as '../data/test/3.avi'" in said


def test_names_without_folder_and_ending_are_recognised_as_shared() -> None:
    held = foreign("x.npz", "val", videos=tuple(str(n) for n in range(39, 79)))
    said = refusal([foreign("a.npz", "test")], [held])
    assert "1 of their 40 videos are among those judged, such as '39'" in said


def test_videos_without_names_cannot_be_shown_to_be_held_out() -> None:
    held = foreign("x.npz", "val", videos=None)
    said = refusal([foreign("a.npz", "test")], [held])
    assert "without names, nobody can tell their videos from those judged" in said


def test_weights_fitted_on_the_judged_videos_say_so_everywhere() -> None:
    joined = join([scored("a.npz", sure=1.0)])
    weighing = weights_on_test(joined)
    assert (weighing.found, weighing.optimistic) == ("test", True)
    assert "fitted on the very videos they are judged on" in weighing.said
    fused = fuse_streams(joined, weighing)
    assert fused.meta["weights_from"] == "test"
    assert fused.meta["weights_note"] == weighing.said
    assert fused.meta["optimistic"] is True
    alone = max(top_k_accuracy(s.scores, joined.labels, k=1) for s in joined.streams)
    assert top_k_accuracy(fused.heads["fused"], joined.labels, k=1) >= alone
