from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from marey.errors import UsageError
from marey.evaluation import ScoreFile, equal_weights, fuse_streams, join

CLASSES = ("run", "sit", "walk")
VIEWS = {"snippets": 25, "crops": 10, "over_crops": "max"}
META = {"model": "tsn", "modality": "rgb", "split": "test", "views": VIEWS}


def source(
    file: str, *, videos: int | Sequence[str] = 7, ours: bool = True, seed: int = 0, **changes: Any
) -> ScoreFile:
    """Scores of one head, `tsn`, that a file of ours might hold."""
    names = [f"{n:02d}.avi" for n in range(videos)] if isinstance(videos, int) else videos
    rng = np.random.default_rng(seed)
    plain = ScoreFile(
        path=Path(file),
        videos=tuple(names),
        labels=np.arange(len(names)) % 3,
        classes=CLASSES if ours else None,
        heads={"tsn": rng.normal(size=(len(names), 3)).astype(np.float32)},
        meta=META if ours else {},
        ours=ours,
    )
    return replace(plain, **changes)


def permuted(whole: ScoreFile, order: Sequence[int]) -> ScoreFile:
    rows = np.array(order, dtype=np.int64)
    assert whole.videos is not None
    return replace(
        whole,
        videos=tuple(whole.videos[row] for row in rows),
        labels=whole.labels[rows],
        heads={head: scores[rows] for head, scores in whole.heads.items()},
    )


def lines_of(*sources: ScoreFile, listed: ScoreFile | None = None) -> list[str]:
    """The lines of the refusal to join these."""
    with pytest.raises(UsageError) as caught:
        join(sources, listed=listed)
    return str(caught.value).split("\n  ")


@given(
    one=st.permutations(range(7)),
    other=st.permutations(range(7)),
    third=st.permutations(range(7)),
)
@settings(deadline=None)
def test_permuting_any_input_permutes_nothing_in_the_result(
    one: list[int], other: list[int], third: list[int]
) -> None:
    files = (source("a.npz"), source("b.npz", seed=1), source("c.npz", ours=False, seed=2))
    wanted = join(files)
    got = join([permuted(f, order) for f, order in zip(files, (one, other, third), strict=True)])
    assert (got.videos, got.labels.tolist()) == (wanted.videos, wanted.labels.tolist())
    weights = equal_weights(wanted)
    sums = [fuse_streams(joined, weights).heads["fused"] for joined in (wanted, got)]
    np.testing.assert_array_equal(*sums)


def test_rows_of_one_video_come_together_by_hand() -> None:
    a = source("a.npz", videos=["y", "x"], labels=np.array([1, 0]))
    b = source("b.npz", videos=["x", "y"], labels=np.array([0, 1]))
    a = replace(a, heads={"tsn": np.array([[1, 2, 3], [4, 5, 6]], dtype=np.float32)})
    b = replace(b, heads={"off7": np.array([[10, 20, 30], [40, 50, 60]], dtype=np.float32)})
    joined = join([a, b])
    assert joined.videos == ("x", "y")
    assert joined.labels.tolist() == [0, 1]
    fused = fuse_streams(joined, equal_weights(joined)).heads["fused"]
    assert fused.tolist() == [[14, 25, 36], [41, 52, 63]]


def test_a_subset_is_refused_with_the_first_five_that_lack() -> None:
    lines = lines_of(source("a.npz", videos=9), permuted(source("b.npz", videos=9), [8, 3]))
    assert lines == [
        "a.npz and b.npz do not hold the same videos (9 and 2); score both with the same index "
        "and split",
        *(f"'{n:02d}.avi' is in a.npz, but not in b.npz" for n in (0, 1, 2, 4, 5)),
        "and 2 more",
    ]


def test_differences_on_both_sides_are_shown_in_the_order_of_names() -> None:
    one = source("a.npz", videos=["a", "c", "e"])
    other = source("b.npz", videos=["b", "c", "d"])
    assert lines_of(one, other)[1:] == [
        "'a' is in a.npz, but not in b.npz",
        "'b' is in b.npz, but not in a.npz",
        "'d' is in b.npz, but not in a.npz",
        "'e' is in a.npz, but not in b.npz",
    ]


def test_a_video_that_could_not_be_scored_is_told_from_one_of_another_list() -> None:
    lacks = source("b.npz", videos=["a"], meta=META | {"unusable": ["b"]})
    assert lines_of(source("a.npz", videos=["a", "b"]), lacks)[1:] == [
        "'b' is in a.npz, but not in b.npz, where it could not be read"
    ]


