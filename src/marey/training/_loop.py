"""The loop: draw, look, compare, step.

What is random in a step depends on the seed and the step's number alone, so a run that was
interrupted anywhere goes on to the same weights, bit for bit on a CPU with as many threads.
"""

import itertools
import json
import math
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.data import DataLoader
from torch.utils.tensorboard import SummaryWriter

from marey.data import EpochOrder, Key, Sample
from marey.index import Index
from marey.durable import write_text
from marey.errors import MareyError
from marey.evaluation import fit_head_weights
from marey.models import Network, save_checkpoint
from marey.settings import Training

from ._maps_cache import MapsDataset, cache_maps, looking_at_kept_maps, maps_of
from ._optim import build_optimiser, learning_rate, set_learning_rate
from ._run_folder import Progress, RunFolder
from ._setup import build_network, choose_device, clips_of, divide, plain
from ._validation import Look, Validation, looking_at_videos, validate


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
    dataset: Any
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
        look = self.kept_look or looking_at_videos(self.model, self.held_out)
        return validate(self.held_out, look)


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
    torch.set_num_threads(settings.threads or torch.get_num_threads())
    learn, held_out = divide(index, settings)
    steps = math.ceil(len(learn.entries) / settings.batch) * settings.epochs
    model = build_network(settings, index.classes).to(choose_device(settings.device))
    optimiser = build_optimiser(model, settings.optim)
    folder = RunFolder(out, {**plain(asdict(settings)), "index": index.fingerprint})
    progress, warning = folder.resume(model, optimiser)
    folder.rewind_log(progress.step)
    if warning:
        report(warning, progress, steps)

    dataset: Any = clips_of(learn, model, settings)
    look = None
    if settings.cached_views:
        cache = cache or out / "cache"
        say = partial(report, progress=progress, steps=steps)
        views = cache_maps(model, dataset, settings, cache, report=say)
        dataset = MapsDataset(dataset, views, settings.cached_views)
        look = looking_at_kept_maps(model, held_out, settings, cache)
    with SummaryWriter(str(out / "tensorboard"), purge_step=progress.step) as board:
        run = _Run(
            settings, model, optimiser, dataset, held_out, look, folder, board, report, steps
        )
        while progress.epoch < settings.epochs:
            progress = _learn(run, progress)
            progress = _judge(run, progress).after_epoch()
            folder.save(model, optimiser, progress)
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
        loss_sum = 0.0
        for part in range(math.ceil(videos / settings.at_once)):
            batch = next(batches)
            torch.manual_seed(_seed(settings.seed, progress.step, part))
            losses = _losses(run, batch)
            _require_finite(losses, batch, run)
            (losses.sum() / videos).backward()
            loss_sum += float(losses.detach().sum())
        norm = nn.utils.clip_grad_norm_(learnt, settings.optim.clip_norm)
        optimiser.step()
        optimiser.zero_grad(set_to_none=True)

        progress = progress.after_step(videos=videos, loss_sum=loss_sum)
        values = {"loss": loss_sum / videos, "learning_rate": rate, "gradient_norm": float(norm)}
        _log(run, progress, **values)
        run.report("step", progress, run.steps)
        if time.monotonic() - saved > 60 * settings.save_minutes:
            run.folder.save(run.model, optimiser, progress)
            saved = time.monotonic()
    return progress


def _losses(run: _Run, batch: Sample) -> Tensor:
    """Return the loss of each video: cross-entropy of its mean logits, summed over heads."""
    device = run.device
    labels = torch.as_tensor(batch.label, device=device)
    with torch.autocast(device.type, torch.bfloat16, enabled=device.type == "cuda"):
        if isinstance(batch.clip, Tensor):
            heads = run.model(batch.clip.to(device, non_blocking=True))
        else:
            maps, snippets = maps_of(batch.clip, device)
            heads = run.model.heads(maps, snippets=snippets)
    if run.settings.is_off:
        del heads["tsn"]  # Frozen: there is nothing to learn from it.
    smoothing = run.settings.label_smoothing
    return torch.stack(
        [
            F.cross_entropy(
                logits.float().mean(dim=1), labels, reduction="none", label_smoothing=smoothing
            )
            for logits in heads.values()
        ]
    ).sum(dim=0)


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
    if (seen.accuracy, -seen.loss) <= (progress.best_accuracy, -progress.best_loss):
        return progress
    run.folder.save_best(run.model)
    return progress.with_best(accuracy=seen.accuracy, loss=seen.loss)


def _finish(run: _Run, progress: Progress) -> Outcome:
    """Write the best network with the weights of its heads, fitted on the held-out videos."""
    run.folder.load_best(run.model)
    seen = run.validate()
    fusion = fit_head_weights(seen.heads, seen.labels)
    recipe = plain(asdict(run.settings)) | {"best_epoch": progress.best_epoch}
    path = run.folder.model
    save_checkpoint(
        run.model, path, classes=run.held_out.classes, recipe=recipe, fusion=fusion
    )
    return Outcome(model=path, best_epoch=progress.best_epoch, validation=seen)


def _batches(run: _Run, progress: Progress) -> Iterator[Sample]:
    """Return the rest of one pass, in pieces that fit in memory and never cross a step."""
    settings = run.settings
    order = EpochOrder(
        len(run.dataset), seed=settings.seed, epoch=progress.epoch, start=progress.seen
    )

    def pieces() -> Iterator[list[Key]]:
        for step in _chunks(iter(order), settings.batch):
            yield from _chunks(iter(step), settings.at_once)

    loader = DataLoader(
        run.dataset,
        batch_sampler=list(pieces()),
        num_workers=settings.workers,
        pin_memory=run.device.type == "cuda",
    )
    return iter(loader)


def _chunks(keys: Iterator[Key], size: int) -> Iterator[list[Key]]:
    while chunk := list(itertools.islice(keys, size)):
        yield chunk


def _seed(*numbers: int) -> int:
    """Return one seed from several numbers."""
    return int(np.random.SeedSequence(numbers).generate_state(1, np.uint64)[0])


def _require_finite(losses: Tensor, batch: Sample, run: _Run) -> None:
    """Stop at a loss that is not a number, before it reaches the weights."""
    broken = [int(n) for n, ok in zip(batch.number, losses.isfinite(), strict=True) if not ok]
    if not broken:
        return
    videos = [run.dataset.name_of(number) for number in broken]
    write_text(run.folder.path / "not_finite.json", json.dumps(videos, indent=2) + "\n")
    raise MareyError(
        f"the loss of {', '.join(videos[:5])} is not finite. The run stopped before it learnt "
        f"from that; the last save in {run.folder.path} is good. Look at these videos, or "
        "lower optim.lr or optim.clip_norm"
    )


def _log(run: _Run, progress: Progress, **values: float) -> None:
    for name, value in values.items():
        run.board.add_scalar(name, value, progress.step)
    run.folder.log(step=progress.step, epoch=progress.epoch, **values)
