"""A frozen backbone's maps, by the runtime that is quickest.

Axes: N videos, K snippets, C channels, H rows, W columns.
"""

import hashlib
from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn

from marey.models import OFF, Network, for_inference
from marey.nn import Maps

from ._choose import usual_backend
from ._openvino import Request, compiled

MapsOf = Callable[[Float[Tensor, "N K C H W"]], Maps]


class _Translated(NamedTuple):
    """A backbone as OpenVINO runs it, and the level of each map that it answers after the last."""

    request: Request
    order: tuple[int, ...]


_KEPT = 2
"""Translations that stay in memory: a TSN's backbone and the same one with OFF's levels."""

_translated: dict[tuple[object, ...], _Translated] = {}


def maps_runner(model: Network, *, levels: Sequence[int], threads: int | None = None) -> MapsOf:
    """Return what gives the maps of normalised clips, video by video, nothing learnt through them.

    On a CPU that is OpenVINO where `usual_backend` says so, which is faster than PyTorch. Its
    translation of a backbone takes seconds, so runs of one process that look through the same
    backbone, as those on a user's clips do, share it.

    Args:
        model: The network; it is left as it is.
        levels: Sizes of the maps that are wanted beside the last one.
        threads: CPU threads of OpenVINO; as many as PyTorch's unless given.
    """
    network = for_inference(model)
    if model.device.type != "cpu" or usual_backend() != "openvino":
        return network.maps
    threads = threads or torch.get_num_threads()
    weights = _weights_of(network)

    def run(clips: Float[Tensor, "N K C H W"]) -> Maps:
        images = clips.flatten(0, 1).contiguous()
        key = (weights, *levels, threads, *images.shape[1:])
        if key not in _translated:
            reader = _Reader(network, tuple(levels)).eval()
            request = compiled(reader, images, threads)
            while len(_translated) >= _KEPT:
                del _translated[next(iter(_translated))]
            _translated[key] = _Translated(request, tuple(reader.order))
        request, order = _translated[key]
        answers = [torch.from_numpy(answer.copy()) for answer in request(images.numpy())]
        found: dict[int, list[Tensor]] = {level: [] for level in levels}
        for level, maps in zip(order, answers[1:], strict=True):
            found[level].append(maps)
        return Maps(levels=found, features=answers[0])

    return run


def _weights_of(network: Network) -> str:
    """Return a hash of the weights of a network's backbone."""
    backbone = network.tsn.backbone if isinstance(network, OFF) else network.backbone
    weights = hashlib.sha256()
    for name, tensor in sorted(backbone.state_dict().items()):
        weights.update(name.encode() + tensor.contiguous().numpy().tobytes())
    return weights.hexdigest()


class _Reader(nn.Module):
    """The last map of some images, then those of each level."""

    def __init__(self, network: Network, levels: tuple[int, ...]) -> None:
        super().__init__()
        self.network = network
        self.levels = levels
        self.order: list[int] = []

    def forward(self, images: Float[Tensor, "B C H W"]) -> tuple[Tensor, ...]:
        maps = self.network.maps(images[None])
        self.order = [level for level in self.levels for _ in maps.levels[level]]
        return (maps.features, *(one for level in self.levels for one in maps.levels[level]))
