"""From a file of weights to a network of ours."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from marey.errors import CheckpointError, UsageError
from marey.index import nearest
from marey.models import BACKBONE_CHANNELS, Modality, Network, SpatialGradient, build_model

from ._file import Weights, read_weights
from ._fill import Filling
from ._names import CLASSIFIER, FIRST, HEADS, plain_name
from ._report import Report
from ._source import IMAGENET_CLASSES, Source, recognise

NETWORKS = ("off_bn_inception", "tsn_bn_inception", "off_bn_inception_port")


class Imported(NamedTuple):
    """A network from the file of others.

    Attributes:
        network: In evaluation mode, with its classes and its preprocessing.
        report: What went where.
        sha256: Of the file.
    """

    network: Network
    report: Report
    sha256: str


def import_weights(
    path: Path, *, modality: Modality, classes: Sequence[str], model: str | None = None
) -> Imported:
    """Return the network of a `.caffemodel`, or of a state dict of PyTorch.

    Args:
        path: The file; see `read_weights`.
        modality: What the network looks at.
        classes: What it tells apart, in the order of its answers.
        model: Name of the network; without it, what the names in the file tell.

    Raises:
        UsageError: The file is not there, or is of another modality or other classes.
        RefusedError: The file could run code.
        CheckpointError: It is damaged, or a tensor is missing, left over or of another shape.
    """
    if model is not None and model not in NETWORKS:
        raise UsageError(
            f"weights are imported into one of {', '.join(NETWORKS)}, got {model!r}"
            + nearest(model, NETWORKS)
        )
    weights = read_weights(path)
    theirs = _by_plain_name(path, weights)
    tensors = {plain: weights.tensors[name] for plain, name in theirs.items()}
    source = recognise(weights, tensors)
    begins = source.is_imagenet and len(classes) != IMAGENET_CLASSES
    _require_modality(path, tensors, modality, begins=begins)
    if not begins:
        _require_classes(path, tensors, classes)
    network = _blank(model or source.network, modality, len(classes), tensors)
    filling = Filling(path, network, tensors, theirs)
    if begins:
        filling.begin_with_imagenet()
    filling.fill()
    network.classes = tuple(classes)
    report = Report(
        source=source.title,
        network=network.name,
        modality=modality,
        classes=len(classes),
        taken=filling.taken,
        left_out=filling.left_out,
        made=filling.made,
        remarks=_set_preprocessing(network, source, begins=begins),
    )
    return Imported(network.eval(), report, weights.sha256)


def _by_plain_name(path: Path, weights: Weights) -> dict[str, str]:
    """Return the names in the file by the plain ones."""
    names: dict[str, str] = {}
    for theirs in weights.tensors:
        plain = plain_name(theirs)
        if plain in names:
            raise CheckpointError(
                f"{path} has two tensors for the same part of a network: {names[plain]} and "
                f"{theirs}; it seems to hold two networks"
            )
        names[plain] = theirs
    return names


def _require_modality(
    path: Path, tensors: Mapping[str, Tensor], modality: Modality, *, begins: bool
) -> None:
    """Refuse weights whose first convolution reads other channels than snippets have."""
    first = tensors.get(FIRST)
    if first is None or first.ndim != 4 or (begins and first.shape[1] == 3):
        return
    channels, expected = first.shape[1], BACKBONE_CHANNELS.get(modality)
    if expected is not None and channels != expected:
        others = [name for name, count in BACKBONE_CHANNELS.items() if count == channels]
        raise UsageError(
            f"the first convolution of {path} reads {channels} channels, but {modality} has "
            f"{expected}; "
            + (f"give --modality {others[0]}" if others else "no modality has as many")
        )


def _require_classes(path: Path, tensors: Mapping[str, Tensor], classes: Sequence[str]) -> None:
    """Refuse weights that tell other classes apart."""
    for head in (CLASSIFIER, *HEADS.values()):
        weight = tensors.get(f"{head}.weight")
        if weight is None or weight.ndim < 2:
            continue
        if weight.shape[-2] != len(classes):
            raise UsageError(
                f"the network of {path} tells {weight.shape[-2]} classes apart, but {len(classes)} "
                "are named; give the list that it was trained with"
            )


def _blank(name: str, modality: Modality, classes: int, tensors: Mapping[str, Tensor]) -> Network:
    """Return a network whose own weights are always the same."""
    gradient: SpatialGradient | None = None
    if name == "off_bn_inception":
        spatial = any(plain.startswith("motion_spatial_down_") for plain in tensors)
        gradient = "diagonal" if spatial else "none"
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return build_model(name, num_classes=classes, modality=modality, gradient=gradient)


def _set_preprocessing(network: Network, source: Source, *, begins: bool) -> tuple[str, ...]:
    """Let a network see frames as it was trained to; return what is to be said about that."""
    if network.modality == "flow":
        if begins:
            return ()
        network.preprocessing = replace(network.preprocessing, flow="tvl1")
        return ("the flow is taken to be by TV-L1, as that of all published networks of this kind",)
    network.preprocessing = replace(network.preprocessing, mean=source.mean)
    # In differences of frames the mean cancels.
    return (source.remark,) if source.remark and network.modality == "rgb" else ()
