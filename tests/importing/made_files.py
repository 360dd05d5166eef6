"""Files as others write them, by their formats' own rules and none of marey's code."""

import io
import struct
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

KINDS = ("weight", "bias", "running_mean", "running_var")
HEADS = {
    "last_linear": "fc-action",
    "fc_action_motion": "fc-action-motion",
    "fc_action_motion_14": "fc-action-motion_14",
    "fc_action_motion_28": "fc-action-motion_28",
}
DIAGONAL = torch.tensor([[0.0, 1.0, 0.0], [-1.0, 0.0, 1.0], [0.0, -1.0, 0.0]])


def varint(number: int) -> bytes:
    more = []
    while number > 127:
        more.append(number & 127 | 128)
        number >>= 7
    return bytes([*more, number])


def number(field: int, value: int) -> bytes:
    return varint(field << 3) + varint(value)


def part(field: int, content: bytes) -> bytes:
    return varint(field << 3 | 2) + varint(len(content)) + content


def shape_of(shape: Sequence[int]) -> bytes:
    return part(7, part(1, b"".join(map(varint, shape))))


def old_shape_of(shape: Sequence[int]) -> bytes:
    four = [1] * (4 - len(shape)) + list(shape)
    return b"".join(number(field, size) for field, size in enumerate(four, start=1))


def floats(values: np.ndarray) -> bytes:
    return part(5, values.astype("<f4").tobytes())


def floats_one_by_one(values: np.ndarray) -> bytes:
    return b"".join(varint(5 << 3 | 5) + struct.pack("<f", value) for value in values.flat)


def doubles(values: np.ndarray) -> bytes:
    return part(8, values.astype("<f8").tobytes())


def layer(name: str, blobs: Sequence[Tensor], shape: Any = shape_of, data: Any = floats) -> bytes:
    parts = [part(7, shape(blob.shape) + data(blob.numpy())) for blob in blobs]
    return part(100, part(1, name.encode()) + part(2, b"Convolution") + b"".join(parts))


def layer_v1(
    name: str, blobs: Sequence[Tensor], shape: Any = shape_of, data: Any = floats
) -> bytes:
    parts = [part(6, shape(blob.shape) + data(blob.numpy())) for blob in blobs]
    return part(2, part(2, b"data") + part(4, name.encode()) + number(5, 4) + b"".join(parts))


def net(*layers: bytes) -> bytes:
    return part(1, b"BN-Inception") + b"".join(layers)


def caffe_name(name: str) -> str:
    """Return what Caffe calls a layer that PyTorch calls `name`."""
    head, _, rest = name.partition("_")
    if head == "inception":
        block, _, rest = rest.partition("_")
        return f"inception_{block}/{rest}"
    return f"{head}/{rest}" if head in ("conv1", "conv2") else HEADS.get(name, name)


def caffemodel(weights: Mapping[str, Tensor], *, make: Any = layer, **how: Any) -> bytes:
    """Return the `.caffemodel` of a state dict, with the fixed gradient kernels."""
    layers: dict[str, dict[str, Tensor]] = {}
    for name, tensor in weights.items():
        at, _, kind = name.rpartition(".")
        layers.setdefault(at, {})[kind] = tensor
    made = [make("data", [])]
    for at, tensors in layers.items():
        blobs = [tensors[kind] for kind in KINDS if kind in tensors]
        if len(blobs) == 4:
            blobs = [blob[None] for blob in blobs]
        made.append(make(caffe_name(at), blobs, **how))
        if at.startswith("motion_spatial_down_"):
            kernel = [DIAGONAL.expand(32, 1, 3, 3), torch.zeros(32)]
            made += [make(at.replace("down", "grad"), kernel, **how), make("dropout", [])]
    return net(*made)


def pth(path: Path, contents: Any, *, archive: bool = True) -> Path:
    torch.save(contents, path, _use_new_zipfile_serialization=archive)
    return path


def swollen_zip() -> bytes:
    """Return a small archive that unpacks to much."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("archive/data.pkl", b"\x80\x02}." + bytes(10_000_000))
    return file.getvalue()
