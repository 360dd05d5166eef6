"""A frozen backbone's maps of a few random views of each video, kept on the disk.

A frozen backbone answers the same every time, and costs more than what is learnt on top of
it. So it looks once at some views of each video, and training goes through them in turn.
A view is drawn as it would be in training, from the seed, the view's number and the video.
"""

import hashlib
import json
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float32
from torch import Tensor
from torch.utils.data import Dataset

from marey.data import Key, Sample, SnippetDataset, Source, floats_of
from marey.durable import alone_in
from marey.errors import CheckpointError, RefusedError, UsageError
from marey.evaluation import clips_of, phases
from marey.index import Entry, Index
from marey.models import OFF, Network, for_inference, load_tensors, save_tensors
from marey.nn import Maps
from marey.ranks import ALONE, Ranks
from marey.settings import Training
from marey.video import holding

from ._validation import Look, centre_snippets
from ._workers import batches_of

# Settings that decide what a view shows.
_OF_A_VIEW = ("modality", "views_seed", "sampling", "pace")


class MapsDataset(Dataset[Sample]):
    """The kept maps of the videos of a dataset, view after view."""

    def __init__(self, clips: SnippetDataset, folder: Path, views: int) -> None:
        self._clips = clips
        self._folder = folder
        self._views = views

    def __len__(self) -> int:
        return len(self._clips)

    def __getitem__(self, key: Key) -> Sample:
        key = Key(key.epoch % self._views, key.number)
        tensors = _kept(_file(self._folder, self._clips, key))
        return Sample(tensors, self._clips.label(key.number), key.number)

    def name_of(self, number: int) -> str:
        """Return the path of a video."""
        return self._clips.name_of(number)


def cache_maps(
    model: Network,
    clips: SnippetDataset,
    settings: Training,
    folder: Path,
    *,
    report: Callable[[str], None],
    ranks: Ranks = ALONE,
) -> Path:
    """Make the maps of training views that are missing and return the folder that holds them.

    Of several processes each makes its share.
    """
    view = {name: getattr(settings, name) for name in _OF_A_VIEW}
    view |= {
        "size": model.preprocessing.size,
        "snippets": settings.snippets_per_video,
        "off": settings.is_off,
    }
    folder = folder / f"train-{_name(model, view)}"
    keys = [Key(v, n) for v in range(settings.cached_views) for n in range(len(clips))]
    with alone_in(folder) if ranks.is_first else nullcontext():
        _, absent = ranks.tell(
            lambda: ({}, [key for key in keys if not _file(folder, clips, key).exists()])
        )
        mine = [Key(*absent[number]) for number in ranks.share(len(absent))]
        if mine:
            _make(model, clips, mine, settings, folder, report)
        ranks.wait()
    if any(not _file(folder, clips, Key(*key)).exists() for key in absent):
        raise UsageError(f"{folder}: the maps must lie where all processes of the run see them")
    return folder


def _make(
    model: Network,
    clips: SnippetDataset,
    keys: list[Key],
    settings: Training,
    folder: Path,
    report: Callable[[str], None],
) -> None:
    """Make the maps of some views."""
    network = for_inference(model)
    device = next(network.parameters()).device
    samples = batches_of(clips, [[key] for key in keys], workers=settings.workers)
    with torch.inference_mode():
        for done, (key, sample) in enumerate(zip(keys, samples, strict=True), start=1):
            shown = floats_of(
                sample, network.preprocessing, modality=network.modality, device=device
            )
            maps = network.maps(shown)
            save_tensors(_file(folder, clips, key), _as_tensors(maps, settings), {})
            if done % 250 == 0 or done == len(keys):
                report(f"kept the backbone's maps of {done} of {len(keys)} views")


