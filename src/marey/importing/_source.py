"""Where a file of weights comes from, and so how its network wants its frames."""

from collections.abc import Mapping
from typing import NamedTuple

from torch import Tensor

from ._file import Weights
from ._names import CLASSIFIER, SHARED_GRADIENT

CAFFE_MEAN = (104.0, 117.0, 123.0)
SLIP_MEAN = (104.0, 117.0, 128.0)
IMAGENET_CLASSES = 1000


class Source(NamedTuple):
    """Who trained a network.

    Attributes:
        title: For people.
        network: Name of the network in `marey.models` that answers alike.
        mean: Subtracted from blue, green and red, 0 to 255.
        remark: Why that mean; empty if it is as published.
        is_imagenet: Whether the classifier is that of ImageNet, so that this is a beginning.
    """

    title: str
    network: str
    mean: tuple[float, float, float] = CAFFE_MEAN
    remark: str = ""
    is_imagenet: bool = False


def recognise(weights: Weights, tensors: Mapping[str, Tensor]) -> Source:
    """Return where weights come from, as their names tell.

    Args:
        weights: What the file holds.
        tensors: The same by plain names.
    """
    layers = {name.rpartition(".")[0] for name in tensors}
    has_motion = any(layer.startswith("motion_") for layer in layers)
    trained = any(layer.startswith("motion_spatial_grad_") for layer in layers)
    classifier = tensors.get(f"{CLASSIFIER}.bias")
    is_imagenet = (
        not has_motion and classifier is not None and classifier.numel() == IMAGENET_CLASSES
    )
    if weights.made_by == "caffe":
        if has_motion:
            return Source("OFF of Caffe", "off_bn_inception")
        title = "BN-Inception of Caffe" if is_imagenet else "TSN of Caffe"
        return Source(title, "tsn_bn_inception", is_imagenet=is_imagenet)
    if has_motion and (trained or SHARED_GRADIENT in layers):
        return Source(
            "OFF of the PyTorch port",
            "off_bn_inception_port",
            remark="the port was trained on frames without the mean subtracted, but tested with "
            "104, 117, 123, which is what is set",
        )
    if has_motion:
        return Source(
            "OFF in PyTorch with the fixed gradient",
            "off_bn_inception",
            remark="nothing in the file tells its mean; that of the original is set",
        )
    if any(_is_of_tsn(name) for name in weights.tensors):
        return Source(
            "TSN of tsn-pytorch",
            "tsn_bn_inception",
            SLIP_MEAN,
            "tsn-pytorch subtracts 104, 117, 128 from blue, green and red, where Caffe has 123 for "
            "red; so does this network, because it was trained so",
        )
    return Source(
        "BN-Inception in PyTorch",
        "tsn_bn_inception",
        SLIP_MEAN,
        "those who published BN-Inception in PyTorch subtract 104, 117, 128 from blue, green and "
        "red, where Caffe has 123 for red; so does this network",
        is_imagenet,
    )


def _is_of_tsn(name: str) -> bool:
    return any(part in f".{name}" for part in (".base_model.", ".new_fc."))
