"""Runs of a given length: no held-out video has a say in them. Axes: Y classes."""

import time
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float32

from marey.errors import CheckpointError, RefusedError
from marey.index import Index
from marey.models import load_tensors, save_checkpoint, save_tensors
from marey.settings import Training

from ._loop import learn_pass
from ._run import Report, Run, begin, looking, under_way
from ._run_folder import Progress
from ._setup import plain, recipe_of
from ._validation import validate
from ._workers import naming_dead_workers, using_threads

Heads = Mapping[str, Float32[np.ndarray, "_ Y"]]
"""Logits of each head."""


def learn_from_all(
    settings: Training,
    learn: Index,
    out: Path,
    *,
    passes: int,
    fusion: Mapping[str, float],
    report: Report,
    cache: Path,
) -> Path:
    """Learn from all videos and return the network's checkpoint.

    The same call on the same folder goes on where an earlier one stopped.

    Args:
        settings: The run; the learning rate falls as if it were to take all its epochs.
        learn: The videos.
        out: Folder of the run.
        passes: Epochs after which the network is taken.
        fusion: Weight of each head.
        report: As for `fit`.
        cache: Folder of a frozen backbone's maps.
    """
    about = {**_about(settings), "passes": passes}
    with (
        using_threads(settings.threads),
        naming_dead_workers(),
        begin(settings, learn, out, report, about=about, of=learn) as start,
    ):
        progress = start.progress
        if progress.epoch < passes:
            run = under_way(start, cache)
            saver = _Saver(run)
            while progress.epoch < passes:
                progress = learn_pass(run, progress).after_epoch()
                saver.save(progress, now=progress.epoch == passes)
        recipe = recipe_of(settings) | {"init": None, "best_epoch": passes}
        path = start.folder.model
        save_checkpoint(start.model, path, classes=learn.classes, recipe=recipe, fusion=fusion)
        return path


def answers_by_pass(
    settings: Training,
    learn: Index,
    held_out: Index,
    out: Path,
    *,
    report: Report,
    cache: Path,
) -> dict[int, Heads]:
    """Learn from some videos and return what is said of others, after each pass that is due.

    The same call on the same folder goes on where an earlier one stopped.

    Args:
        settings: The run; `validate_every` says which passes are due.
        learn: The videos to learn from.
        held_out: The others.
        out: Folder of the run.
        report: As for `fit`.
        cache: Folder of a frozen backbone's maps.
    """
    last, every = settings.epochs, settings.validate_every
    due = [number for number in range(1, last + 1) if number % every == 0 or number == last]
    about = _about(settings)
    with (
        using_threads(settings.threads),
        naming_dead_workers(),
        begin(settings, learn, out, report, about=about, of=learn) as start,
    ):
        progress = start.progress
        if progress.epoch < last:
            run = under_way(start, cache)
            look = looking(start, held_out, cache)
            saver = _Saver(run)
            while progress.epoch < last:
                progress = learn_pass(run, progress)
                if progress.epoch + 1 in due:
                    seen = validate(held_out, look())
                    figures = {"validation_accuracy": seen.accuracy}
                    run.log(progress, **figures, validation_loss=seen.loss, **seen.by_head)
                    _save(seen.heads, _file(out, progress.epoch + 1))
                progress = progress.after_epoch()
                saver.save(progress, now=progress.epoch == last)
    return {number: _load(_file(out, number)) for number in due}


class _Saver:
    """Saves a run after a pass, if long enough went by: with few videos a pass takes a second."""

    def __init__(self, run: Run) -> None:
        self._run = run
        self._saved = time.monotonic()

    def save(self, progress: Progress, *, now: bool) -> None:
        """Save it now, or if it is time to."""
        if now or time.monotonic() - self._saved >= 60 * self._run.settings.save_minutes:
            self._run.save(progress)
            self._saved = time.monotonic()


def _about(settings: Training) -> dict[str, object]:
    """Return what makes a run another; of a TSN below it not where it lies, but what it is."""
    return {**plain(settings), "init": None} if settings.is_off else plain(settings)


def _file(out: Path, number: int) -> Path:
    return out / f"answers-{number:03d}.safetensors"


def _save(heads: Heads, file: Path) -> None:
    save_tensors(file, {name: torch.from_numpy(logits) for name, logits in heads.items()}, {})


def _load(file: Path) -> Heads:
    try:
        tensors, _ = load_tensors(file)
    except (CheckpointError, RefusedError) as error:
        raise CheckpointError(
            f"{file} is damaged; delete the folder {file.parent}, and the same command makes it "
            "again"
        ) from error
    # A file's tensors come in any order, and heads are weighed in theirs.
    return {name: tensors[name].numpy() for name in sorted(tensors)}