def looking_at_kept_maps(
    model: Network, held_out: Index, settings: Training, folder: Path, source: Source
) -> Look:
    """Return a look at the maps of a held-out video, which the first look makes and keeps."""
    folder = (
        folder / f"val-{_name(model, {'off': settings.is_off, 'size': model.preprocessing.size})}"
    )
    network = for_inference(model)
    device = next(model.parameters()).device

    def make(entry: Entry, file: Path) -> None:
        snippets = centre_snippets(network, held_out, entry, source)
        clips = clips_of(
            snippets.to(device),
            crops=1,
            preprocessing=network.preprocessing,
            modality=network.modality,
        )
        maps = network.maps(clips)
        save_tensors(file, _as_tensors(maps, settings), {})

    @torch.inference_mode()
    def look(entry: Entry) -> Mapping[str, Float32[np.ndarray, " Y"]]:
        name = _content(source.made_from(held_out, entry), f"{entry.start} {entry.end}")
        file = folder / f"{name}.safetensors"
        if not file.exists():
            make(entry, file)
        tensors = _kept(file)
        seen = []
        for snippets in phases(model, len(tensors["features"])):
            part = {name: tensor[None, snippets] for name, tensor in tensors.items()}
            maps, count = maps_of(part, device)
            seen.append(model.eval().heads(maps, snippets=count))
        return {
            head: torch.cat([heads[head][0] for heads in seen]).mean(dim=0).cpu().numpy()
            for head in seen[0]
        }

    return look


def maps_of(tensors: Mapping[str, Tensor], device: torch.device) -> tuple[Maps, int]:
    """Return a batch of kept maps as the network's heads want them, and their snippets."""
    features = tensors["features"]
    levels: dict[int, list[Tensor]] = {}
    for name in sorted(tensors):
        if name != "features":
            level = levels.setdefault(int(name.split("_")[0]), [])
            level.append(_flat(tensors[name], device))
    return Maps(levels=levels, features=_flat(features, device)), features.shape[1]


def _flat(maps: Tensor, device: torch.device) -> Tensor:
    """Return maps [N K C H W] as floats [N*K C H W]."""
    whole = maps.to(device, non_blocking=True).flatten(0, 1).float()
    return whole.contiguous(memory_format=torch.channels_last)


def _as_tensors(maps: Maps, settings: Training) -> dict[str, Tensor]:
    """Return what the heads read, by name and in half the bytes."""
    kept = {"features": maps.features.mean(dim=(2, 3), keepdim=True)}
    if settings.is_off:
        for level, tensors in maps.levels.items():
            kept |= {f"{level:02d}_{place:02d}": tensor for place, tensor in enumerate(tensors)}
    return {name: tensor.half().contiguous().cpu() for name, tensor in kept.items()}


def _kept(file: Path) -> dict[str, Tensor]:
    """Return kept maps."""
    try:
        tensors, _ = load_tensors(file)
    except (CheckpointError, RefusedError) as error:
        raise CheckpointError(
            f"{file} is damaged; delete it, and the same command makes it again"
        ) from error
    return tensors


def _name(model: Network, view: Mapping[str, Any]) -> str:
    """Return a name for the maps that this backbone makes of such views."""
    backbone = (model.tsn if isinstance(model, OFF) else model).backbone
    digest = hashlib.sha256(json.dumps(view, sort_keys=True).encode())
    for name, tensor in sorted(backbone.state_dict().items()):
        digest.update(name.encode())
        digest.update(tensor.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()[:16]


def _file(folder: Path, clips: SnippetDataset, key: Key) -> Path:
    name = _content(clips.file_of(key.number), clips.name_of(key.number))
    return folder / f"{key.epoch:03d}" / f"{name}.safetensors"


def _content(video: Path, part: str) -> str:
    """Return a name for part of a video as it is now; another video of its path has another."""
    about = holding(video).stat()
    text = f"{video.resolve()} {about.st_size} {about.st_mtime_ns} {part}"
    return hashlib.sha256(text.encode(errors="surrogateescape")).hexdigest()[:24]
