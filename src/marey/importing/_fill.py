"""Filling a network with the tensors of a file, every one of them accounted for."""

from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

from marey.errors import CheckpointError
from marey.models import Network, averaged_over_colours
from marey.nn import diagonal_kernels

from ._names import CLASSIFIER, COUNTER, FIRST, HEADS, SHARED_GRADIENT, TAPS, their_names

_SPATIAL = 32  # rows of a unit's reduction whose spatial gradient is taken; they come first
_OUR_FIRST = "backbone.conv1_7x7_s2.conv.weight"
_SHOWN = 5


class Filling:
    """The filling of a network.

    Args:
        path: The file, for messages.
        network: On BN-Inception.
        tensors: What the file holds, by plain names.
        theirs: The names in the file, by plain names.

    Attributes:
        taken: From each name in the file to ours.
        left_out: From each other name in the file to the reason.
        made: From each name of ours that is not in the file to what was put there.
    """

    def __init__(
        self,
        path: Path,
        network: Network,
        tensors: Mapping[str, Tensor],
        theirs: Mapping[str, str],
    ) -> None:
        self.taken: dict[str, str] = {}
        self.left_out: dict[str, str] = {}
        self.made: dict[str, str] = {}
        self._path = path
        self._network = network
        self._theirs = theirs
        self._rest = dict(tensors)
        self._wrong: dict[str, list[str]] = {"missing": [], "of another shape": []}

    def begin_with_imagenet(self) -> None:
        """Leave the classifier as it is, and let the first convolution see other than colours."""
        for kind in ("weight", "bias"):
            self._leave_out(f"{CLASSIFIER}.{kind}", "the classes of ImageNet are others")
            self.made[f"head.{kind}"] = "a new classifier, which is to be trained"
        rows, channels, *kernel = self._network.state_dict()[_OUR_FIRST].shape
        first = self._rest.get(FIRST)
        if first is not None and first.shape == (rows, 3, *kernel):
            self._rest[FIRST] = averaged_over_colours(first.float(), channels)

    def fill(self) -> None:
        """Copy the weights.

        Raises:
            CheckpointError: Something is missing, left over, of another shape or no number.
        """
        for plain in [name for name in self._rest if name.endswith(f".{COUNTER}")]:
            self._leave_out(plain, "counters of batches, which nothing reads")
        ours = self._network.state_dict()
        if any(".trained." in name for name in ours):
            self._share_gradient()
        elif self._network.keywords.get("gradient") == "diagonal":
            self._leave_out_fixed_gradient()
        has_head28 = any(name.startswith(f"{HEADS[28]}.") for name in self._rest)
        used: set[str] = set()
        for name, tensor in ours.items():
            if name in self.made or name.endswith(COUNTER):
                continue
            if ".level28.head." in name and not has_head28:
                self.made[name] = "zeros: the head that only training needs is not in the file"
                ours[name] = torch.zeros_like(tensor)
                continue
            pieces = self._pieces(name, tensor)
            used.update(plain for plain, _ in pieces)
            parts = [self._part(plain, shape) for plain, shape in pieces]
            found = [part for part in parts if part is not None]
            if len(found) == len(parts):
                ours[name] = torch.cat(found)
                self.taken |= {self._theirs.get(plain, plain): name for plain, _ in pieces}
        left = [self._with_shape(plain) for plain in self._rest if plain not in used]
        self._require_right({**self._wrong, "left over": left})
        self._network.load_state_dict(ours)

    def _pieces(self, name: str, tensor: Tensor) -> list[tuple[str, tuple[int, ...]]]:
        """Return the plain names of what makes up a tensor of ours, and the shape of each."""
        spatial = self._network.keywords.get("gradient", "none") != "none"
        names = their_names(name, spatial=spatial)
        rows, *shape = tensor.shape
        if len(names) == 1:
            return [(names[0], (rows, *shape))]
        return [(names[0], (_SPATIAL, *shape)), (names[1], (rows - _SPATIAL, *shape))]

    def _part(self, plain: str, shape: tuple[int, ...]) -> Tensor | None:
        """Return a tensor of the file; None if it does not fit, which is noted."""
        tensor = self._rest.get(plain)
        if tensor is None:
            self._wrong["missing"].append(f"{plain} {shape}")
            return None
        # Caffe once gave every blob four axes, and PyTorch had two for batch normalisation.
        if [n for n in tensor.shape if n != 1] != [n for n in shape if n != 1]:
            self._wrong["of another shape"].append(f"{self._with_shape(plain)}, not {shape}")
            return None
        full = tensor.detach().to(torch.float32).reshape(shape)
        if not full.isfinite().all():
            raise CheckpointError(
                f"{self._path} is damaged: {self._theirs.get(plain, plain)} holds values that are "
                "no numbers; copy it again from where it was"
            )
        return full

    def _share_gradient(self) -> None:
        """Give every OFF unit the spatial gradient that the file holds once."""
        shared = self._rest.pop(f"{SHARED_GRADIENT}.weight", None)
        if shared is None:
            return
        theirs = self._theirs[f"{SHARED_GRADIENT}.weight"]
        self.taken[theirs] = "branch.level*.units.*.trained.weight"
        for level, taps in TAPS.items():
            for position, tap in enumerate(taps):
                self._rest.setdefault(f"motion_spatial_grad_{tap}.weight", shared)
                bias = f"branch.level{level}.units.{position}.trained.bias"
                if f"motion_spatial_grad_{tap}.bias" not in self._rest:
                    self.made[bias] = "zeros: the fixed gradient has no bias"

    def _leave_out_fixed_gradient(self) -> None:
        """Leave out the fixed spatial gradient, if it is that of the network."""
        names = [
            SHARED_GRADIENT,
            *(f"motion_spatial_grad_{t}" for taps in TAPS.values() for t in taps),
        ]
        diagonal = diagonal_kernels(_SPATIAL)
        for name in names:
            for kind, fixed in (("weight", diagonal), ("bias", torch.zeros(_SPATIAL))):
                plain = f"{name}.{kind}"
                tensor = self._rest.get(plain)
                if tensor is None:
                    continue
                if tensor.numel() != fixed.numel() or not torch.equal(
                    tensor.float().reshape(fixed.shape), fixed
                ):
                    raise CheckpointError(
                        f"{self._path}: {self._theirs[plain]} is not the fixed gradient of "
                        f"{self._network.name}, [[0, 1, 0], [-1, 0, 1], [0, -1, 0]] without a "
                        "bias, so the network would answer otherwise"
                    )
                self._leave_out(plain, "the fixed spatial gradient, which the network has built in")

    def _leave_out(self, plain: str, why: str) -> None:
        if self._rest.pop(plain, None) is not None:
            self.left_out[self._theirs[plain]] = why

    def _with_shape(self, plain: str) -> str:
        return f"{self._theirs.get(plain, plain)} {tuple(self._rest[plain].shape)}"

    def _require_right(self, wrong: Mapping[str, list[str]]) -> None:
        """Raise one error for all that is wrong."""
        parts = []
        for what, names in wrong.items():
            if names:
                more = ["..."] if len(names) > _SHOWN else []
                parts.append(f"{len(names)} {what} ({', '.join([*names[:_SHOWN], *more])})")
        if parts:
            raise CheckpointError(
                f"{self._path} does not fit {self._network.name}; tensors are wrong: "
                f"{'; '.join(parts)}. If it is another network of marey, name it with --model"
            )