def test_a_video_that_is_there_twice_is_refused() -> None:
    lines = lines_of(source("a.npz"), permuted(source("b.npz"), [0, 1, 2, 3, 4, 5, 6, 1, 1]))
    assert lines[0].startswith("b.npz holds videos more than once; keep one row of each")
    assert lines[1:] == ["'01.avi' is in rows 1, 7, 8"]
    assert "a.npz holds videos more" in lines_of(permuted(source("a.npz"), [0, 0]))[0]


def test_other_labels_are_refused_by_their_names() -> None:
    labels = np.array([0, 1, 2, 0, 1, 2, 1])
    assert lines_of(source("a.npz"), source("b.npz", labels=labels)) == [
        "a.npz and b.npz have different labels; score both with the same index; or the classes "
        "are in another order",
        "'06.avi' is 0 (run) in a.npz and 1 (sit) in b.npz",
    ]


def test_another_order_of_classes_is_refused_though_all_numbers_agree() -> None:
    other = source("b.npz", classes=("sit", "run", "walk"))
    assert lines_of(source("a.npz"), other) == [
        "a.npz and b.npz have different classes; score both with networks of the same classes in "
        "the same order",
        "class 0 is 'run' in a.npz and 'sit' in b.npz",
        "class 1 is 'sit' in a.npz and 'run' in b.npz",
    ]


def test_at_most_five_classes_are_shown() -> None:
    many = tuple(f"class{n}" for n in range(8))
    wide = {"tsn": np.zeros((7, 8), dtype=np.float32)}
    one = source("a.npz", classes=many, heads=wide)
    other = source("b.npz", classes=many[1:] + many[:1], heads=wide)
    lines = lines_of(one, other)
    assert len(lines) == 7
    assert lines[-1] == "and 3 more"


def test_another_number_of_classes_is_refused_even_without_names() -> None:
    narrow = {"tsn": np.zeros((7, 2), dtype=np.float32)}
    other = source("b.npz", ours=False, heads=narrow, labels=np.zeros(7, dtype=np.int64))
    assert "have different classes: 3 and 2" in lines_of(source("a.npz"), other)[0]
    shorter = source("b.npz", classes=CLASSES[:2], heads=narrow, labels=np.zeros(7, dtype=np.int64))
    assert lines_of(source("a.npz"), shorter)[1:] == [
        "class 2 is 'walk' in a.npz and not there in b.npz"
    ]


def test_two_orders_of_classes_are_found_behind_a_first_file_without_names() -> None:
    silent = source("a.npz", ours=False)
    one = source("b.npz", ours=False, classes=CLASSES)
    other = source("c.npz", ours=False, classes=CLASSES[::-1])
    assert "b.npz and c.npz have different classes" in lines_of(silent, one, other)[0]


def test_another_split_is_refused() -> None:
    other = source("b.npz", meta=META | {"split": "val"})
    assert lines_of(source("a.npz"), other) == [
        "a.npz holds scores of the split 'test', b.npz of 'val'; score both with: "
        "marey test MODEL INDEX --split test"
    ]


def test_other_views_are_refused() -> None:
    other = source("b.npz", meta=META | {"views": VIEWS | {"crops": 1, "over_crops": "mean"}})
    assert lines_of(source("a.npz"), other) == [
        "a.npz and b.npz look at the videos in different ways; score both with the same "
        "--snippets, --crops and --over-crops",
        "crops is 10 in a.npz and 1 in b.npz",
        "over_crops is max in a.npz and mean in b.npz",
    ]


def test_names_of_others_may_lack_folder_ending_and_case_and_it_is_said() -> None:
    ours = source("a.npz", videos=["Run/v_Run_g01.avi", "Sit/v_SIT_g01.avi", "Walk/w.1.avi"])
    other = permuted(
        source("b.npz", ours=False, seed=1, videos=["v_Run_g01", "v_Sit_g01", "w.1"]), [2, 0, 1]
    )
    joined = join([other, ours])
    assert joined.videos == ours.videos
    assert joined.classes == CLASSES
    np.testing.assert_array_equal(joined.streams[0].scores, permuted(other, [1, 2, 0]).heads["tsn"])
    assert joined.remarks == (
        "b.npz: joined with a.npz by file name, without folder, ending and case, such as "
        "'v_Run_g01' with 'Run/v_Run_g01.avi'",
    )


