"""Files that streams are read from, ours and others'."""

import contextlib
import pickle
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from marey.errors import MareyError, RefusedError, UsageError
from marey.evaluation import (
    ScoreFile,
    Scores,
    join,
    read_score_file,
    save_scores,
    score_file_of_index,
)
from marey.index import Entry, Index

LABELS = np.array([2, 0], dtype=np.int16)
TWO = np.array([[1, 2, 3], [4, 5, 6]], dtype=np.float32)
# Three crops of two videos: their maxima are TWO; their means are lower.
CROPS = np.stack([TWO - 3, TWO, TWO - 6], axis=1)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "s.npz"


def write(path: Path, **arrays: Any) -> str:
    np.savez(path, **arrays)
    return str(path)


def listed(folder: Path) -> ScoreFile:
    """The videos of LABELS as an index lists them, between others."""
    entries = (
        Entry("c/0.avi", "c", "train"),
        Entry("c/1.avi", "c", "test"),
        Entry("a/2.avi", "a", "test"),
    )
    index = Index(folder, entries, ("a", "b", "c"))
    return score_file_of_index(folder / "list.csv", index, split="test")


def refusal(word: str | Path, **options: Any) -> str:
    with pytest.raises(UsageError) as caught:
        read_score_file(str(word), **options)
    return str(caught.value)


def test_heads_of_our_own_files_can_be_picked_in_any_order(path: Path) -> None:
    heads = {"tsn": TWO, "off7": TWO + 1, "off14": TWO + 2}
    meta = {"model": "off"}
    save_scores(
        Scores(
            videos=("x", "y"),
            labels=LABELS.astype(int),
            classes=("a", "b", "c"),
            heads=heads,
            meta=meta,
        ),
        path,
    )
    whole, picked = read_score_file(str(path)), read_score_file(f"{path}:off14,tsn")
    assert whole.ours
    assert whole.meta == meta
    assert list(whole.heads) == ["tsn", "off7", "off14"]
    assert list(picked.heads) == ["off14", "tsn"]
    np.testing.assert_array_equal(picked.heads["off14"], TWO + 2)
    assert refusal(f"{path}:off28") == f"{path}: no head 'off28'; it has tsn, off7, off14"
    assert "name each head once" in refusal(f"{path}:tsn,tsn")


def test_a_file_whose_name_ends_like_heads_is_that_file(tmp_path: Path) -> None:
    path = tmp_path / "night:rgb"
    with path.open("wb") as file:
        np.savez(file, flow=TWO, label=LABELS)
    assert list(read_score_file(str(path)).heads) == ["flow"]


def test_the_ports_arrays_are_the_heads_they_are_of(path: Path) -> None:
    word = write(path, scores1=CROPS, scores2=CROPS + 10, scores3=CROPS + 20, label=LABELS)
    source = read_score_file(word)
    assert list(source.heads) == ["tsn", "off7", "off14"]
    np.testing.assert_array_equal(source.heads["off7"], TWO)
    np.testing.assert_array_equal(source.heads["tsn"], TWO + 10)
    np.testing.assert_array_equal(source.heads["off14"], TWO + 20)
    assert source.labels.tolist() == [2, 0]
    assert source.meta["views"] == {"crops": 3, "over_crops": "max"}


def test_crops_can_be_averaged_instead(path: Path) -> None:
    source = read_score_file(write(path, scores1=CROPS, label=LABELS), over_crops="mean")
    np.testing.assert_array_equal(source.heads["off7"], TWO - 3)
    assert source.meta["views"]["over_crops"] == "mean"


def test_arrays_that_only_share_the_ports_names_keep_them(path: Path) -> None:
    assert list(read_score_file(write(path, scores1=TWO, scores2=TWO, label=LABELS)).heads) == [
        "scores1",
        "scores2",
    ]


@pytest.mark.parametrize("kind", ["U", "S"])
def test_plain_arrays_have_names_and_labels_of_any_width(path: Path, kind: str) -> None:
    names = np.array(["ü.avi", "y.avi"])
    video = np.strings.encode(names, "utf-8") if kind == "S" else names
    source = read_score_file(write(path, rgb=TWO.astype(np.float16), video=video, label=LABELS))
    assert source.videos == ("ü.avi", "y.avi")
    assert source.heads["rgb"].dtype == np.float32
    assert source.labels.dtype == np.int64
    assert not source.ours


