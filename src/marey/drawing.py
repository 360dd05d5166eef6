"""Pictures of what an OFF network sees.

Axes: K snippets, P pairs of neighbours, C channels, H rows, W columns.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, UInt8
from matplotlib import colormaps
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from torch import Tensor
from torch.nn import functional as F

from marey.data import centre_box
from marey.durable import complete_file
from marey.errors import UsageError
from marey.evaluation import clips_of, phases
from marey.flow import flow_estimator, flow_picture, to_pixels
from marey.models import OFF, Network

_COLUMNS = 6
_LEVEL = 28
"""The finest maps: 28 x 28 of them in a frame."""

_COVER = 0.75
"""How much of a frame its maps cover."""


@dataclass(frozen=True, slots=True)
class Sight:
    """Some frames of a video, and how strongly the features of each change."""

    snippets: tuple[int, ...]
    """Which of the snippets given these are."""

    frames: Float[np.ndarray, "P H W 3"]
    """What the network was shown, from 0 to 1."""

    changes: dict[str, Float[np.ndarray, "P H W 3"]]
    """The frames in grey under each kind of change: in time, and across the frame if seen."""

    neighbours: Float[np.ndarray, "P H W 3"]
    """What each frame was compared with."""


def sight_of(network: Network, snippets: UInt8[Tensor, "K C H W"]) -> Sight:
    """Return at most six frames with OFF's gradients over them, of what `snippets_of` gave.

    In time a frame's features change towards its neighbour; the scale of each kind of change
    is its own.

    Raises:
        UsageError: The network has no OFF branch.
    """
    if not isinstance(network, OFF):
        raise UsageError("only OFF networks have maps to draw; this one is a TSN")
    together = phases(network, len(snippets))[0]
    numbers = range(len(snippets))[together]
    snippets = snippets[together]
    pairs = len(snippets) - 1
    columns = np.linspace(0, pairs - 1, min(_COLUMNS, pairs)).round().astype(int)
    with torch.inference_mode():
        clips = clips_of(
            snippets.to(network.device),
            crops=1,
            preprocessing=network.preprocessing,
            modality=network.modality,
        )
        seen = network.gradients(clips)[_LEVEL]
    strengths = {"change in time": _strength(seen.temporal[0])}
    if seen.spatial.shape[2]:
        strengths["change in space"] = _strength(seen.spatial[0])
    box = centre_box(*snippets.shape[-2:], size=network.preprocessing.size)
    shown = snippets[..., box.top : box.top + box.height, box.left : box.left + box.width]
    pictures = _flow_pictures(_fields(shown)) if network.modality == "flow" else _pictures(shown)
    frames = pictures[columns]
    changes = {
        name: np.stack(
            [
                _under(frame, _enlarged(strength[column], box.height))
                for frame, column in zip(frames, columns, strict=True)
            ]
        )
        for name, strength in strengths.items()
    }
    return Sight(
        snippets=tuple(numbers[column] for column in columns),
        frames=frames,
        neighbours=pictures[columns + 1],
        changes=changes,
    )


def save_maps(
    network: Network, snippets: UInt8[Tensor, "K C H W"], path: Path, *, title: str
) -> None:
    """Draw frames of a video with OFF's gradients over them, and write a PNG.

    The upper row shows frames; below, how strongly the features of each change from one frame
    to its neighbour in time, and across the frame, and the flow between the two (TV-L1). Each
    row has one scale of its own. For a network on flow the upper row is the flow it was shown.

    Raises:
        UsageError: The network has no OFF branch.
    """
    sight = sight_of(network, snippets)
    if network.modality == "flow":
        rows = {"flow": sight.frames, **sight.changes}
    else:
        flow = _flow_pictures(_flow_between(sight.frames, sight.neighbours))
        rows = {"frame": sight.frames, **sight.changes, "flow": flow}
    columns = len(sight.frames)
    figure = Figure(figsize=(2 * columns, 2 * len(rows) + 0.6), layout="constrained")
    grid = figure.subplots(len(rows), columns, squeeze=False)
    for axes, (name, pictures) in zip(grid, rows.items(), strict=True):
        for axis, picture in zip(axes, pictures, strict=True):
            axis.imshow(picture)
            axis.set_axis_off()
        axes[0].set_title(name, loc="left", fontsize=10)
    figure.suptitle(title, fontsize=11, parse_math=False)
    with complete_file(path) as temporary, temporary.open("wb") as file:
        FigureCanvasAgg(figure).print_png(file, metadata={"Software": None})


def _flow_between(
    frames: Float[np.ndarray, "P H W 3"], neighbours: Float[np.ndarray, "P H W 3"]
) -> Float[np.ndarray, "P H W 2"]:
    """Return the flow from each frame to its neighbour, in pixels."""
    estimate = flow_estimator("tvl1")
    pairs = (np.stack([frames, neighbours], axis=1) * 255).round().astype(np.uint8)
    return np.concatenate([estimate(pair) for pair in pairs])


def _fields(snippets: UInt8[Tensor, "K C H W"]) -> Float[np.ndarray, "K H W 2"]:
    """Return the first field of flow of each snippet, in pixels."""
    return to_pixels(snippets[:, :2].permute(0, 2, 3, 1).numpy())


def _flow_pictures(fields: Float[np.ndarray, "P H W 2"]) -> Float[np.ndarray, "P H W 3"]:
    """Return flow in colours, all on one scale, from 0 to 1."""
    longest = max(float(np.quantile(np.hypot(fields[..., 0], fields[..., 1]), 0.99)), 1.0)
    pictures: Float[np.ndarray, "P H W 3"] = np.stack(
        [flow_picture(np.ascontiguousarray(field), longest=longest) for field in fields]
    ).astype(np.float32) / np.float32(255)
    return pictures


def _under(
    frame: Float[np.ndarray, "H W 3"], strength: Float[np.ndarray, "H W"]
) -> Float[np.ndarray, "H W 3"]:
    """Return the frame in grey under a colour for the strength of its changes."""
    colours = colormaps["inferno"](strength.clip(0, 1))[..., :3]
    grey = frame.mean(axis=2, keepdims=True)
    picture: Float[np.ndarray, "H W 3"] = (1 - _COVER) * grey + _COVER * colours
    return picture


def _strength(gradients: Float[Tensor, "P C H W"]) -> Float[np.ndarray, "P H W"]:
    """Return the length of the gradient at each place, 1 where few are longer."""
    length = gradients.float().norm(dim=1).cpu().numpy()
    strength: Float[np.ndarray, "P H W"] = length / max(float(np.quantile(length, 0.995)), 1e-6)
    return strength


def _enlarged(strength: Float[np.ndarray, "H W"], size: int) -> Float[np.ndarray, "h w"]:
    maps = torch.from_numpy(strength)[None, None]
    enlarged = F.interpolate(maps, size=(size, size), mode="bicubic")
    picture: Float[np.ndarray, "h w"] = enlarged[0, 0].numpy()
    return picture


def _pictures(snippets: UInt8[Tensor, "K C H W"]) -> Float[np.ndarray, "K H W 3"]:
    """Return the first frame of each snippet, from 0 to 1."""
    frames = snippets[:, :3].permute(0, 2, 3, 1).numpy()
    pictures: Float[np.ndarray, "K H W 3"] = frames.astype(np.float32) / np.float32(255)
    return pictures
