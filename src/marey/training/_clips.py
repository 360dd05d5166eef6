"""A network for a user's own clips, and what it can be trusted with. Axes: N videos, Y classes.

A few clips are too few to spare any, so each is held out in turn: the folds of a
cross-validation. How many passes to take, and the weights of the heads, are chosen for the clips
of one fold by those of the others, so the answers that are reported had no say in what gave
them. The network that is kept then learns from all, with what all the folds choose.
"""

import shutil
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float32

from marey.durable import alone_in, complete_file
from marey.errors import MareyError, UsageError
from marey.evaluation import Scores, fuse_heads, load_scores, save_scores
from marey.index import Index, read_index
from marey.models import OFF_NETWORKS, POOLED_OFF_NETWORKS, TSN_NETWORKS, load_model, load_tensors
from marey.settings import Training

from ._choice import Answers, choose, cross_fitted, fill_rows
from ._clip_runs import ClipRuns, Steps, Tell
from ._folds import fold_numbers, without_fold
from ._gather import Clips
from ._run_folder import RunFolder
from ._setup import WITHOUT_EFFECT, plain, source_of
from ._validation import HELD_OUT_VIEWS, looking_at_videos

_WORK = "unfinished"
_SHORTEST_PACE = 8
_FRAMES_APART = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Learnt:
    """A network for some clips, and answers that had no say in it."""

    model: Path
    scores: Path
    """Answers to clips by a network that had not seen them; `load_scores` reads it. Its `meta`
    tells of `passes`, the epochs that OFF took, and `folds`, 0 for clips of a split of their own.
    """

    heads: Path
    """What each head said of the clips learnt from while they were held out: what the network's
    weights were found on, and weights of several networks can be.
    """

    runs: tuple[Path, ...]
    """Folders of the runs on the way, as long as `discard_runs` has not removed them."""


def fit_clips(
    settings: Training, clips: Clips, out: Path, *, tell: Tell, cache: Path | None
) -> Learnt:
    """Train a TSN and OFF on top of it on clips, and judge them by clips that they have not seen.

    Where the clips have a split `test`, or else `val`, it judges. Otherwise all are held out in
    turn. The same call on the same folder goes on where an earlier one stopped.

    Args:
        settings: Of both runs, but for the network and where it starts; `hold_out` is the share
            of a fold, and `pace` at most what it says.
        clips: The clips.
        out: Folder for the network, `model.safetensors`, what it says of the clips,
            `held-out.npz`, and what its heads say, `held-out-heads.npz`.
        tell: Is told how it goes.
        cache: Folder of a frozen backbone's maps, which are removed at the end unless given.

    Raises:
        UsageError: The clips are too few, the settings are not of a TSN, or the folder belongs to
            another run.
        MareyError: As for `fit`.
    """
    _off_on(settings.model)
    learn, _ = _parts(clips.index)
    folds = fold_numbers(learn, share=settings.hold_out, seed=settings.hold_out_seed)
    about = {**plain(settings), "clips": clips.index.fingerprint}
    RunFolder(out, about, may_change=WITHOUT_EFFECT)
    learnt = Learnt(
        model=out / "model.safetensors",
        scores=out / "held-out.npz",
        heads=out / "held-out-heads.npz",
        runs=_runs(out),
    )
    with alone_in(out):
        if not _is_done(learnt):
            _learn(settings, clips, learnt, folds, tell=tell, cache=cache)
    return replace(learnt, runs=_runs(out))


def _learn(
    settings: Training,
    clips: Clips,
    learnt: Learnt,
    folds: tuple[int, ...],
    *,
    tell: Tell,
    cache: Path | None,
) -> None:
    """Hold out each fold in turn, then learn from all, and save the network and the answers."""
    off_name = _off_on(settings.model)
    learn, judges = _parts(clips.index)
    settings = replace(settings, pace=pace_of_clips(settings, clips.frames))
    work = learnt.model.parent / _WORK
    go = ClipRuns(settings, off_name, work, cache or work / "cache", Steps(tell, settings, folds))
    answers: Answers = {}
    for number in range(max(folds) + 1):
        mine, held_out = without_fold(learn, folds, number)
        tell(f"part {number + 1} of {max(folds) + 1} is held out", go.steps.done, go.steps.total)
        said = go.fold(f"part-{number + 1}", mine, held_out)
        fill_rows(answers, said, np.flatnonzero(np.array(folds) == number), videos=len(folds))
    labels = np.array(learn.labels, dtype=np.int64)
    passes, weights = choose(answers, labels)
    tell(f"{passes} passes are best; now all clips are learnt", go.steps.done, go.steps.total)
    model = go.all("all", learn, passes, weights)
    with complete_file(learnt.model) as temporary:
        shutil.copyfile(model, temporary)
    network = load_model(model)
    meta = _meta(off_name, settings, clips, passes) | {"folds": max(folds) + 1}
    signed = {"weights_sha256": network.sha256}
    save_scores(_scores(clips, learn, answers[passes], meta | signed), learnt.heads)
    if judges is None:
        fused = cross_fitted(answers, labels, np.array(folds))
    else:
        look = looking_at_videos(network, judges, source_of(settings))
        fused = np.stack([fuse_heads(look(entry), weights) for entry in judges.entries])
        meta |= {"folds": 0} | signed
    save_scores(_scores(clips, judges or learn, {"network": fused}, meta), learnt.scores)


