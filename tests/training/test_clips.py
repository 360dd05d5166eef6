"""A network for a few clips is judged by what it has not seen, and the same whenever stopped."""

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tiny_networks import OFF_TINY, TSN_TINY, off_tiny, tsn_tiny

from marey.errors import UsageError
from marey.evaluation import fit_head_weights, load_scores
from marey.index import Entry, Index, read_index
from marey.models import OFF_NETWORKS, TSN_NETWORKS, load_model
from marey.settings import Optimisation, Training
from marey.training import Learnt, discard_runs, fit_clips, gather_clips
from marey.training._clips import _off_on, _parts, pace_of_clips


class StopError(Exception):
    """What a test stops a run with."""


class Told:
    """Keeps what is told, and stops at a step."""

    def __init__(self, stop_at: int | None = None) -> None:
        self.stop_at = stop_at
        self.said: list[str] = []
        self.steps: list[tuple[int, int]] = []

    def __call__(self, event: str, done: int, total: int) -> None:
        if event == "step":
            self.steps.append((done, total))
            if len(self.steps) == self.stop_at:
                raise StopError
        else:
            self.said.append(event)


# Two steps a pass and two passes a run, of which there are six: two for each half, two for all.
SMALL = Training(
    model=TSN_TINY,
    epochs=2,
    batch=4,
    at_once=4,
    snippets=3,
    frozen_stages=-1,
    cached_views=1,
    hold_out=0.5,
    save_minutes=0.0,
    workers=0,
    threads=1,
    device="cpu",
    optim=Optimisation(optimiser="adamw", lr=0.01),
)


