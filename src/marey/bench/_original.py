"""The same way as the originals go it: Temporal Segment Networks, and OFF on top of them.

https://github.com/yjxiong/temporal-segment-networks,
https://github.com/kevin-ssy/Optical-Flow-Guided-Feature. Written from what these do: a folder
holds each frame as a JPEG of 340 x 256, Pillow reads, crops and mirrors one frame at a time,
and a network that keeps batch normalization apart and maps channel by channel sees one crop of
all frames at once.

Axes: V views, K snippets, which are frames here, C channels, S rows and columns of a crop,
Y classes.
"""

import copy
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, UInt8
from PIL import Image
from torch import Tensor

from marey.data import Box, Preprocessing, centre_box, five_boxes
from marey.models import OFF, Network

STORED = (340, 256)  # Columns and rows, whatever the shape of the video.
_QUALITY = 95


def store_frames(frames: UInt8[np.ndarray, "K H W 3"], folder: Path) -> list[Path]:
    """Write frames as the originals keep them and return the files, which is never timed."""
    paths = []
    for number, frame in enumerate(frames, start=1):
        paths.append(folder / f"img_{number:05d}.jpg")
        image = Image.fromarray(frame).resize(STORED, Image.Resampling.BILINEAR)
        image.save(paths[-1], quality=_QUALITY)
    return paths


def read_images(paths: Sequence[Path]) -> list[Image.Image]:
    """Return the frames in some files, decoded."""
    images = []
    for path in paths:
        with Image.open(path) as image:
            images.append(image.convert("RGB"))
    return images


def views_of_images(
    images: Sequence[Image.Image], preprocessing: Preprocessing, *, crops: int
) -> Float[Tensor, "V K C S S"]:
    """Return the centre of frames, or ten crops of them, as a network wants them.

    The ten come in this package's order, plain ones first.
    """
    size = preprocessing.size
    scaled = [_scaled(image, preprocessing.short_side) for image in images]
    width, height = scaled[0].size
    if crops == 10:
        boxes = five_boxes(height, width, size=size)
        plain = [[_cut(image, box) for image in scaled] for box in boxes]
        turned = [[_turned(crop) for crop in view] for view in plain]
        views = plain + turned
    else:
        box = centre_box(height, width, size=size)
        views = [[_cut(image, box) for image in scaled]]
    return torch.stack(
        [torch.stack([_tensor(crop, preprocessing) for crop in view]) for view in views]
    )


def as_original(network: Network) -> Network:
    """Return a copy for evaluation, its batch normalization apart, channel by channel."""
    contiguous = copy.deepcopy(network).eval()
    contiguous.to(memory_format=torch.contiguous_format)  # type: ignore[call-overload]
    return contiguous


@torch.inference_mode()
def original_heads(
    network: Network, snippets: Float[Tensor, "K C S S"]
) -> dict[str, Float[Tensor, "_ Y"]]:
    """Return the logits of the snippets of one view and of their pairs.

    The network's own forward would lay the snippets out pixel by pixel, so its parts are called.
    """
    tsn = network.tsn if isinstance(network, OFF) else network
    heads = network.heads(tsn.backbone(snippets), snippets=len(snippets))
    return {head: logits[0] for head, logits in heads.items()}


def original_answers(
    network: Network, views: Float[Tensor, "V K C S S"]
) -> dict[str, Float[Tensor, " Y"]]:
    """Return one row of logits per head: one view at a time, the highest, and its mean."""
    seen = [original_heads(network, view) for view in views]
    return {
        head: torch.stack([heads[head] for heads in seen]).amax(dim=0).mean(dim=0)
        for head in seen[0]
    }


def live_images(paths: Sequence[Path]) -> Iterator[Image.Image]:
    """Yield the frames in some files one after the other, over and over again."""
    while True:
        for path in paths:
            yield from read_images([path])


def _scaled(image: Image.Image, side: int) -> Image.Image:
    """Scale a frame to this short side; that is nothing to do for 256 pixels, as stored."""
    width, height = image.size
    scale = side / min(width, height)
    size = (max(round(width * scale), side), max(round(height * scale), side))
    return image if size == image.size else image.resize(size, Image.Resampling.BILINEAR)


def _cut(image: Image.Image, box: Box) -> Image.Image:
    return image.crop((box.left, box.top, box.left + box.width, box.top + box.height))


def _turned(image: Image.Image) -> Image.Image:
    return image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)


def _tensor(image: Image.Image, preprocessing: Preprocessing) -> Float[Tensor, "C S S"]:
    """Return a crop as floats around zero, its colours in the network's order."""
    pixels = np.asarray(image)
    if preprocessing.colour == "bgr":
        pixels = pixels[..., ::-1]
    planes = torch.from_numpy(pixels.transpose(2, 0, 1).copy()).float()
    mean, std = (
        torch.tensor(values).view(-1, 1, 1) for values in (preprocessing.mean, preprocessing.std)
    )
    return planes.sub_(mean).div_(std)
