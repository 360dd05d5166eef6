import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from films import CLASSES, Run

from marey.evaluation import Scores, load_scores, save_scores

PUBLISHED = Path(__file__).parents[3] / "shared" / "data" / "scores"
VIEWS = {"snippets": 25, "crops": 10, "over_crops": "max"}


def scored(
    path: Path,
    *,
    split: str = "test",
    heads: Sequence[str] = ("tsn", "off7"),
    seed: int = 0,
    network: str = "",
    **meta: Any,
) -> Path:
    """Write scores of twenty videos that know the truth to some degree."""
    rng = np.random.default_rng(seed)
    labels = np.arange(20) % 3
    save_scores(
        Scores(
            videos=tuple(f"{split}/{number}.avi" for number in range(20)),
            labels=labels,
            classes=CLASSES,
            heads={
                head: (np.eye(3)[labels] * 2 + rng.normal(size=(20, 3))).astype(np.float32)
                for head in heads
            },
            meta={
                "model": "off_efficientnet_lite0",
                "modality": "rgb",
                "weights_sha256": network or path.stem,
                "split": split,
                "views": VIEWS,
                **meta,
            },
        ),
        path,
    )
    return path


@pytest.fixture
def off(tmp_path: Path) -> Path:
    return scored(tmp_path / "off.npz", fusion={"tsn": 0.5, "off7": 1.25})


@pytest.fixture
def flow(tmp_path: Path) -> Path:
    return scored(tmp_path / "flow.npz", heads=["tsn"], seed=1, modality="flow")


