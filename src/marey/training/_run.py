"""A run: made, put back to where it was left, and under way."""

import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Protocol, runtime_checkable

import torch

from marey.data import SnippetDataset
from marey.durable import alone_in
from marey.index import Index
from marey.models import POOLED_OFF_NETWORKS, Network, choose_device
from marey.ranks import ALONE, Ranks
from marey.settings import Training

from ._board import Board
from ._maps_cache import MapsDataset, cache_maps, looking_at_kept_maps
from ._optim import build_optimiser
from ._run_folder import Progress, RunFolder, put_back, state_of
from ._setup import WITHOUT_EFFECT, build_network, clips_of, source_of
from ._standardise import standardise_on
from ._step import require_work
from ._validation import Look, looking_at_videos


@runtime_checkable
class Report(Protocol):
    """Is told what happened, the place in training, and how many steps there are in all."""

    def __call__(self, event: str, progress: Progress, steps: int) -> None:
        """Take note."""
        ...


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
    ranks: Ranks

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
    board: Board | None
    """Of the process that writes."""

    report: Report
    steps: int
    ranks: Ranks

    @property
    def device(self) -> torch.device:
        """Where the network is."""
        return next(self.model.parameters()).device

    def save(self, progress: Progress) -> None:
        """Save everything at a place in training."""
        if self.board is not None:
            self.folder.save(self.model, self.optimiser, progress)

    def log(self, progress: Progress, **values: float) -> None:
        """Note figures at a place in training."""
        if self.board is None:
            return
        self.board.add(progress.step, values)
        self.folder.log(step=progress.step, epoch=progress.epoch, **values)


@contextmanager
def begin(
    settings: Training,
    learn: Index,
    out: Path,
    report: Report,
    *,
    about: Mapping[str, object],
    of: Index,
    ranks: Ranks = ALONE,
) -> Iterator[Start]:
    """Yield a run's network and optimiser, put back to where the run was left.

    Meanwhile no other call works in the folder: it waits, and then finds what this one did.

    Args:
        settings: The run.
        learn: The videos to learn from.
        out: Folder of the run.
        report: Is told of saves that are damaged.
        about: What makes the run another one than any else, as JSON can hold it.
        of: Index that the run is on; it belongs to that too.
        ranks: The processes that train together.
    """
    require_work(settings, len(learn.entries), ranks)
    model = build_network(settings, of.classes).to(choose_device(settings.device))
    optimiser = build_optimiser(model, settings.optim)
    with ranks.first_before_others():
        folder = RunFolder(out, {**about, "index": of.fingerprint}, may_change=WITHOUT_EFFECT)
    with alone_in(out) if ranks.is_first else nullcontext():
        progress, damaged = folder.resume(model, optimiser) if ranks.is_first else (Progress(), [])
        progress = as_the_first(ranks, model, optimiser, progress)
        start = Start(settings, learn, model, optimiser, folder, progress, report, ranks)
        if damaged:
            place = f"going on from step {progress.step}" if progress.step else "starting anew"
            report(f"{out}: {', '.join(damaged)} damaged; {place}", progress, start.steps)
        yield start


def as_the_first(
    ranks: Ranks, model: Network, optimiser: torch.optim.Optimizer, progress: Progress
) -> Progress:
    """Make the network and its optimiser those of the first process, and return its place."""
    if ranks.count == 1:
        return progress
    tensors, place = ranks.tell(lambda: (state_of(model, optimiser), asdict(progress)))
    if not ranks.is_first:
        put_back(tensors, model, optimiser)
    return Progress(**place)


def under_way(start: Start, cache: Path) -> Run:
    """Return the run with its videos, or the kept maps of them, and logs that go on."""
    settings, model, ranks = start.settings, start.model, start.ranks
    folder = start.folder
    if ranks.is_first:
        folder.rewind_log(start.progress.step)
    clips = clips_of(start.learn, model, settings)
    dataset: SnippetDataset | MapsDataset = clips
    if settings.cached_views:
        say = partial(start.report, progress=start.progress, steps=start.steps)
        views = cache_maps(model, clips, settings, cache, report=say, ranks=ranks)
        dataset = MapsDataset(clips, views, settings.cached_views)
    begins_on_one_scale = settings.standardise or settings.model in POOLED_OFF_NETWORKS
    if begins_on_one_scale and settings.is_off and start.progress.step == 0:
        if ranks.is_first:
            standardise_on(dataset, model, seed=settings.views_seed)
        as_the_first(ranks, model, start.optimiser, start.progress)
    board = None
    if ranks.is_first:
        board = Board(folder.path / "tensorboard", first=start.progress.step + 1)
    return Run(
        settings, model, start.optimiser, dataset, folder, board, start.report, start.steps, ranks
    )


def looking(start: Start, held_out: Index, cache: Path) -> Callable[[], Look]:
    """Return what gives a look at held-out videos with the network as it is then."""
    source = source_of(start.settings)
    if not start.settings.cached_views:
        return partial(looking_at_videos, start.model, held_out, source)
    threads = start.settings.threads
    kept = looking_at_kept_maps(start.model, held_out, cache, source, threads=threads)
    return lambda: kept
