"""Networks in files that describe themselves."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from marey.data import preprocessing_of
from marey.errors import CheckpointError, UsageError

from ._by_name import build_model
from ._off import OFF
from ._tensors import load_tensors_and_hash, save_tensors
from ._tsn import TSN
from ._zoo import channels_last

_KINDS = {
    "model": str,
    "keywords": dict,
    "classes": list,
    "preprocessing": dict,
    "fusion": dict,
    "recipe": dict,
}


def save_checkpoint(
    model: TSN | OFF,
    path: Path | str,
    *,
    classes: Sequence[str],
    recipe: Mapping[str, Any] | None = None,
    fusion: Mapping[str, float] | None = None,
    half: bool = False,
) -> str:
    """Write a network with all that is needed to use it; return the SHA-256 of its weights.

    Args:
        model: A network that a function of `marey.models` built.
        path: The `.safetensors` file to write.
        classes: Names of the classes, in the order of the logits.
        recipe: Settings that the network was trained with.
        fusion: Weight of each head in the final scores.
        half: Store matrices and kernels with 16 bits a number; they load with 32.
    """
    if not model.name:
        raise UsageError("only a network from build_model can be saved, and this has no name")
    num_classes = model.keywords["num_classes"]
    if len(classes) != num_classes or len(set(classes)) != num_classes:
        raise UsageError(
            f"the network tells {num_classes} classes apart, got {len(set(classes))} different "
            f"names among {len(classes)}"
        )
    weights = model.state_dict()
    if weights.keys() != _blank(model.name, model.keywords).state_dict().keys():
        raise UsageError(
            "a network from for_inference has lost its batch normalization and cannot be saved; "
            "save the one that it was made from"
        )
    if half:
        weights = {name: _halved(name, tensor) for name, tensor in weights.items()}
    metadata = {
        "model": model.name,
        "keywords": model.keywords,
        "modality": model.modality,
        "classes": list(classes),
        "preprocessing": asdict(model.preprocessing),
        "fusion": dict(fusion or {}),
        "recipe": dict(recipe or {}),
        "marey": version("marey"),
    }
    return save_tensors(Path(path), weights, metadata)


def load_model(path: Path | str) -> TSN | OFF:
    """Return the network of a checkpoint, in evaluation mode.

    Its `classes`, `fusion` and `recipe` are those given to `save_checkpoint`.

    Raises:
        UsageError: There is no such file.
        RefusedError: The file could run code; it was not opened.
        CheckpointError: The file is no checkpoint, is damaged or does not fit its network.
    """
    path = Path(path)
    weights, metadata, sha256 = load_tensors_and_hash(path)
    try:
        _require_kinds(metadata)
        preprocessing = preprocessing_of(metadata["preprocessing"])
        model = _blank(metadata["model"], metadata["keywords"])
        model.load_state_dict({name: _full(weights[name]) for name in weights}, assign=True)
        model.preprocessing = preprocessing
        model.classes = tuple(metadata["classes"])
        model.fusion = metadata["fusion"]
        model.recipe = metadata["recipe"]
        model.sha256 = sha256
    except (KeyError, TypeError, ValueError, RuntimeError) as error:
        raise CheckpointError(
            f"{path} does not fit the network that it names, perhaps because another version of "
            f"marey wrote it: {error}"
        ) from error
    return channels_last(model).eval()


def _require_kinds(metadata: Mapping[str, Any]) -> None:
    """Raise TypeError or KeyError if a file says something else than `save_checkpoint` does."""
    for name, kind in _KINDS.items():
        if not isinstance(metadata[name], kind):
            raise TypeError(f"its {name} is {metadata[name]!r:.50}")
    classes, fusion = metadata["classes"], metadata["fusion"]
    if not all(isinstance(name, str) for name in classes):
        raise TypeError("a class without a name")
    if not all(isinstance(weight, int | float) for weight in fusion.values()):
        raise TypeError(f"its fusion is {fusion!r:.50}")
    # Before a network is made that may be larger than any memory.
    if metadata["keywords"]["num_classes"] != len(classes):
        raise TypeError(f"{len(classes)} names of classes for another number of them")


def _blank(name: str, keywords: Mapping[str, Any]) -> TSN | OFF:
    """Return a network of random weights, to be replaced, drawing nothing from the global seed."""
    with torch.random.fork_rng(devices=[]):
        return build_model(name, **keywords)


def _halved(name: str, tensor: Tensor) -> Tensor:
    """Return a matrix or kernel with 16 bits a number, anything else as it is.

    Statistics and biases stay: they are few, and a variance can be too large for 16 bits.
    """
    if tensor.ndim < 2:
        return tensor
    half = tensor.half()
    if not half.isfinite().all():
        raise UsageError(f"weight {name} does not fit into 16 bits; save without half")
    return half


def _full(tensor: Tensor) -> Tensor:
    """Return the tensor with 32 bits a number, if it was halved."""
    return tensor.float() if tensor.dtype == torch.float16 else tensor
