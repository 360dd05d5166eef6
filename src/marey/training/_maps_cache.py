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

from marey.backends import maps_runner
from marey.data import Key, Sample, SnippetDataset, Source, floats_of
from marey.durable import alone_in
from marey.errors import CheckpointError, RefusedError, UsageError
from marey.evaluation import clips_of, phases
from marey.index import Entry, Index
from marey.models import OFF, Network, load_tensors, save_tensors
from marey.nn import SUMS, Maps, PooledBranch
from marey.ranks import ALONE, Ranks
from marey.settings import Training
from marey.video import holding

from ._validation import Look, centre_snippets
from ._workers import batches_of

# Of what a pooled branch read of the maps; it would read nothing else of them.
_SUMS = f"{SUMS:02d}_00"
# Settings that decide what a view shows.
_OF_A_VIEW = ("modality", "views_seed", "sampling", "pace")


_IN_MEMORY = 1 << 30
"""Bytes of maps that a process does not read again."""


class MapsDataset(Dataset[Sample]):
    """The kept maps of the videos of a dataset, view after view.

    What has been read stays in memory, as far as a gigabyte holds it.
    """

    def __init__(self, clips: SnippetDataset, folder: Path, views: int) -> None:
        self._clips = clips
        self._folder = folder
        self._views = views
        self._read: dict[Key, dict[str, Tensor]] = {}
        self._bytes = 0

    def __len__(self) -> int:
        return len(self._clips)

    def __getitem__(self, key: Key) -> Sample:
        key = Key(key.epoch % self._views, key.number)
        return Sample(self._tensors(key), self._clips.label(key.number), key.number)

    def name_of(self, number: int) -> str:
        """Return the path of a video."""
        return self._clips.name_of(number)

    def _tensors(self, key: Key) -> dict[str, Tensor]:
        """Return the maps of a view."""
        if key not in self._read:
            tensors = _kept(_file(self._folder, self._clips, key))
            size = sum(tensor.nbytes for tensor in tensors.values())
            if self._bytes + size > _IN_MEMORY:
                return tensors
            self._read[key] = tensors
            self._bytes += size
        return self._read[key]


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
        "levels": _levels(model),
    }
    if isinstance(model, OFF) and isinstance(model.branch, PooledBranch):
        # All pooled branches read the same, whatever they make of it.
        view["sums"] = list(PooledBranch.heads)
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
    look = maps_runner(model, levels=_levels(model), threads=settings.threads)
    device = model.device
    samples = batches_of(clips, [[key] for key in keys], workers=settings.workers)
    with torch.inference_mode():
        for done, (key, sample) in enumerate(zip(keys, samples, strict=True), start=1):
            shown = floats_of(sample, model.preprocessing, modality=model.modality, device=device)
            maps = look(shown)
            save_tensors(
                _file(folder, clips, key), _as_tensors(maps, model, settings.snippets_per_video), {}
            )
            if done % 250 == 0 or done == len(keys):
                report(f"kept the backbone's maps of {done} of {len(keys)} views")


def looking_at_kept_maps(
    model: Network,
    held_out: Index,
    folder: Path,
    source: Source,
    *,
    threads: int | None = None,
) -> Look:
    """Return a look at the maps of a held-out video, which the first look makes and keeps."""
    view = {
        "levels": _levels(model),
        "size": model.preprocessing.size,
        "pace": model.preprocessing.pace,
    }
    folder = folder / f"val-{_name(model, view)}"
    maps_at = maps_runner(model, levels=_levels(model), threads=threads)
    device = model.device

    def make(entry: Entry, file: Path) -> None:
        snippets = centre_snippets(model, held_out, entry, source)
        clips = clips_of(
            snippets.to(device),
            crops=1,
            preprocessing=model.preprocessing,
            modality=model.modality,
        )
        count = clips.shape[1]
        kept = _as_tensors(maps_at(clips), model, count, stride=len(phases(model, count)))
        save_tensors(file, kept, {})

    @torch.inference_mode()
    def look(entry: Entry) -> Mapping[str, Float32[np.ndarray, " Y"]]:
        name = _content(source.made_from(held_out, entry), f"{entry.start} {entry.end}")
        file = folder / f"{name}.safetensors"
        if not file.exists():
            make(entry, file)
        tensors = _kept(file)
        seen = []
        # Sums are of all pairs, whichever phase they belong to. Where order counts, they are
        # ordered as one here, and phase by phase in a test, which differs by half a pair at most.
        if _SUMS in tensors:
            seen = [_heads_by_sums(model.eval(), tensors)]
        else:
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


def _heads_by_sums(model: Network, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return the logits of a video of which sums of its pairs are kept."""
    assert isinstance(model, OFF)
    batch = {name: tensor[None] for name, tensor in tensors.items()}
    maps, snippets = maps_of(batch, model.device)
    motion: dict[str, Tensor] = model.branch(maps.levels, snippets=len(tensors[_SUMS]) + 1)
    return model.tsn.heads(maps, snippets=snippets) | motion


def _as_tensors(maps: Maps, model: Network, snippets: int, *, stride: int = 1) -> dict[str, Tensor]:
    """Return what the heads read of a video, by name and in half the bytes."""
    kept = {"features": maps.features.mean(dim=(2, 3), keepdim=True)}
    levels = _levels(model)
    if isinstance(model, OFF) and isinstance(model.branch, PooledBranch):
        read = model.branch.read(maps.levels, snippets=snippets, stride=stride)
        kept |= {f"{level:02d}_00": tensor for level, tensor in read.items()}
        levels = ()
    for level in levels:
        kept |= {f"{level:02d}_{n:02d}": tensor for n, tensor in enumerate(maps.levels[level])}
    return {name: tensor.half().contiguous().cpu() for name, tensor in kept.items()}


def _levels(model: Network) -> tuple[int, ...]:
    """Return the sizes of the maps that the heads read, beside the mean of the last one."""
    return model.branch.levels if isinstance(model, OFF) else ()


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