def test_paths_in_our_own_files_must_agree_to_the_letter() -> None:
    lines = lines_of(source("a.npz", videos=["x/1.avi"]), source("b.npz", videos=["1.avi"]))
    assert lines[1:] == [
        "'1.avi' is in b.npz, but not in a.npz",
        "'x/1.avi' is in a.npz, but not in b.npz",
    ]


def test_file_names_that_two_folders_share_join_nothing() -> None:
    ours = source("a.npz", videos=["x/1.avi", "y/1.avi"])
    assert len(lines_of(ours, source("b.npz", ours=False, videos=["1.avi", "2.avi"]))) == 5


def test_the_same_file_name_in_another_folder_is_another_video() -> None:
    one = source("a.npz", ours=False, videos=["test/1.avi", "test/2.avi"])
    other = source("b.npz", ours=False, videos=["val/1.avi", "test/2.avi"])
    assert lines_of(one, other)[1:] == [
        "'test/1.avi' is in a.npz, but not in b.npz",
        "'val/1.avi' is in b.npz, but not in a.npz",
    ]


def test_folders_that_only_climb_are_no_difference() -> None:
    ours = source("a.npz", videos=["../../data/run/1.avi"])
    assert join([ours, source("b.npz", ours=False, videos=["/data/run/1"])]).videos == ours.videos


def test_differences_beyond_spelling_are_shown_without_those_of_spelling() -> None:
    ours = source("a.npz", videos=["x/1.avi", "x/2.avi", "x/3.avi"])
    other = source("b.npz", ours=False, videos=["1", "2", "4"])
    assert lines_of(ours, other)[1:] == [
        "'4' is in b.npz, but not in a.npz",
        "'x/3.avi' is in a.npz, but not in b.npz",
    ]


def test_files_without_names_are_not_joined_by_position() -> None:
    nameless = source("a.npz", ours=False, videos=7)
    for other in (source("b.npz"), source("b.npz", ours=False)):
        line = lines_of(replace(nameless, videos=None), replace(other, videos=None))[0]
        assert line.startswith("a.npz does not name its videos, so it cannot be joined with b.npz")
        assert "--list INDEX.csv" in line


def test_heads_of_one_file_without_names_are_joined_row_by_row_and_it_is_said() -> None:
    nameless = source("a.npz", ours=False, videos=11)
    joined = join([replace(nameless, videos=None)])
    np.testing.assert_array_equal(joined.streams[0].scores, nameless.heads["tsn"])
    assert joined.videos[10] == "row 10"
    assert not joined.named
    assert joined.remarks == ("a.npz: has no names of videos; its heads are joined row by row",)


def test_a_list_must_hold_the_same_videos_and_gives_names_of_classes() -> None:
    listed = source("list.csv", ours=False, classes=CLASSES, heads={}, meta={"split": "test"})
    other = source("b.npz", ours=False)
    joined = join([other], listed=listed)
    assert (joined.classes, joined.meta) == (CLASSES, {"split": "test"})
    assert [stream.name for stream in joined.streams] == ["b/tsn"]
    assert "list.csv" in lines_of(permuted(other, [0, 1]), listed=listed)[0]


def test_streams_are_named_by_as_much_of_the_path_as_tells_them_apart() -> None:
    files = ("tsn/0/s.npz", "off/0/s.npz", "off/flow.npz", "deep/er/flow.npy")
    names = [stream.name for stream in join([source(file) for file in files]).streams]
    assert names == ["tsn/0/s/tsn", "off/0/s/tsn", "off/flow/tsn", "er/flow/tsn"]
    names = [stream.name for stream in join([source("a.npy"), source("a.npz")]).streams]
    assert names == ["a.npy/tsn", "a.npz/tsn"]


def test_a_head_given_twice_is_refused() -> None:
    assert lines_of(source("a.npz"), source("a.npz")) == [
        "a.npz: head tsn is given twice; name each head once"
    ]


def test_what_all_files_agree_on_is_kept() -> None:
    one = source("a.npz", meta=META | {"index_sha256": "1", "model": "off"})
    same = source("b.npz", meta=META | {"index_sha256": "1"})
    other = source("c.npz", meta=META | {"index_sha256": "2"})
    assert join([one, same]).meta == {"split": "test", "views": VIEWS, "index_sha256": "1"}
    assert join([one, other]).meta == {"split": "test", "views": VIEWS}
