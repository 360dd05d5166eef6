"""The loop: draw, look, compare, step.

What is random in a step depends on the seed and the step's number alone, so a run that was
interrupted anywhere goes on to the same weights, bit for bit on a CPU with as many threads.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import torch
from torch import nn

from marey.data import EpochOrder
from marey.index import Index
from marey.models import save_checkpoint
from marey.ranks import ALONE, Ranks
from marey.settings import Training

from ._finite import require_finite
from ._optim import learning_rate, set_learning_rate
from ._run import Report, Run, as_the_first, begin, looking, under_way
from ._run_folder import Progress
from ._setup import divide, plain, recipe_of
from ._step import add_gradients, parts_of_pass
from ._validation import Look, Validation, load_validation, save_validation, validate
from ._workers import naming_dead_workers, using_threads


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a finished run came to."""

    model: Path
    best_epoch: int
    validation: Validation


def fit(
    settings: Training,
    index: Index,
    out: Path,
    *,
    report: Report,
    cache: Path | None = None,
    ranks: Ranks = ALONE,
) -> Outcome:
    """Train a network and return its checkpoint with what held-out videos say of it.

    The same call on the same folder goes on where an earlier one stopped.

    Args:
        settings: The run.
        index: Videos; those of the split `train` are learnt from, those of `val`, or a part
            held out of `train` by source video, choose the checkpoint. `test` is never read.
        out: Folder of the run.
        report: Called after each step, validation and warning.
        cache: Folder of a frozen backbone's maps, shared by runs; `out/cache` unless given.
        ranks: The processes that train together, each with this call; the first writes.

    Raises:
        UsageError: The settings, the index and the folder do not go together.
        MareyError: A loss was not finite; the message names the videos.
    """
    with using_threads(settings.threads), naming_dead_workers():
        return _fit(settings, index, out, report, cache or out / "cache", ranks)


def _fit(
    settings: Training, index: Index, out: Path, report: Report, cache: Path, ranks: Ranks
) -> Outcome:
    """Do what `fit` promises."""
    learn, held_out = divide(index, settings)
    about = plain(settings)
    with begin(settings, learn, out, report, about=about, of=index, ranks=ranks) as start:
        progress = start.progress
        kept = load_validation(start.folder) if progress.epoch == settings.epochs else None
        if ranks.all_true(kept is not None) and kept is not None:
            return Outcome(start.folder.model, progress.best_epoch, kept)
        run = under_way(start, cache)
        look = looking(start, held_out, cache)
        while progress.epoch < settings.epochs:
            progress = learn_pass(run, progress)
            progress = _judge(run, progress, held_out, look).after_epoch()
            run.save(progress)
        return _finish(run, progress, held_out, look)


def learn_pass(run: Run, progress: Progress) -> Progress:
    """Take the steps that are left of one pass over the videos."""
    settings, optimiser = run.settings, run.optimiser
    learnt = [parameter for parameter in run.model.parameters() if parameter.requires_grad]
    run.model.train()
    saved = time.monotonic()
    pinned = run.device.type == "cuda"
    batches = parts_of_pass(run.dataset, settings, progress, run.ranks, pinned=pinned)
    order = EpochOrder(len(run.dataset), seed=settings.seed, epoch=progress.epoch)
    numbers = torch.tensor([key.number for key in order])
    while progress.seen < len(run.dataset):
        rate = learning_rate(progress.step, steps=run.steps, settings=settings.optim)
        set_learning_rate(optimiser, rate)
        videos = min(settings.batch, len(run.dataset) - progress.seen)
        parts = add_gradients(
            run.model, batches, settings, run.ranks, step=progress.step, videos=videos
        )
        norm = nn.utils.clip_grad_norm_(learnt, settings.optim.clip_norm)
        # What the step is judged by is fetched at once, so that a GPU waits once and not a part.
        norm, *fetched = torch.cat([norm[None], *parts]).cpu().split([1, *map(len, parts)])
        loss_sum = sum(float(losses.sum()) for losses in fetched)
        require = partial(require_finite, name_of=run.dataset.name_of, folder=run.folder.path)
        shown = numbers[progress.seen : progress.seen + videos]
        require("loss", torch.cat(fetched), shown)
        require("gradient", norm.expand(videos), shown)
        optimiser.step()
        optimiser.zero_grad(set_to_none=True)

        progress = progress.after_step(videos=videos, loss_sum=loss_sum)
        values = {"loss": loss_sum / videos, "learning_rate": rate, "gradient_norm": float(norm)}
        run.log(progress, **values)
        run.report("step", progress, run.steps)
        # The end of the pass is saved with what validation says of it.
        due = time.monotonic() - saved >= 60 * settings.save_minutes
        if due and progress.seen < len(run.dataset):
            run.save(progress)
            saved = time.monotonic()
    # Workers end here, or when `batches` is deleted, where an interruption would go unheard.
    next(batches, None)
    return progress


def _judge(run: Run, progress: Progress, held_out: Index, look: Callable[[], Look]) -> Progress:
    """Ask the held-out videos, where it is time to, and keep the best weights."""
    epoch, settings = progress.epoch + 1, run.settings
    if epoch % settings.validate_every and epoch != settings.epochs:
        return progress
    seen = validate(held_out, look(), run.ranks)
    mean_loss = progress.loss_sum / len(run.dataset)
    values = {"validation_accuracy": seen.accuracy, "validation_loss": seen.loss}
    run.log(progress, training_loss=mean_loss, **values, **seen.by_head)
    run.report(
        f"epoch {epoch}: training loss {mean_loss:.3f}, held-out accuracy {seen.accuracy:.1%}, "
        f"loss {seen.loss:.3f}",
        progress,
        run.steps,
    )
    if (seen.accuracy, -seen.loss) > (progress.best_accuracy, -progress.best_loss):
        if run.ranks.is_first:
            run.folder.save_best(run.model)
        return progress.with_best(accuracy=seen.accuracy, loss=seen.loss)
    return progress


def _finish(run: Run, progress: Progress, held_out: Index, look: Callable[[], Look]) -> Outcome:
    """Write the best network with the weights of its heads, fitted on the held-out videos."""
    if run.ranks.is_first:
        run.folder.load_best(run.model)
    as_the_first(run.ranks, run.model, run.optimiser, progress)
    seen = validate(held_out, look(), run.ranks)
    recipe = recipe_of(run.settings) | {"best_epoch": progress.best_epoch}
    path = run.folder.model
    if run.ranks.is_first:
        save_validation(seen, run.folder)
        save_checkpoint(
            run.model, path, classes=held_out.classes, recipe=recipe, fusion=seen.weights
        )
    return Outcome(model=path, best_epoch=progress.best_epoch, validation=seen)
