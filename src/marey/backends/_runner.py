"""What all that runs a network has in common, whether it is PyTorch or another runtime.

Axes: N videos, K snippets of each, C channels, H rows, W columns.
"""

from abc import ABC, abstractmethod
from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor

from marey.data import Preprocessing
from marey.models import Modality

from ._facts import Facts


@runtime_checkable
class Runner(Protocol):
    """A network that answers. `TSN` and `OFF` in evaluation mode are runners, too."""

    @property
    def modality(self) -> Modality:
        """What the snippets hold."""
        ...

    @property
    def preprocessing(self) -> Preprocessing:
        """How the snippets are made from frames."""
        ...

    @property
    def sees_motion(self) -> bool:
        """Whether it compares snippets, and so needs at least two."""
        ...

    @property
    def device(self) -> torch.device:
        """Where clips are best made."""
        ...

    def __call__(
        self, clips: Float[Tensor, "N K C H W"], /
    ) -> dict[str, Float[Tensor, "N _ classes"]]:
        """Return raw logits: of the K snippets (`tsn`), of the K - 1 pairs (`off7`, `off14`)."""
        ...


class ExportedRunner(ABC):
    """A network outside of PyTorch, which came with the facts that it needs; on the CPU.

    Attributes:
        facts: What it is.
        device: Where clips are best made.
    """

    device = torch.device("cpu")

    def __init__(self, facts: Facts) -> None:
        self.facts = facts

    @property
    def modality(self) -> Modality:
        """What the snippets hold."""
        return self.facts.modality

    @property
    def preprocessing(self) -> Preprocessing:
        """How the snippets are made from frames."""
        return self.facts.preprocessing

    @property
    def sees_motion(self) -> bool:
        """Whether it compares snippets, and so needs at least two."""
        return self.facts.sees_motion

    @abstractmethod
    def __call__(
        self, clips: Float[Tensor, "N K C H W"], /
    ) -> dict[str, Float[Tensor, "N _ classes"]]:
        """Return raw logits: of the K snippets (`tsn`), of the K - 1 pairs (`off7`, `off14`)."""
