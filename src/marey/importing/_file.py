"""A file of weights, whatever its format."""

import hashlib
import json
from pathlib import Path
from typing import Literal, NamedTuple

import safetensors.torch
from safetensors import SafetensorError
from torch import Tensor

from marey.errors import CheckpointError, UsageError
from marey.models import is_safetensors, may_hold_code

from ._caffemodel import read_caffemodel
from ._pickled import read_pickled


class Weights(NamedTuple):
    """What a file holds.

    Attributes:
        made_by: What wrote it.
        tensors: By the names in the file.
        sha256: Of all its bytes.
    """

    made_by: Literal["caffe", "pytorch"]
    tensors: dict[str, Tensor]
    sha256: str


def read_weights(path: Path) -> Weights:
    """Return the weights of a file; what kind of file it is, its content says, not its name.

    Raises:
        UsageError: There is no such file, or it needs no import.
        RefusedError: It could run code, and none of it was run.
        CheckpointError: It is of no known kind, or damaged.
    """
    if not path.is_file():
        raise UsageError(f"there is no file of weights {path}; is the path right?")
    data = path.read_bytes()
    sha256 = hashlib.sha256(data).hexdigest()
    if is_safetensors(data):
        return Weights("pytorch", _safetensors(path, data), sha256)
    if may_hold_code(data):
        del data
        return Weights("pytorch", read_pickled(path), sha256)
    return Weights("caffe", read_caffemodel(path, data), sha256)


def _safetensors(path: Path, data: bytes) -> dict[str, Tensor]:
    try:
        tensors = safetensors.torch.load(data)
        end = 8 + int.from_bytes(data[:8], "little")
        metadata = json.loads(data[8:end]).get("__metadata__", {})
    except (SafetensorError, ValueError, KeyError, TypeError) as error:
        raise CheckpointError(
            f"{path} is damaged: {error}; copy it again from where it was"
        ) from error
    if "marey" in metadata:
        raise UsageError(
            f"{path} is a checkpoint of marey already and needs no import; give it to "
            "`marey predict --model`, `marey test` or `marey train --init`"
        )
    return tensors