def test_what_is_no_scores_is_left_out_and_said(path: Path) -> None:
    source = read_score_file(write(path, rgb=TWO, frames=np.array([3, 4]), label=LABELS))
    assert list(source.heads) == ["rgb"]
    assert source.remarks == (f"{path}: no scores, so left out: frames",)


def test_a_list_gives_videos_labels_and_split_in_its_order(tmp_path: Path) -> None:
    path = tmp_path / "s.npy"
    np.save(path, TWO)
    rows = listed(tmp_path)
    source = read_score_file(str(path), listed=rows)
    assert (source.videos, source.labels.tolist()) == (("c/1.avi", "a/2.avi"), [2, 0])
    assert source.meta == {"split": "test"}
    joined = join([source], listed=rows)
    assert joined.videos == ("a/2.avi", "c/1.avi")
    assert joined.classes == ("a", "b", "c")
    np.testing.assert_array_equal(joined.streams[0].scores, TWO[::-1])
    assert joined.streams[0].name == "s/scores"
    assert "has no labels; add the array `label`; or give the list" in refusal(path)


def test_a_list_of_other_length_or_labels_is_refused(tmp_path: Path, path: Path) -> None:
    rows = listed(tmp_path)
    three = write(path, rgb=np.zeros((3, 3), dtype=np.float32))
    assert f"scores of 3 videos, but {tmp_path}/list.csv lists 2" in refusal(three, listed=rows)
    other = write(path, rgb=TWO, label=np.array([2, 1]))
    assert refusal(other, listed=rows).split("\n  ")[1:] == [
        "row 1, 'a/2.avi': 1 in s.npz, 0 in list.csv"
    ]


def test_names_in_a_file_are_not_replaced_by_a_list(tmp_path: Path, path: Path) -> None:
    word = write(path, rgb=TWO, video=np.array(["2.avi", "1.avi"]), label=np.array([0, 2]))
    rows = listed(tmp_path)
    joined = join([read_score_file(word, listed=rows)], listed=rows)
    assert joined.videos == ("a/2.avi", "c/1.avi")
    np.testing.assert_array_equal(joined.streams[0].scores, TWO)


@pytest.mark.parametrize(
    ("arrays", "said"),
    [
        ({"label": LABELS}, "no array of floats [videos, classes] or [videos, crops, classes]"),
        ({"rgb": TWO}, "has no labels; add the array `label`"),
        ({"rgb": TWO, "label": LABELS[:1]}, "1 labels for the scores of 2 videos"),
        ({"rgb": TWO, "label": LABELS, "video": ["x"]}, "1 names for the scores of 2 videos"),
        ({"rgb": TWO, "label": LABELS, "classes": ["x"]}, "1 class names for scores of 3 classes"),
        ({"rgb": TWO, "label": LABELS, "video": [1, 2]}, "its `video` is int64(2,), not names"),
        ({"rgb": TWO, "label": np.eye(2)}, "its `label` is float64(2, 2), not one whole number"),
        (
            {"rgb": TWO, "flow": TWO[:, :2], "label": LABELS},
            "head flow has other videos or classes",
        ),
        ({"rgb": TWO[:, :0], "label": LABELS}, "head rgb has other videos or classes, or none"),
        ({"rgb": CROPS[:, :0], "label": LABELS}, "head rgb has other videos or classes, or none"),
        (
            {"rgb": TWO, "label": np.array([1, 3])},
            "labels run from 1 to 3, but 3 classes are numbered 0 to 2; subtract 1 from each",
        ),
        ({"rgb": TWO, "label": np.array([-1, 0])}, "labels run from -1 to 0, but 3 classes"),
        ({"rgb": TWO, "label": LABELS, "video": [b"\xff", b"x"]}, "its `video` is not UTF-8 text"),
        (
            {"rgb": np.array([[1, 2, 3], [0, np.nan, 0]]), "label": LABELS, "video": ["x", "y"]},
            "head rgb holds NaN or infinity for 1 videos, such as 'y'",
        ),
        (
            {"rgb": np.full((2, 3), 1e300), "label": LABELS},
            "head rgb holds NaN or infinity for 2 videos, such as row 0",
        ),
    ],
)
def test_a_file_that_contradicts_itself_is_refused_by_name(
    path: Path, arrays: dict[str, Any], said: str
) -> None:
    message = refusal(write(path, **arrays))
    assert message.startswith(f"{path}: ")
    assert said in message


