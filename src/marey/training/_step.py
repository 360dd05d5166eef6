"""The gradients of one step, part by part, of which each process of a run takes its share.

A part is what fits in memory at once. What is random in it depends on the seed, the step's
number and the part's, and a process takes whole parts, so it does not matter which process does.
"""

import math
from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor, nn

from marey.data import EpochOrder, Sample, SnippetDataset
from marey.errors import UsageError
from marey.models import Network
from marey.ranks import Ranks
from marey.settings import Training

from ._losses import losses_of
from ._maps_cache import MapsDataset
from ._run_folder import Progress
from ._workers import batches_of, in_chunks


def require_work(settings: Training, videos: int, ranks: Ranks) -> None:
    """Refuse processes that no part of a step would be left for."""
    step = min(settings.batch, videos)
    parts = math.ceil(step / settings.at_once)
    if parts < ranks.count:
        raise UsageError(
            f"a step learns from {step} videos in {parts} parts of at most {settings.at_once}, so "
            f"{ranks.count} processes are too many; start fewer, or give a lower --at-once"
        )


def parts_of_pass(
    dataset: SnippetDataset | MapsDataset,
    settings: Training,
    progress: Progress,
    ranks: Ranks,
    *,
    pinned: bool,
) -> Iterator[Sample]:
    """Return this process's share of the rest of one pass, part by part; none crosses a step."""
    order = EpochOrder(len(dataset), seed=settings.seed, epoch=progress.epoch, start=progress.seen)
    mine = []
    for step in in_chunks(order, settings.batch):
        parts = list(in_chunks(step, settings.at_once))
        mine += [parts[number] for number in ranks.share(len(parts))]
    return batches_of(dataset, mine, workers=settings.workers, pinned=pinned)


def add_gradients(
    model: Network,
    batches: Iterator[Sample],
    settings: Training,
    ranks: Ranks,
    *,
    step: int,
    videos: int,
) -> list[Tensor]:
    """Leave the gradients of a step at the weights, and return its losses, part by part.

    Args:
        model: The network.
        batches: This process's parts come next.
        settings: The run.
        ranks: Who takes part.
        step: Its number.
        videos: How many it learns from.
    """
    sizes = [min(settings.at_once, videos - start) for start in range(0, videos, settings.at_once)]
    whole = _WholeStep(model, ranks)
    losses = []
    for part in ranks.share(len(sizes)):
        batch = next(batches)
        torch.manual_seed(_seed(settings.seed, step, part))
        seen = losses_of(model, batch, label_smoothing=settings.label_smoothing)
        (seen.sum() / videos).backward()
        losses.append(seen.detach())
    return losses if ranks.count == 1 else whole.of(losses, sizes)


class _WholeStep:
    """Makes the gradients and running statistics of some parts of a step those of all of it.

    A running mean r becomes k r + (1 - k) x at a part of mean x. So n parts in a row make it
    k^n r + s, where s does not depend on r, and what every process adds to it can be summed.
    """

    def __init__(self, model: Network, ranks: Ranks) -> None:
        self._ranks = ranks
        self._learnt = [p for p in model.parameters() if p.requires_grad]
        self._norms = [
            norm
            for norm in model.modules()
            if isinstance(norm, nn.BatchNorm2d) and norm.training and ranks.count > 1
        ]
        self._before = [running.clone() for running, _ in self._running()]

    def of(self, losses: list[Tensor], sizes: list[int]) -> list[Tensor]:
        """Sum over the processes, and return the losses of all parts.

        Args:
            losses: Of the parts of this process.
            sizes: Of all parts.
        """
        ours, parts = self._ranks.share(len(sizes)), len(sizes)
        at_weights = [p.grad for p in self._learnt]
        seen = torch.zeros(sum(sizes), device=self._learnt[0].device)
        if losses:
            first = sum(sizes[: ours.start])
            seen[first : first + sum(map(len, losses))] = torch.cat(losses)
        changes = [
            (running - before * kept ** len(ours)) * kept ** (parts - ours.stop)
            for (running, kept), before in zip(self._running(), self._before, strict=True)
        ]
        has = seen.new_tensor([float(gradient is not None) for gradient in at_weights])
        tensors = [seen, has, *changes]
        tensors += [
            torch.zeros_like(p) if gradient is None else gradient
            for p, gradient in zip(self._learnt, at_weights, strict=True)
        ]
        summed = self._ranks.sum(torch.cat([tensor.flatten() for tensor in tensors]))
        pieces = iter(summed.split([tensor.numel() for tensor in tensors]))
        seen, has = next(pieces), next(pieces)
        for (running, kept), before in zip(self._running(), self._before, strict=True):
            running.copy_(before * kept**parts + next(pieces).view_as(before))
        for norm in self._norms:
            assert norm.num_batches_tracked is not None
            norm.num_batches_tracked += parts - len(ours)
        for p, known in zip(self._learnt, has.tolist(), strict=True):
            gradient = next(pieces).view(p.shape)
            if known and p.grad is None:
                p.grad = torch.zeros_like(p)
            if known:
                assert p.grad is not None
                p.grad.copy_(gradient)
        return list(seen.split(sizes))

    def _running(self) -> Iterator[tuple[Tensor, float]]:
        """Yield each running statistic, and the share of it that a part keeps."""
        for norm in self._norms:
            assert norm.running_mean is not None
            assert norm.running_var is not None
            assert norm.momentum is not None
            yield norm.running_mean, 1 - norm.momentum
            yield norm.running_var, 1 - norm.momentum


def _seed(*numbers: int) -> int:
    """Return one seed from several numbers."""
    return int(np.random.SeedSequence(numbers).generate_state(1, np.uint64)[0])
