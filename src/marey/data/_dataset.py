"""Training samples: random snippets of a video, randomly cropped and mirrored."""

import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple, Protocol, runtime_checkable

import numpy as np
import torch
from jaxtyping import Float, UInt8
from numpy.random import Generator
from torch import Tensor

from marey.index import Entry, Index

from ._crops import FLOW_SCALES, RGB_SCALES, crop, mirror, multi_scale_box
from ._part import part_of
from ._preprocessing import Preprocessing, normalise
from ._sampling import Places
from ._snippets import SPANS, read_snippets
from ._source import Source, Videos


@runtime_checkable
class Draw(Protocol):
    """A rule that places random snippets in a video."""

    def __call__(self, frames: int, /, *, rng: Generator, span: int) -> Places:
        """Return the places."""
        ...


class Key(NamedTuple):
    """A sample: which video, in which pass over the videos."""

    epoch: int
    number: int


class Sample(NamedTuple):
    """What the network learns from at once."""

    clip: Tensor | dict[str, Tensor]
    """Snippets in bytes [K C H W], or a backbone's maps of them by name."""

    label: int
    number: int
    mirrored: bool = False
    """Whether the network sees the snippets turned left to right; `floats_of` turns them."""


class SnippetDataset(torch.utils.data.Dataset[Sample]):
    """Random snippets of the videos of an index.

    A sample depends on the seed, the pass and the video's name alone, so any number of workers,
    in any order, before or after an interruption, in an index of more videos or fewer, draws
    the same.
    """

    def __init__(
        self,
        index: Index,
        *,
        modality: str,
        preprocessing: Preprocessing,
        draw: Draw,
        seed: int,
        source: Source | None = None,
    ) -> None:
        self._index = index
        self._modality = modality
        self._preprocessing = preprocessing
        self._draw = draw
        self._seed = seed
        self._source = source or Videos()

    def __len__(self) -> int:
        return len(self._index.entries)

    def __getitem__(self, key: Key) -> Sample:
        entry = self._index.entries[key.number]
        video = zlib.crc32(self.name_of(key.number).encode())
        rng = np.random.default_rng((self._seed, key.epoch, video))
        clip = self._clip(entry, rng)
        return Sample(clip, self.label(key.number), key.number, mirrored=rng.random() < 0.5)

    def label(self, number: int) -> int:
        """Return the class of a video."""
        return self._index.label_number(self._index.entries[number])

    def file_of(self, number: int) -> Path:
        """Return where the frames of a video, or its flow, lie."""
        return self._source.made_from(self._index, self._index.entries[number])

    def name_of(self, number: int) -> str:
        """Return what tells a video, or a stretch of one, from all others."""
        entry = self._index.entries[number]
        if entry.start is None and entry.end is None:
            return entry.path
        return f"{entry.path} from {entry.start} to {entry.end}"

    def _clip(self, entry: Entry, rng: Generator) -> UInt8[Tensor, "K C H W"]:
        span = SPANS[self._modality]
        with self._source.open(self._index, entry) as whole:
            video = part_of(whole, start=entry.start, end=entry.end)
            frames = read_snippets(video, self._draw(len(video), rng=rng, span=span), span=span)
        scales = FLOW_SCALES if self._modality == "flow" else RGB_SCALES
        box = multi_scale_box(frames.shape[-2], frames.shape[-1], rng=rng, scales=scales)
        return crop(frames, box, size=self._preprocessing.size)


def floats_of(
    batch: Sample, preprocessing: Preprocessing, *, modality: str, device: torch.device
) -> Float[Tensor, "N K C H W"]:
    """Return the snippets of a batch of samples as the network wants them, on its device.

    They travel as bytes, a quarter of the floats, and are normalised and mirrored there.
    """
    assert isinstance(batch.clip, Tensor)
    clips = normalise(batch.clip.to(device, non_blocking=True), preprocessing, modality=modality)
    for number in torch.as_tensor(batch.mirrored).nonzero().flatten().tolist():
        clips[number] = mirror(clips[number], modality=modality)
    return clips


class EpochOrder:
    """The keys of one pass over the videos, each pass in an order of its own."""

    def __init__(self, videos: int, *, seed: int, epoch: int, start: int = 0) -> None:
        self._videos = videos
        self._seed = seed
        self._epoch = epoch
        self._start = start

    def __iter__(self) -> Iterator[Key]:
        """Yield the keys, from the `start`-th on."""
        order = np.random.default_rng((self._seed, self._epoch)).permutation(self._videos)
        for number in order[self._start :]:
            yield Key(self._epoch, int(number))