def test_every_stream_and_their_sum_have_a_line(
    run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    # Three of four are right in a, two in b; the sum is right wherever the surer one is.
    a = [[2, 0, 0], [0, 2, 0], [0, 0, 2], [0, 1, 0]]
    b = [[0, 1, 0], [0, 1, 0], [1, 0, 0], [3, 0, 0]]
    names = np.array(["1", "2", "3", "4"])
    for name, scores in (("a", a), ("b", b)):
        arrays = {"rgb": np.array(scores, dtype=np.float32), "label": np.array([0, 1, 2, 0])}
        np.savez(tmp_path / f"{name}.npz", video=names, **arrays)
    assert run("fuse", tmp_path / "a.npz", tmp_path / "b.npz", "--quiet") == 0
    out, err = capsys.readouterr()
    assert out.splitlines() == [
        "stream    weight     top-1     top-5  mean of classes",
        "a/rgb          1    75.00%   100.00%           83.33%",
        "b/rgb          1    50.00%   100.00%           50.00%",
        "fused              100.00%   100.00%          100.00%",
        "4 videos; equal weights: the plain sum of the scores, none of them scaled",
    ]
    assert err == ""
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.npz", "b.npz"]


def test_json_is_one_document_with_what_each_stream_is(
    run: Run, off: Path, flow: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("fuse", off, flow, "--weights", "1", "1.6", "0.4", "--json") == 0
    document = json.loads(capsys.readouterr().out)
    assert [row["name"] for row in document["streams"]] == ["off/tsn", "off/off7", "flow/tsn"]
    assert [row["weight"] for row in document["streams"]] == [1, 1.6, 0.4]
    assert [row["modality"] for row in document["streams"]] == ["rgb", "rgb", "flow"]
    assert set(document["fused"]) == {"top1", "top5", "mean_class"}
    assert (document["videos"], document["classes"], document["out"]) == (20, 3, None)
    assert (document["weights_from"], document["optimistic"]) == ("given", False)
    assert (document["split"], document["views"]) == ("test", VIEWS)


def test_what_is_written_are_scores_that_give_the_same_accuracy_again(
    run: Run, off: Path, flow: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "fused.npz"
    assert run("fuse", off, flow, "--weights", "own", "--out", out, "--json") == 0
    document = json.loads(capsys.readouterr().out)
    fused = load_scores(out)
    assert list(fused.heads) == ["fused"]
    heads = {**load_scores(off).heads, "flow": load_scores(flow).heads["tsn"]}
    by_hand = 0.5 * heads["tsn"] + 1.25 * heads["off7"] + heads["flow"]
    rows = [load_scores(off).videos.index(video) for video in fused.videos]
    np.testing.assert_allclose(fused.heads["fused"], by_hand[rows], rtol=1e-6)
    assert fused.meta["weights_from"] == "own"
    keys = {"name", "file", "head", "model", "modality", "weights_sha256", "weight"}
    assert [set(row) for row in fused.meta["streams"]] == [keys] * 3
    assert run("fuse", out, "--json") == 0
    assert json.loads(capsys.readouterr().out)["fused"] == document["fused"]


def test_heads_can_be_picked(run: Run, off: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("fuse", f"{off}:off7", "--json") == 0
    assert [r["name"] for r in json.loads(capsys.readouterr().out)["streams"]] == ["off/off7"]


def test_weights_come_from_held_out_videos(
    run: Run, off: Path, flow: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    held = [
        scored(tmp_path / "flow-val.npz", split="val", seed=3, network="flow"),
        scored(tmp_path / "off-val.npz", split="val", seed=4, network="off"),
    ]
    assert run("fuse", off, flow, "--held-out", *held) == 0
    out, err = capsys.readouterr()
    assert "weights found on 20 held-out videos of off-val.npz, flow-val.npz" in out
    assert "optimistic" not in out + err


def test_held_out_videos_that_are_tested_on_need_on_test(
    run: Run, off: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("fuse", off, "--held-out", off) == 2
    assert "they are of the split 'test'" in capsys.readouterr().err
    assert run("fuse", off, "--held-out", off, "--on-test", "-q") == 0
    assert "this accuracy is optimistic" in capsys.readouterr().out


def test_weights_of_the_test_videos_say_so_in_text_json_and_file(
    run: Run, off: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    said = "weights fitted on the very videos they are judged on (--on-test): this accuracy is"
    out = tmp_path / "fused.npz"
    assert run("fuse", off, "--on-test", "--quiet", "--out", out) == 0
    assert said in capsys.readouterr().out
    assert said in load_scores(out).meta["weights_note"]
    assert run("fuse", off, "--on-test", "--json") == 0
    document = json.loads(capsys.readouterr().out)
    assert said in document["weights_note"]
    assert (document["weights_from"], document["optimistic"]) == ("test", True)


def test_the_ports_file_is_joined_with_ours_by_a_list(
    run: Run, off: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    labels = [CLASSES[number % 3] for number in range(20)]
    order = np.random.default_rng(0).permutation(20)
    rows = [f"test/{number}.avi,{labels[number]},test" for number in order]
    index = tmp_path / "index.csv"
    index.write_text("\n".join(["path,label,split", "x.avi,run,train", *rows, ""]))
    ours = load_scores(off).heads["tsn"][order]
    crops = np.stack([ours - crop for crop in range(10)], axis=1)
    port = tmp_path / "port.npz"
    np.savez(port, scores2=crops, scores1=crops * 0, scores3=crops * 0, label=order % 3)
    words = ("fuse", off, port, "--weights", "1", "0", "1", "0", "0", "--json")
    assert run(*words, "--list", index) == 0
    out, err = capsys.readouterr()
    streams = {row["name"]: row for row in json.loads(out)["streams"]}
    assert list(streams) == ["off/tsn", "off/off7", "port/tsn", "port/off7", "port/off14"]
    assert streams["port/tsn"]["top1"] == streams["off/tsn"]["top1"]
    assert "port.npz: has no names; its rows are taken for those of" in err
    assert run(*words) == 2
    assert "does not name its videos, so it cannot be joined" in capsys.readouterr().err
    assert run(*words, "--list", index, "--over-crops", "mean") == 2
    assert "over_crops is max in" in capsys.readouterr().err
    assert run(*words, "--list", index, "--split", "train") == 2
    assert "scores of 20 videos, but" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "no scores given; name the files first and options after them"),
        (["none.npz"], "none.npz: no such scores file; make one with: marey test MODEL INDEX"),
        (["none.npz:tsn"], "none.npz: no such scores file"),
        (["off.npz:off28"], "off.npz: no head 'off28'; it has tsn, off7"),
        (["off.npz", "off.npz"], "off.npz: head tsn is given twice"),
        (["off.npz", "--weights", "1"], "got 1 weights for 2 streams; give one for each, in this"),
        (["off.npz", "--weights", "1", "off7"], "--weights takes equal, own, or a number for each"),
        (["off.npz", "--weights", "1", "flow.npz"], "got 1 flow.npz; name the files before it"),
        (["off.npz", "--weights", "1", "-1"], "weights are numbers from 0 up, got -1"),
        (["off.npz", "--weights", "own", "--on-test"], "--weights says what --held-out and --on-t"),
        (["off.npz", "--list", "none.csv"], "none.csv: no such index"),
        (["off.npz", "--out", "off.npz"], "--out off.npz is one of the files to read; choose"),
        (["off.npz:tsn", "--out", "off.npz"], "--out off.npz is one of the files to read; choose"),
        (["off.npz", "off-val.npz"], "off.npz holds scores of the split 'test', off-val.npz of 'v"),
        (["off.npz", "--held-out", "flow-val.npz"], "--held-out has no scores of head tsn of the"),
    ],
)
def test_a_mistake_is_told_with_what_to_do_and_exit_code_2(
    run: Run,
    off: Path,
    flow: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    words: list[str],
    said: str,
) -> None:
    monkeypatch.chdir(off.parent)
    for name in ("off", "flow"):
        scored(off.parent / f"{name}-val.npz", split="val", network=name)
    before = off.read_bytes()
    assert run("fuse", *words) == 2
    out, err = capsys.readouterr()
    assert said in err
    assert out == ""
    assert off.read_bytes() == before


def test_a_file_of_objects_is_refused_with_exit_code_4(
    run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "objects.npz"
    np.savez(path, rgb=np.array([{}, {}], dtype=object), label=np.array([0, 1]))
    assert run("fuse", path) == 4
    assert "objects.npz: holds Python objects (pickle)" in capsys.readouterr().err


def test_a_recipe_can_hold_the_weights(
    run: Run, off: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    recipe = tmp_path / "fusion.toml"
    recipe.write_text("[fuse]\nweights = [1, 2.5]\n")
    assert run("fuse", off, "--recipe", recipe, "--json") == 0
    assert [r["weight"] for r in json.loads(capsys.readouterr().out)["streams"]] == [1.0, 2.5]


@pytest.mark.parametrize(
    ("file", "weights", "percent"),
    [
        ("seqvlad_ucf101_split1", ["1", "1.5"], [86.78, 88.40, 93.68]),
        ("seqvlad_hmdb51_split1", ["1", "1.5"], [55.23, 65.36, 72.88]),
        ("tsn_rgb_rgbdiff_ucf101_split1", ["equal"], [85.14, 86.47, 90.01]),
    ],
)
def test_published_scores_give_their_published_accuracies(
    run: Run,
    capsys: pytest.CaptureFixture[str],
    file: str,
    weights: list[str],
    percent: list[float],
) -> None:
    path = PUBLISHED / f"{file}.npz"
    if not path.exists():
        pytest.skip(f"the published scores are not at {PUBLISHED}")
    assert run("fuse", path, "--weights", *weights, "--json") == 0
    document = json.loads(capsys.readouterr().out)
    rows = [*document["streams"], document["fused"]]
    assert [round(100 * row["top1"], 2) for row in rows] == percent


def test_published_files_that_spell_and_order_videos_differently_are_joined(
    run: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    files = sorted(PUBLISHED.glob("*ucf101*.npz"))
    if not files:
        pytest.skip(f"the published scores are not at {PUBLISHED}")
    with np.load(files[0]) as one, np.load(files[1]) as other:
        plain = [video.removesuffix(".avi") for video in one["video"].tolist()]
        assert plain != other["video"].tolist()
        assert sorted(plain) == sorted(other["video"].tolist())
    assert run("fuse", *files, "--weights", "1", "1.5", "0", "0", "--json") == 0
    document = json.loads(capsys.readouterr().out)
    # Each stream keeps the accuracy it has in its own file, which no join by position would give.
    accuracies = [round(100 * row["top1"], 2) for row in document["streams"]]
    assert accuracies == [86.78, 88.40, 85.14, 86.47]
    assert round(100 * document["fused"]["top1"], 2) == 93.68
    assert "by file name, without folder, ending and case" in document["remarks"][0]
