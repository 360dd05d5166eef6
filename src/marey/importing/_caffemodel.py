"""Weights from a `.caffemodel`: a protobuf message with the layers of a network.

Field numbers are those of https://github.com/BVLC/caffe/blob/master/src/caffe/proto/caffe.proto.
Layers and their blobs are declared as bytes, and each is parsed by itself, so that a message of
a million empty ones claims no memory.
"""

import math
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from google.protobuf.descriptor_pb2 import FieldDescriptorProto, FileDescriptorProto
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message import DecodeError
from google.protobuf.message_factory import GetMessageClass
from torch import Tensor

from marey.errors import CheckpointError

_BYTES = FieldDescriptorProto.TYPE_BYTES
_INT32 = FieldDescriptorProto.TYPE_INT32
_INT64 = FieldDescriptorProto.TYPE_INT64
_FLOAT = FieldDescriptorProto.TYPE_FLOAT
_DOUBLE = FieldDescriptorProto.TYPE_DOUBLE

# Of each message the fields that are read: name, number, type, and whether it is a list.
_FIELDS = {
    "Net": [("layers", 2, _BYTES, True), ("layer", 100, _BYTES, True)],
    "Layer": [("name", 1, _BYTES, False), ("blobs", 7, _BYTES, True)],
    "LayerV1": [("name", 4, _BYTES, False), ("blobs", 6, _BYTES, True)],
    "Blob": [
        ("num", 1, _INT32, False),
        ("channels", 2, _INT32, False),
        ("height", 3, _INT32, False),
        ("width", 4, _INT32, False),
        ("data", 5, _FLOAT, True),
        ("shape", 7, _BYTES, False),
        ("double_data", 8, _DOUBLE, True),
    ],
    "Shape": [("dim", 1, _INT64, True)],
}
_AXES = 32  # the most that Caffe knows
_KINDS = {
    1: ("weight",),
    2: ("weight", "bias"),
    4: ("weight", "bias", "running_mean", "running_var"),  # BN of the fork that trained TSN
}
"""What the blobs of a layer are, by their number."""


def read_caffemodel(path: Path, data: bytes) -> dict[str, Tensor]:
    """Return the blobs of all layers, by names like `conv1/7x7_s2.weight`.

    The four of a BN layer are called `weight`, `bias`, `running_mean` and `running_var`.

    Raises:
        CheckpointError: The bytes are no such message, or contradict themselves.
    """
    found: dict[str, list[Tensor]] = {}
    try:
        for layer in _layers(data):
            # The same name may appear in several phases; what has weights has them once.
            name = layer.name.decode("utf-8", errors="backslashreplace")
            if not layer.blobs:
                continue
            blobs = [_tensor(name, _parsed("Blob", blob)) for blob in layer.blobs]
            if name in found and not _same(found[name], blobs):
                raise CheckpointError(f"two layers are called {name!r}, with different weights")
            found[name] = blobs
    except (DecodeError, CheckpointError) as error:
        raise CheckpointError(
            f"{path} is no file of weights that marey knows, or it is damaged: {error}; known are "
            "Caffe's .caffemodel, PyTorch's .pth, .pth.tar and .pt, and .safetensors"
        ) from error
    if not found:
        raise CheckpointError(
            f"{path} has no layer with weights; give a .caffemodel, .pth, .pth.tar, .pt or "
            ".safetensors file of a trained network"
        )
    return {
        f"{name}.{kind}": blob
        for name, blobs in found.items()
        for kind, blob in zip(_kinds(len(blobs)), blobs, strict=True)
    }


def _kinds(count: int) -> Sequence[str]:
    return _KINDS.get(count) or [f"blob{number}" for number in range(count)]


def _same(blobs: Sequence[Tensor], others: Sequence[Tensor]) -> bool:
    return len(blobs) == len(others) and all(map(torch.equal, blobs, others))


def _layers(data: bytes) -> Iterator[Any]:
    """Yield the layers, those of the old kind first."""
    net = _parsed("Net", data)
    for layer in net.layers:
        yield _parsed("LayerV1", layer)
    for layer in net.layer:
        yield _parsed("Layer", layer)


def _tensor(layer: str, blob: Any) -> Tensor:
    """Return the values of a blob in their shape."""
    if blob.shape:
        dims = _parsed("Shape", blob.shape).dim
        shape = tuple(dims[:_AXES])
        if len(dims) > _AXES:
            raise CheckpointError(f"a blob of layer {layer!r} has {len(dims)} axes")
    else:
        shape = (blob.num, blob.channels, blob.height, blob.width)
    if blob.data and blob.double_data:
        raise CheckpointError(f"a blob of layer {layer!r} has its values twice")
    count = len(blob.data) or len(blob.double_data)
    if min(shape, default=0) < 1 or math.prod(shape) != count:
        raise CheckpointError(
            f"a blob of layer {layer!r} has {count} values, but says that its shape is {shape}"
        )
    if blob.data:
        return torch.from_numpy(np.array(blob.data, dtype=np.float32)).reshape(shape)
    return torch.from_numpy(np.array(blob.double_data, dtype=np.float64)).reshape(shape)


def _parsed(message: str, data: bytes) -> Any:
    return _messages()[message].FromString(data)


@cache
def _messages() -> dict[str, Any]:
    """Return the classes of the messages."""
    file = FileDescriptorProto(name="marey_caffe.proto", package="marey", syntax="proto2")
    for message, fields in _FIELDS.items():
        declared = file.message_type.add(name=message)
        for name, number, kind, is_list in fields:
            label = (
                FieldDescriptorProto.LABEL_REPEATED
                if is_list
                else FieldDescriptorProto.LABEL_OPTIONAL
            )
            declared.field.add(name=name, number=number, type=kind, label=label)
    pool = DescriptorPool()
    pool.Add(file)
    return {name: GetMessageClass(pool.FindMessageTypeByName(f"marey.{name}")) for name in _FIELDS}
