"""The loop: draw, look, compare, step.

What is random in a step depends on the seed and the step's number alone, so a run that was
interrupted anywhere goes on to the same weights, bit for bit on a CPU with as many threads.
"""

import json
import math
import time
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Protocol, runtime_checkable

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.tensorboard import SummaryWriter

from marey.data import EpochOrder, Sample, SnippetDataset
from marey.durable import write_text
from marey.errors import MareyError
from marey.index import Index
from marey.models import Network, choose_device, save_checkpoint
from marey.settings import Training

from ._losses import losses_of
from ._maps_cache import MapsDataset, cache_maps, looking_at_kept_maps
from ._optim import build_optimiser, learning_rate, set_learning_rate
from ._run_folder import Progress, RunFolder
from ._setup import WITHOUT_EFFECT, build_network, clips_of, divide, plain, recipe_of, source_of
from ._validation import (
    Look,
    Validation,
    load_validation,
    looking_at_videos,
    save_validation,
    validate,
)
from ._workers import batches_of, in_chunks, naming_dead_workers


@runtime_checkable
class Report(Protocol):
    """Is told what happened, the place in training, and how many steps there are in all."""

    def __call__(self, event: str, progress: Progress, steps: int) -> None:
        """Take note."""
        ...


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a finished run came to."""

    model: Path
    best_epoch: int
    validation: Validation


@dataclass(frozen=True, slots=True)
class _Run:
    """What does not change during a run."""

    settings: Training
    model: Network
    optimiser: torch.optim.Optimizer
    dataset: SnippetDataset | MapsDataset
    held_out: Index
    kept_look: Look | None
    folder: RunFolder
    board: SummaryWriter
    report: Report
    steps: int

    @property
    def device(self) -> torch.device:
        return next(self.model.parameters()).device

    def validate(self) -> Validation:
        look = self.kept_look or looking_at_videos(
            self.model, self.held_out, source_of(self.settings)
        )
        return validate(self.held_out, look)

    def save(self, progress: Progress) -> None:
        self.board.flush()  # First, so that it has no gap before the place of the save.
        self.folder.save(self.model, self.optimiser, progress)


def fit(
    settings: Training, index: Index, out: Path, *, report: Report, cache: Path | None = None
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

    Raises:
        UsageError: The settings, the index and the folder do not go together.
        MareyError: A loss was not finite; the message names the videos.
    """
    threads = torch.get_num_threads()
    torch.set_num_threads(settings.threads or threads)
    try:
        with naming_dead_workers():
            return _fit(settings, index, out, report, cache or out / "cache")
    finally:
        torch.set_num_threads(threads)


def _fit(settings: Training, index: Index, out: Path, report: Report, cache: Path) -> Outcome:
    """Do what `fit` promises."""
    learn, held_out = divide(index, settings)
    steps = math.ceil(len(learn.entries) / settings.batch) * settings.epochs
    model = build_network(settings, index.classes).to(choose_device(settings.device))
    optimiser = build_optimiser(model, settings.optim)
    folder = RunFolder(
        out, {**plain(settings), "index": index.fingerprint}, may_change=WITHOUT_EFFECT
    )
    progress, damaged = folder.resume(model, optimiser)
    if damaged:
        place = f"going on from step {progress.step}" if progress.step else "starting anew"
        report(f"{out}: {', '.join(damaged)} damaged; {place}", progress, steps)
    if progress.epoch == settings.epochs and (kept := load_validation(folder)):
        return Outcome(folder.model, progress.best_epoch, kept)
    folder.rewind_log(progress.step)

    clips = clips_of(learn, model, settings)
    dataset: SnippetDataset | MapsDataset = clips
    look = None
    if settings.cached_views:
        say = partial(report, progress=progress, steps=steps)
        views = cache_maps(model, clips, settings, cache, report=say)
        dataset = MapsDataset(clips, views, settings.cached_views)
        look = looking_at_kept_maps(model, held_out, settings, cache, source_of(settings))
    with SummaryWriter(str(out / "tensorboard"), purge_step=progress.step + 1) as board:
        run = _Run(
            settings, model, optimiser, dataset, held_out, look, folder, board, report, steps
        )
        while progress.epoch < settings.epochs:
            progress = _learn(run, progress)
            progress = _judge(run, progress).after_epoch()
            run.save(progress)
    return _finish(run, progress)


