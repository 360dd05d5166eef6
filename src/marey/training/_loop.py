"""The loop: draw, look, compare, step.

What is random in a step depends on the seed and the step's number alone, so a run that was
interrupted anywhere goes on to the same weights, bit for bit on a CPU with as many threads.
"""

import math
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Protocol, runtime_checkable

import numpy as np
import torch
from torch import nn
from torch.utils.tensorboard import SummaryWriter

from marey.data import EpochOrder, Sample, SnippetDataset
from marey.index import Index
from marey.models import Network, choose_device, save_checkpoint
from marey.settings import Training

from ._finite import require_finite
from ._losses import losses_of
from ._maps_cache import MapsDataset, cache_maps, looking_at_kept_maps
from ._optim import build_optimiser, learning_rate, set_learning_rate
from ._run_folder import Progress, RunFolder
from ._setup import WITHOUT_EFFECT, build_network, clips_of, divide, plain, recipe_of, source_of
from ._standardise import standardise_on
from ._validation import (
    Look,
    Validation,
    load_validation,
    looking_at_videos,
    save_validation,
    validate,
)
from ._workers import batches_of, in_chunks, naming_dead_workers, using_threads


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
class Start:
    """A run that has its network, and its place, but has not read a video yet."""

    settings: Training
    learn: Index
    model: Network
    optimiser: torch.optim.Optimizer
    folder: RunFolder
    progress: Progress
    report: Report

    @property
    def steps(self) -> int:
        """Steps in all."""
        return math.ceil(len(self.learn.entries) / self.settings.batch) * self.settings.epochs


@dataclass(frozen=True, slots=True)
class Run:
    """What does not change during a run."""

    settings: Training
    model: Network
    optimiser: torch.optim.Optimizer
    dataset: SnippetDataset | MapsDataset
    folder: RunFolder
    board: SummaryWriter
    report: Report
    steps: int

    @property
    def device(self) -> torch.device:
        """Where the network is."""
        return next(self.model.parameters()).device

    def save(self, progress: Progress) -> None:
        """Save everything at a place in training."""
        self.board.flush()  # First, so that it has no gap before the place of the save.
        self.folder.save(self.model, self.optimiser, progress)

    def log(self, progress: Progress, **values: float) -> None:
        """Note figures at a place in training."""
        for name, value in values.items():
            self.board.add_scalar(name, value, progress.step)
        self.folder.log(step=progress.step, epoch=progress.epoch, **values)


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
    with using_threads(settings.threads), naming_dead_workers():
        return _fit(settings, index, out, report, cache or out / "cache")


def _fit(settings: Training, index: Index, out: Path, report: Report, cache: Path) -> Outcome:
    """Do what `fit` promises."""
    learn, held_out = divide(index, settings)
    start = begin(settings, learn, out, report, about=plain(settings), of=index)
    progress = start.progress
    if progress.epoch == settings.epochs and (kept := load_validation(start.folder)):
        return Outcome(start.folder.model, progress.best_epoch, kept)
    with under_way(start, cache) as run:
        look = looking(start, held_out, cache)
        while progress.epoch < settings.epochs:
            progress = learn_pass(run, progress)
            progress = _judge(run, progress, held_out, look).after_epoch()
            run.save(progress)
    return _finish(run, progress, held_out, look)


def begin(
    settings: Training,
    learn: Index,
    out: Path,
    report: Report,
    *,
    about: Mapping[str, object],
    of: Index,
) -> Start:
    """Return a run's network and optimiser, put back to where the run was left.

    Args:
        settings: The run.
        learn: The videos to learn from.
        out: Folder of the run.
        report: Is told of saves that are damaged.
        about: What makes the run another one than any else, as JSON can hold it.
        of: Index that the run is on; it belongs to that too.
    """
    model = build_network(settings, of.classes).to(choose_device(settings.device))
    optimiser = build_optimiser(model, settings.optim)
    folder = RunFolder(out, {**about, "index": of.fingerprint}, may_change=WITHOUT_EFFECT)
    progress, damaged = folder.resume(model, optimiser)
    start = Start(settings, learn, model, optimiser, folder, progress, report)
    if damaged:
        place = f"going on from step {progress.step}" if progress.step else "starting anew"
        report(f"{out}: {', '.join(damaged)} damaged; {place}", progress, start.steps)
    return start


@contextmanager
def under_way(start: Start, cache: Path) -> Iterator[Run]:
    """Yield the run with its videos, or the kept maps of them, and an open log."""
    settings, model, folder = start.settings, start.model, start.folder
    folder.rewind_log(start.progress.step)
    clips = clips_of(start.learn, model, settings)
    dataset: SnippetDataset | MapsDataset = clips
    if settings.cached_views:
        say = partial(start.report, progress=start.progress, steps=start.steps)
        views = cache_maps(model, clips, settings, cache, report=say)
        dataset = MapsDataset(clips, views, settings.cached_views)
    if settings.standardise and settings.is_off and start.progress.step == 0:
        standardise_on(dataset, model, seed=settings.seed)
    purge = start.progress.step + 1
    with SummaryWriter(str(folder.path / "tensorboard"), purge_step=purge) as board:
        yield Run(
            settings, model, start.optimiser, dataset, folder, board, start.report, start.steps
        )


def looking(start: Start, held_out: Index, cache: Path) -> Callable[[], Look]:
    """Return what gives a look at held-out videos with the network as it is then."""
    source = source_of(start.settings)
    if not start.settings.cached_views:
        return partial(looking_at_videos, start.model, held_out, source)
    kept = looking_at_kept_maps(start.model, held_out, start.settings, cache, source)
    return lambda: kept


def learn_pass(run: Run, progress: Progress) -> Progress:
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
        require = partial(require_finite, name_of=run.dataset.name_of, folder=run.folder.path)
        require("loss", torch.cat(fetched), torch.cat(numbers))
        require("gradient", norm.expand(videos), torch.cat(numbers))
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
    seen = validate(held_out, look())
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
        run.folder.save_best(run.model)
        return progress.with_best(accuracy=seen.accuracy, loss=seen.loss)
    return progress


def _finish(run: Run, progress: Progress, held_out: Index, look: Callable[[], Look]) -> Outcome:
    """Write the best network with the weights of its heads, fitted on the held-out videos."""
    run.folder.load_best(run.model)
    seen = validate(held_out, look())
    recipe = recipe_of(run.settings) | {"best_epoch": progress.best_epoch}
    path = run.folder.model
    save_validation(seen, run.folder)
    save_checkpoint(run.model, path, classes=held_out.classes, recipe=recipe, fusion=seen.weights)
    return Outcome(model=path, best_epoch=progress.best_epoch, validation=seen)


def _batches(run: Run, progress: Progress) -> Iterator[Sample]:
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