def discard_runs(out: Path) -> None:
    """Remove what it took to go on, when a network for clips is finished."""
    work = out / _WORK
    over = out / f"{_WORK}-over"  # So that half a folder never looks like one to go on with.
    if work.exists():
        shutil.rmtree(over, ignore_errors=True)
        work.rename(over)
    shutil.rmtree(over, ignore_errors=True)
    (out / "lock").unlink(missing_ok=True)  # Whoever waits for it sees that, and takes another.


def pace_of_clips(settings: Training, frames: int) -> int:
    """Return how near OFF's snippets lie: as set, but no nearer than frames that differ.

    Args:
        settings: The run.
        frames: Of a clip of middling length. An eighth is good for the shortest.
    """
    return min(settings.pace, max(round(frames / _FRAMES_APART), _SHORTEST_PACE))


def _runs(out: Path) -> tuple[Path, ...]:
    """Return the folders of the runs whose curves tell of held-out clips."""
    return tuple(sorted((out / _WORK).glob("part-*-off")))


def _is_done(learnt: Learnt) -> bool:
    """Tell whether there is nothing left to do but to report."""
    try:
        load_scores(learnt.scores)
        load_scores(learnt.heads)
        load_tensors(learnt.model)
    except MareyError:
        return False
    return True


def _meta(off_name: str, settings: Training, clips: Clips, passes: int) -> dict[str, Any]:
    return {
        "model": off_name,
        "modality": settings.modality,
        "index_sha256": read_index(clips.listed).fingerprint,
        "views": HELD_OUT_VIEWS.as_json(),
        "passes": passes,
        "unusable": list(clips.unusable),
    }


def _scores(
    clips: Clips,
    judged: Index,
    heads: Mapping[str, Float32[np.ndarray, "N Y"]],
    meta: dict[str, Any],
) -> Scores:
    """Return answers by the paths that the index beside them has."""
    paths = {
        ours.path: theirs.path
        for ours, theirs in zip(clips.index.entries, read_index(clips.listed).entries, strict=True)
    }
    return Scores(
        videos=tuple(paths[entry.path] for entry in judged.entries),
        labels=np.array(judged.labels, dtype=np.int64),
        classes=judged.classes,
        heads=dict(heads),
        meta=meta,
    )


def _off_on(tsn: str) -> str:
    """Return the name of the OFF network on top of a TSN; clips are few, so the smallest."""
    backbone = tsn.removeprefix("tsn_")
    if tsn in TSN_NETWORKS and (pooled := f"off_ordered_{backbone}") in POOLED_OFF_NETWORKS:
        return pooled
    off = f"off_{backbone}"
    if tsn not in TSN_NETWORKS or off not in OFF_NETWORKS:
        raise UsageError(
            f"a folder of clips is learnt by a TSN and then by OFF on top of it, so --model takes "
            f"one of {', '.join(TSN_NETWORKS)}, got {tsn}; to train {tsn} alone, make an index: "
            "marey prepare folder"
        )
    return off


def _parts(clips: Index) -> tuple[Index, Index | None]:
    """Return the clips to learn from, and those of a split of their own to judge by."""
    splits = clips.splits
    judge = next((split for split in ("test", "val") if split in splits), None)
    if judge is None:
        return clips, None
    learn = tuple(entry for entry in clips.entries if entry.split != judge)
    if not learn:
        raise UsageError(f"{clips.root} holds only {judge} clips; add the folder train beside it")
    return replace(clips, entries=learn), clips.only(judge)
