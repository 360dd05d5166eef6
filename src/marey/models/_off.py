"""Networks with optical-flow guided features: a TSN and a branch that sees motion.

https://arxiv.org/abs/1711.11152

Axes: N videos, K snippets of each, C channels, H rows, W columns.
"""

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from marey.data import Preprocessing
from marey.errors import MareyError
from marey.nn import Gradients, Maps, OFFBranch, PooledBranch, SplitBranch

from ._tsn import TSN, Modality


class OFF(nn.Module):
    """Classify the snippets of a video, and the motion from each to the next.

    Args:
        tsn: Classifies the snippets; its backbone's maps are what the branch reads.
        branch: Classifies the motion.

    Attributes:
        name: Name of the function in `marey.models` that built the network; empty if none did.
        keywords: Arguments of that function.
        classes: Names of the classes; empty if unknown.
        fusion: Weight of each head in the final scores; empty if unknown.
        recipe: Settings that the network was trained with; empty if unknown.
        sha256: Hash of the weights in the checkpoint that the network came from; empty if none.
    """

    def __init__(self, tsn: TSN, branch: OFFBranch | SplitBranch | PooledBranch) -> None:
        super().__init__()
        self.tsn = tsn
        self.branch = branch
        self.name = ""
        self.keywords: dict[str, Any] = {}
        self.classes: tuple[str, ...] = ()
        self.fusion: dict[str, float] = {}
        self.recipe: dict[str, Any] = {}
        self.sha256 = ""
        self._tsn_is_frozen = False

    @property
    def modality(self) -> Modality:
        """What the snippets hold."""
        return self.tsn.modality

    @property
    def preprocessing(self) -> Preprocessing:
        """How the snippets were made from frames."""
        return self.tsn.preprocessing

    @preprocessing.setter
    def preprocessing(self, value: Preprocessing) -> None:
        self.tsn.preprocessing = value

    @property
    def sees_motion(self) -> bool:
        """Whether snippets are compared: yes, each with the next."""
        return True

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return self.tsn.device

    def forward(self, clips: Float[Tensor, "N K C H W"]) -> dict[str, Float[Tensor, "N _ classes"]]:
        """Return the logits of every snippet and of every pair of neighbours.

        Heads are `tsn` (of the K snippets), and those of the branch (of the K - 1 pairs): `off7`,
        and `off14` and in training `off28` of a branch with three levels.
        """
        snippets = clips.shape[1]
        _check_pairs(snippets)
        return self.heads(self._read(clips), snippets=snippets)

    @torch.no_grad()
    def maps(self, clips: Float[Tensor, "N K C H W"]) -> Maps:
        """Return the backbone's maps of the snippets of all videos, video by video.

        Nothing is learnt through them: `heads` of these maps trains the branch alone.
        """
        return self._read(clips)

    def heads(self, maps: Maps, *, snippets: int) -> dict[str, Float[Tensor, "N _ classes"]]:
        """Return the logits that follow from the backbone's maps, head by head.

        Args:
            maps: What `maps` returned.
            snippets: Snippets of each video.
        """
        _check_pairs(snippets)
        motion: dict[str, Tensor] = self.branch(maps.levels, snippets=snippets)
        return self.tsn.heads(maps, snippets=snippets) | motion

    @torch.no_grad()
    def gradients(self, clips: Float[Tensor, "N K C H W"]) -> dict[int, Gradients]:
        """Return what the OFF units of levels 28, 14 and 7 see, to be drawn."""
        snippets = clips.shape[1]
        _check_pairs(snippets)
        return self.branch.gradients(self._read(clips).levels, snippets=snippets)

    def _read(self, clips: Float[Tensor, "N K C H W"]) -> Maps:
        """Return the backbone's maps; a branch that pools reads its last one as level 7."""
        maps = self.tsn.maps(clips)
        if not isinstance(self.branch, PooledBranch):
            return maps
        return Maps(levels=maps.levels | {7: [maps.features]}, features=maps.features)

    def freeze_backbone(self) -> None:
        """Exclude the TSN, its classifier too, from training from now on."""
        self.tsn.requires_grad_(False).eval()
        self._tsn_is_frozen = True

    def train(self, mode: bool = True) -> "OFF":
        """Switch all that is not frozen to training, or everything to evaluation."""
        super().train(mode)
        if self._tsn_is_frozen:
            self.tsn.eval()
        return self


Network = TSN | OFF


def _check_pairs(snippets: int) -> None:
    if snippets < 2:
        raise MareyError(
            f"motion needs at least 2 snippets of each video, got {snippets}; sample more, or "
            "use a TSN network"
        )