def test_objects_are_refused_before_they_can_run(tmp_path: Path, path: Path) -> None:
    canary = tmp_path / "canary"

    class Malice:
        def __reduce__(self) -> tuple[Any, ...]:
            return Path.touch, (canary,)

    bad = np.array([Malice(), None], dtype=object)
    npy, plain, ascii_, torch_like = (tmp_path / n for n in ("o.npy", "p.npz", "q.npz", "t.npz"))
    np.savez(path, rgb=TWO, label=LABELS, video=bad)
    np.save(npy, bad)
    plain.write_bytes(pickle.dumps(Malice()))
    ascii_.write_bytes(pickle.dumps(Malice(), protocol=0))
    with zipfile.ZipFile(torch_like, "w") as archive:
        archive.writestr("archive/data.pkl", pickle.dumps(Malice()))
    for file in (path, npy, plain, ascii_, torch_like):
        with pytest.raises(RefusedError) as caught:
            read_score_file(str(file))
        assert str(caught.value).startswith(f"{file}: holds Python objects (pickle)")
        assert caught.value.exit_code == 4
    assert not canary.exists()


def test_a_header_that_claims_more_than_there_is_is_not_believed(path: Path) -> None:
    with path.open("wb") as file:
        np.lib.format.write_array_header_1_0(
            file, {"descr": "<f4", "fortran_order": False, "shape": (10**9, 10**9)}
        )
        file.write(bytes(64))
    claimed = path.rename(path.with_suffix(".npy"))
    assert "claims to be float32 of shape (1000000000, 1000000000), but is not" in refusal(claimed)


def test_an_archive_that_unpacks_to_more_than_scores_ever_need_is_not_unpacked(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from marey.evaluation import _arrays

    monkeypatch.setattr(_arrays, "_MOST_BYTES", 1_000)
    np.savez_compressed(path, rgb=np.zeros((100, 100), dtype=np.float32), label=LABELS)
    assert "more than scores ever need" in refusal(path)


def test_archives_of_other_things_are_refused(path: Path) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("readme.txt", "text")
    assert f"{path}: not a scores file ('readme.txt' in it is no array)" in refusal(path)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("rgb.npy", b"")
        with pytest.warns(UserWarning, match="Duplicate name"):
            archive.writestr("rgb.npy", b"")
    assert "'rgb.npy' is in it 2 times" in refusal(path)


@given(
    whole=st.sampled_from(["ours", "compressed", "npy"]),
    places=st.lists(st.tuples(st.floats(0, 1), st.integers(0, 255)), min_size=1, max_size=4),
    cut=st.floats(0, 1) | st.none(),
)
@settings(
    deadline=None, max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_a_damaged_file_is_read_or_refused_and_nothing_else(
    path: Path, whole: str, places: list[tuple[float, int]], cut: float | None
) -> None:
    arrays = {"rgb": TWO, "label": LABELS, "video": np.array(["x", "y"])}
    if whole == "npy":
        with path.open("wb") as file:
            np.save(file, TWO)
    elif whole == "compressed":
        np.savez_compressed(path, **arrays)
    else:
        heads = {"tsn": TWO}
        save_scores(
            Scores(
                videos=("x", "y"),
                labels=np.array([0, 1]),
                classes=("a", "b", "c"),
                heads=heads,
                meta={},
            ),
            path,
        )
    data = bytearray(path.read_bytes())
    for place, value in places:
        data[int(place * (len(data) - 1))] = value
    path.write_bytes(data if cut is None else data[: int(cut * len(data))])
    with contextlib.suppress(MareyError):
        read_score_file(str(path))
