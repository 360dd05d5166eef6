"""Temporal segment networks: one classifier over the snippets of a video.

https://arxiv.org/abs/1608.00859

Axes: N videos, K snippets of each, C channels, H rows, W columns.
"""

from typing import Any, Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from marey.data import Preprocessing
from marey.errors import MareyError, UsageError
from marey.nn import Backbone, Maps

Modality = Literal["rgb", "flow", "rgbdiff"]

# Of one snippet, as it comes: a frame, five fields of flow along x and y, six frames.
SNIPPET_CHANNELS: dict[str, int] = {"rgb": 3, "flow": 10, "rgbdiff": 18}
# Of one snippet, as the first convolution sees it: six frames have become five differences.
BACKBONE_CHANNELS: dict[str, int] = {"rgb": 3, "flow": 10, "rgbdiff": 15}


class TSN(nn.Module):
    """Classify every snippet of a video by itself.

    Args:
        backbone: Takes as many channels as `BACKBONE_CHANNELS` has for the modality.
        num_classes: Classes to tell apart.
        modality: What the snippets hold.
        preprocessing: How the snippets were made from frames.
        dropout: Share of the averaged features hidden from the classifier in training.

    Attributes:
        name: Name of the function in `marey.models` that built the network; empty if none did.
        keywords: Arguments of that function.
        classes: Names of the classes; empty if unknown.
        fusion: Weight of each head in the final scores; empty if unknown.
        recipe: Settings that the network was trained with; empty if unknown.
        sha256: Hash of the weights in the checkpoint that the network came from; empty if none.
    """

    def __init__(
        self,
        backbone: Backbone,
        *,
        num_classes: int,
        modality: Modality,
        preprocessing: Preprocessing,
        dropout: float = 0.8,
    ) -> None:
        super().__init__()
        self.backbone = backbone
        self.head = nn.Linear(backbone.feature_channels, num_classes)
        self.modality: Modality = modality
        self.preprocessing = preprocessing
        self.dropout = dropout
        self.name = ""
        self.keywords: dict[str, Any] = {}
        self.classes: tuple[str, ...] = ()
        self.fusion: dict[str, float] = {}
        self.recipe: dict[str, Any] = {}
        self.sha256 = ""
        self._always_in_eval: list[nn.Module] = []
        nn.init.normal_(self.head.weight, std=0.001)
        nn.init.zeros_(self.head.bias)

    @property
    def sees_motion(self) -> bool:
        """Whether snippets are compared: no, each is classified by itself."""
        return False

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return self.head.weight.device

    def forward(self, clips: Float[Tensor, "N K C H W"]) -> dict[str, Float[Tensor, "N K classes"]]:
        """Return the logits of every snippet, as head `tsn`."""
        return self.heads(self.maps(clips), snippets=clips.shape[1])

    def maps(self, clips: Float[Tensor, "N K C H W"]) -> Maps:
        """Return the backbone's maps of the snippets of all videos, video by video."""
        expected = SNIPPET_CHANNELS[self.modality]
        if clips.shape[2] != expected:
            raise MareyError(
                f"a snippet of {self.modality} has {expected} channels, got {clips.shape[2]} "
                f"in clips of shape {tuple(clips.shape)}"
            )
        if self.modality == "rgbdiff":
            clips = clips[:, :, 3:] - clips[:, :, :-3]
        images = clips.flatten(0, 1).contiguous(memory_format=torch.channels_last)
        maps: Maps = self.backbone(images)
        return maps

    def heads(self, maps: Maps, *, snippets: int) -> dict[str, Float[Tensor, "N K classes"]]:
        """Return the logits of head `tsn`.

        Args:
            maps: What `maps` returned.
            snippets: Snippets of each video.
        """
        features = F.dropout(maps.features.mean(dim=(2, 3)), self.dropout, self.training)
        return {"tsn": self.head(features).unflatten(0, (-1, snippets))}

    def freeze_batch_norm(self, *, except_first: bool = True) -> None:
        """Keep the statistics, slopes and biases of batch normalization, even in training.

        Args:
            except_first: Leave the first one free, which sees the change of modality or data.
        """
        modules = list(self.backbone.modules())
        norms: list[nn.Module] = [m for m in modules if isinstance(m, nn.BatchNorm2d)]
        self._freeze(norms[1:] if except_first else norms)

    def freeze_stages(self, count: int) -> None:
        """Keep the first stages of the backbone as they are, even in training."""
        stages = self.backbone.stages()
        if not 0 <= count <= len(stages):
            raise UsageError(
                f"the backbone has {len(stages)} stages, so 0 to {len(stages)} of them can be "
                f"frozen, got {count}"
            )
        self._freeze([module for stage in stages[:count] for module in stage])

    def train(self, mode: bool = True) -> "TSN":
        """Switch all that is not frozen to training, or everything to evaluation."""
        super().train(mode)
        for module in self._always_in_eval:
            module.eval()
        return self

    def _freeze(self, modules: list[nn.Module]) -> None:
        """Exclude modules from training from now on."""
        for module in modules:
            module.requires_grad_(False).eval()
        self._always_in_eval += modules
