"""Training clips that an OFF branch is scaled by before its first step."""

import torch
from torch.utils.data import default_collate

from marey.data import EpochOrder, Sample, SnippetDataset, floats_of
from marey.models import OFF, Network
from marey.nn import OFFBranch, PooledBranch, standardise

from ._maps_cache import MapsDataset, maps_of

_VIDEOS = 48
_VIDEOS_OF_SUMS = 256  # Each sum is scaled by itself, so that more are wanted.


def standardise_on(dataset: SnippetDataset | MapsDataset, model: Network, *, seed: int) -> None:
    """Scale an OFF branch, or the sums that it reads, by what it answers to some training clips.

    Args:
        dataset: The training clips.
        model: A network that has learnt nothing yet.
        seed: Of the choice of clips.
    """
    assert isinstance(model, OFF)
    count = _VIDEOS_OF_SUMS if isinstance(model.branch, PooledBranch) else _VIDEOS
    order = list(EpochOrder(len(dataset), seed=seed, epoch=0))[:count]
    batch: Sample = default_collate([dataset[key] for key in order])
    if isinstance(batch.clip, torch.Tensor):
        clips = floats_of(batch, model.preprocessing, modality=model.modality, device=model.device)
        maps, snippets = model.maps(clips), clips.shape[1]
    else:
        maps, snippets = maps_of(batch.clip, model.device)
    if isinstance(model.branch, PooledBranch):
        model.branch.standardise(maps.levels, snippets=snippets)
        return
    assert isinstance(model.branch, OFFBranch)
    standardise(model.branch, maps.levels, snippets=snippets)