def _learn(run: _Run, progress: Progress) -> Progress:
    """Take the steps that are left of one pass over the videos."""
    settings, optimiser = run.settings, run.optimiser
    learnt = [parameter for parameter in run.model.parameters() if parameter.requires_grad]
    run.model.train()
    saved = time.monotonic()
    batches = _batches(run, progress)
    while progress.seen < len(run.dataset):
        rate = learning_rate(progress.step, steps=run.steps, settings=settings.optim)
        set_learning_rate(optimiser, rate)
        videos = min(settings.batch, len(run.dataset) - progress.seen)
        parts, numbers = [], []
        for part in range(math.ceil(videos / settings.at_once)):
            batch = next(batches)
            torch.manual_seed(_seed(settings.seed, progress.step, part))
            losses = losses_of(run.model, batch, label_smoothing=settings.label_smoothing)
            (losses.sum() / videos).backward()
            parts.append(losses.detach())
            numbers.append(torch.as_tensor(batch.number))
        norm = nn.utils.clip_grad_norm_(learnt, settings.optim.clip_norm)
        # What the step is judged by is fetched at once, so that a GPU waits once and not a part.
        norm, *fetched = torch.cat([norm[None], *parts]).cpu().split([1, *map(len, parts)])
        loss_sum = sum(float(losses.sum()) for losses in fetched)
        _require_finite("loss", torch.cat(fetched), torch.cat(numbers), run)
        _require_finite("gradient", norm.expand(videos), torch.cat(numbers), run)
        optimiser.step()
        optimiser.zero_grad(set_to_none=True)

        progress = progress.after_step(videos=videos, loss_sum=loss_sum)
        values = {"loss": loss_sum / videos, "learning_rate": rate, "gradient_norm": float(norm)}
        _log(run, progress, **values)
        run.report("step", progress, run.steps)
        # The end of the pass is saved with what validation says of it.
        due = time.monotonic() - saved >= 60 * settings.save_minutes
        if due and progress.seen < len(run.dataset):
            run.save(progress)
            saved = time.monotonic()
    # Workers end here, or when `batches` is deleted, where an interruption would go unheard.
    next(batches, None)
    return progress


def _judge(run: _Run, progress: Progress) -> Progress:
    """Ask the held-out videos, where it is time to, and keep the best weights."""
    epoch, settings = progress.epoch + 1, run.settings
    if epoch % settings.validate_every and epoch != settings.epochs:
        return progress
    seen = run.validate()
    mean_loss = progress.loss_sum / len(run.dataset)
    values = {"validation_accuracy": seen.accuracy, "validation_loss": seen.loss}
    _log(run, progress, training_loss=mean_loss, **values, **seen.by_head)
    run.report(
        f"epoch {epoch}: training loss {mean_loss:.3f}, held-out accuracy {seen.accuracy:.1%}, "
        f"loss {seen.loss:.3f}",
        progress,
        run.steps,
    )
    if (seen.accuracy, -seen.loss) > (progress.best_accuracy, -progress.best_loss):
        run.folder.save_best(run.model)
        return progress.with_best(accuracy=seen.accuracy, loss=seen.loss)
    return progress


def _finish(run: _Run, progress: Progress) -> Outcome:
    """Write the best network with the weights of its heads, fitted on the held-out videos."""
    run.folder.load_best(run.model)
    seen = run.validate()
    recipe = recipe_of(run.settings) | {"best_epoch": progress.best_epoch}
    path = run.folder.model
    save_validation(seen, run.folder)
    save_checkpoint(
        run.model, path, classes=run.held_out.classes, recipe=recipe, fusion=seen.weights
    )
    return Outcome(model=path, best_epoch=progress.best_epoch, validation=seen)


def _batches(run: _Run, progress: Progress) -> Iterator[Sample]:
    """Return the rest of one pass, in pieces that fit in memory and never cross a step."""
    settings = run.settings
    order = EpochOrder(
        len(run.dataset), seed=settings.seed, epoch=progress.epoch, start=progress.seen
    )
    pieces = [
        piece
        for step in in_chunks(order, settings.batch)
        for piece in in_chunks(step, settings.at_once)
    ]
    pinned = run.device.type == "cuda"
    return batches_of(run.dataset, pieces, workers=settings.workers, pinned=pinned)


def _seed(*numbers: int) -> int:
    """Return one seed from several numbers."""
    return int(np.random.SeedSequence(numbers).generate_state(1, np.uint64)[0])


def _require_finite(what: str, values: Tensor, numbers: Tensor, run: _Run) -> None:
    """Stop at a loss or gradient that is not a number, before it reaches the weights."""
    finite = values.isfinite()
    if finite.all():
        return
    videos = [run.dataset.name_of(number) for number in numbers[~finite].tolist()]
    file = run.folder.path / "not_finite.json"
    write_text(file, json.dumps(videos, indent=2) + "\n")
    others = f" and {len(videos) - 5} others in {file}" if len(videos) > 5 else ""
    raise MareyError(
        f"the {what} of {', '.join(videos[:5])}{others} is not finite. The run stopped before it "
        f"learnt from that; the last save in {run.folder.path} is good. Look at these videos, or "
        "lower optim.lr or optim.clip_norm"
    )


def _log(run: _Run, progress: Progress, **values: float) -> None:
    for name, value in values.items():
        run.board.add_scalar(name, value, progress.step)
    run.folder.log(step=progress.step, epoch=progress.epoch, **values)