@pytest.fixture(scope="module")
def finished(films: Index, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of two classes of four clips, `clips`, and `whole`, a run on it to the end."""
    root = tmp_path_factory.mktemp("finished")
    for label in films.classes:
        (root / "clips" / label).mkdir(parents=True)
        for number in range(4):
            shutil.copy(films.root / f"{label}{number}.avi", root / "clips" / label)
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(TSN_NETWORKS, TSN_TINY, tsn_tiny)
        patch.setitem(OFF_NETWORKS, OFF_TINY, off_tiny)
        clips = gather_clips(root / "clips", root / "whole")
        fit_clips(SMALL, clips, root / "whole", tell=Told(), cache=None)
    return root


@pytest.fixture
def place(finished: Path, tmp_path: Path) -> Path:
    """A copy of `finished`, to work on."""
    return Path(shutil.copytree(finished, tmp_path / "place"))


def fit(place: Path, out: str, told: "Told", **changes: Any) -> Learnt:
    clips = gather_clips(place / "clips", place / out)
    cache = changes.pop("cache", None)
    return fit_clips(replace(SMALL, **changes), clips, place / out, tell=told, cache=cache)


def test_every_clip_is_answered_once_and_the_network_knows_the_classes(finished: Path) -> None:
    whole = finished / "whole"
    scores = load_scores(whole / "held-out.npz")
    index = read_index(whole / "index.csv")
    assert scores.videos == tuple(entry.path for entry in index.entries)
    assert scores.classes == ("left", "right")
    assert np.array_equal(scores.labels, [0] * 4 + [1] * 4)
    assert (scores.heads["network"] != 0).all()
    assert scores.meta["folds"] == 2
    assert scores.meta["index_sha256"] == index.fingerprint
    network = load_model(whole / "model.safetensors")
    assert (network.name, network.classes) == ("off_tiny", ("left", "right"))
    assert set(network.fusion) == {"tsn", "off7", "off14"}
    assert network.recipe["best_epoch"] == scores.meta["passes"]


def test_what_the_heads_said_while_clips_were_held_out_is_what_their_weights_come_from(
    finished: Path,
) -> None:
    network = load_model(finished / "whole" / "model.safetensors")
    said = load_scores(finished / "whole" / "held-out-heads.npz")
    together = load_scores(finished / "whole" / "held-out.npz")
    assert (said.videos, said.classes) == (together.videos, together.classes)
    assert fit_head_weights(said.heads, said.labels) == network.fusion
    assert said.meta["weights_sha256"] == network.sha256


def test_no_run_learns_from_the_clips_that_it_is_judged_by(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import marey.training._clip_runs as runs

    pairs: list[tuple[set[str], set[str]]] = []
    real = runs.answers_by_pass

    def answers(off: Training, learn: Index, held_out: Index, *rest: Any, **options: Any) -> Any:
        start = load_model(str(off.init))
        assert start.recipe["best_epoch"] == off.epochs  # To the end: nobody chose it.
        pairs.append(({e.path for e in learn.entries}, {e.path for e in held_out.entries}))
        return real(off, learn, held_out, *rest, **options)

    monkeypatch.setattr(runs, "answers_by_pass", answers)
    cache = place / "cache"
    fit(place, "watched", Told(), cache=cache)
    discard_runs(place / "watched")
    everything = {
        entry.path for entry in gather_clips(place / "clips", place / "whole").index.entries
    }
    assert len(pairs) == 2
    for learnt, held_out in pairs:
        assert learnt | held_out == everything
        assert not learnt & held_out
    # A cache of the user's own stays: a view of each clip for TSN and OFF, and each held out once.
    assert len(list(cache.glob("train-*/*/*.safetensors"))) == 16
    assert len(list(cache.glob("val-*/*.safetensors"))) == 8


def test_stopped_again_and_again_it_ends_with_the_same_bytes_in_any_folder(place: Path) -> None:
    for at in (1, 3, 2, 5, 4, 3):
        with pytest.raises(StopError):
            fit(place, "deep/down", Told(at))
    out = place / "deep" / "down"
    assert not (out / "model.safetensors").exists()
    told = Told()
    fit(place, "deep/down", told)
    assert told.steps[-1][0] <= told.steps[-1][1]
    model = (out / "model.safetensors").read_bytes()
    assert model == (place / "whole" / "model.safetensors").read_bytes()
    ours, theirs = (load_scores(folder / "held-out.npz") for folder in (out, place / "whole"))
    assert np.array_equal(ours.heads["network"], theirs.heads["network"])


def test_what_is_finished_is_not_done_again(place: Path) -> None:
    whole = place / "whole"
    assert [run.name for run in fit(place, "whole", Told()).runs] == ["part-1-off", "part-2-off"]
    discard_runs(whole)
    names = {"checked.jsonl", "held-out-heads.npz", "held-out.npz", "index.csv"}
    names |= {"model.safetensors", "settings.json"}
    assert {path.name for path in whole.iterdir()} == names
    data = (whole / "model.safetensors").read_bytes()
    told = Told()
    assert fit(place, "whole", told).runs == ()
    assert (told.steps, told.said) == ([], [])
    assert (whole / "model.safetensors").read_bytes() == data


def test_a_damaged_network_is_made_again_from_the_runs(place: Path) -> None:
    model = place / "whole" / "model.safetensors"
    data = model.read_bytes()
    model.write_bytes(data[:1000])
    told = Told()
    fit(place, "whole", told)
    assert model.read_bytes() == data


def test_other_settings_in_the_same_folder_are_refused(place: Path) -> None:
    with pytest.raises(UsageError, match="seed was 0, is 1"):
        fit(place, "whole", Told(), seed=1)


def test_clips_of_a_split_of_their_own_judge_the_network_that_is_kept(
    films: Index, tmp_path: Path
) -> None:
    for label in films.classes:
        for number in range(5):
            folder = tmp_path / "clips" / ("test" if number == 4 else "train") / label
            folder.mkdir(parents=True, exist_ok=True)
            shutil.copy(films.root / f"{label}{number}.avi", folder)
    learnt = fit(tmp_path, "out", Told())
    scores = load_scores(learnt.scores)
    judged = [Path(video).parts[-3:-1] for video in scores.videos]
    assert judged == [("test", "left"), ("test", "right")]
    assert scores.meta["folds"] == 0
    assert scores.meta["weights_sha256"] == load_model(learnt.model).sha256


@pytest.mark.parametrize(
    ("splits", "learnt", "judging"),
    [
        ([None, None], [None, None], []),
        (["train", "val"], ["train"], ["val"]),
        (["train", "val", "test"], ["train", "val"], ["test"]),
        (["train", "train"], ["train", "train"], []),
    ],
)
def test_test_clips_judge_or_else_those_of_val(
    splits: list[str | None], learnt: list[str | None], judging: list[str | None]
) -> None:
    entries = tuple(Entry(f"{number}", "a", split) for number, split in enumerate(splits))
    learn, judges = _parts(Index(Path(), entries, ("a",)))
    assert [entry.split for entry in learn.entries] == learnt
    assert [entry.split for entry in (judges.entries if judges else ())] == judging


def test_a_folder_of_test_clips_alone_is_refused() -> None:
    index = Index(Path("clips"), (Entry("a.mp4", "a", "test"),), ("a",))
    with pytest.raises(UsageError, match="only test clips; add the folder train"):
        _parts(index)


def test_a_network_that_is_no_tsn_is_refused(place: Path) -> None:
    with pytest.raises(UsageError, match=r"--model takes one of .*, got off_tiny"):
        fit(place, "out", Told(), model="off_tiny", init=Path("x"))
    assert not (place / "out" / "settings.json").exists()


@pytest.mark.parametrize(
    ("frames", "given", "pace"), [(5, 25, 8), (34, 25, 8), (60, 25, 15), (300, 25, 25), (60, 6, 6)]
)
def test_snippets_are_some_frames_apart_and_no_nearer_than_set(
    frames: int, given: int, pace: int
) -> None:
    assert pace_of_clips(Training(pace=given), frames) == pace


def test_clips_are_learnt_by_the_smallest_network_of_a_backbone() -> None:
    assert _off_on("tsn_efficientnet_lite0") == "off_ordered_efficientnet_lite0"
    assert _off_on("tsn_bn_inception") == "off_bn_inception"
