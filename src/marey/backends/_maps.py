"""A frozen backbone's maps, by the runtime that is quickest.

Axes: N videos, K snippets, C channels, H rows, W columns.
"""

from collections.abc import Callable, Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn

from marey.models import Network, for_inference
from marey.nn import Maps

from ._choose import usual_backend
from ._openvino import Request, compiled

MapsOf = Callable[[Float[Tensor, "N K C H W"]], Maps]


def maps_runner(model: Network, *, levels: Sequence[int], threads: int | None = None) -> MapsOf:
    """Return what gives the maps of normalised clips, video by video, nothing learnt through them.

    On a CPU that is OpenVINO where `usual_backend` says so, which is faster than PyTorch.

    Args:
        model: The network; it is left as it is.
        levels: Sizes of the maps that are wanted beside the last one.
        threads: CPU threads of OpenVINO; as many as PyTorch's unless given.
    """
    network = for_inference(model)
    if model.device.type != "cpu" or usual_backend() != "openvino":
        return network.maps
    reader = _Reader(network, tuple(levels)).eval()
    request: list[Request] = []

    def run(clips: Float[Tensor, "N K C H W"]) -> Maps:
        images = clips.flatten(0, 1).contiguous()
        if not request:
            request.append(compiled(reader, images, threads or torch.get_num_threads()))
        answers = [torch.from_numpy(answer.copy()) for answer in request[0](images.numpy())]
        found: dict[int, list[Tensor]] = {level: [] for level in levels}
        for level, maps in zip(reader.order, answers[1:], strict=True):
            found[level].append(maps)
        return Maps(levels=found, features=answers[0])

    return run


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
