"""Training clips that an OFF branch is scaled by before its first step."""

import torch
from torch.utils.data import default_collate

from marey.data import EpochOrder, Sample, SnippetDataset, floats_of
from marey.models import OFF, Network
from marey.nn import OFFBranch, standardise

from ._maps_cache import MapsDataset, maps_of

_VIDEOS = 48


def standardise_on(dataset: SnippetDataset | MapsDataset, model: Network, *, seed: int) -> None:
    """Scale an OFF branch by what it answers to some training clips.

    Args:
        dataset: The training clips.
        model: A network that has learnt nothing yet.
        seed: Of the run.
    """
    assert isinstance(model, OFF)
    assert isinstance(model.branch, OFFBranch)
    order = list(EpochOrder(len(dataset), seed=seed, epoch=0))[:_VIDEOS]
    batch: Sample = default_collate([dataset[key] for key in order])
    if isinstance(batch.clip, torch.Tensor):
        clips = floats_of(batch, model.preprocessing, modality=model.modality, device=model.device)
        maps, snippets = model.maps(clips), clips.shape[1]
    else:
        maps, snippets = maps_of(batch.clip, model.device)
    standardise(model.branch, maps.levels, snippets=snippets)
