"""Where an OFF branch without normalisation begins, so that it can be trained.

Axes: N videos, K snippets of each, C channels, H rows, W columns.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from ._off_branch import OFFBranch
from ._off_unit import OFFUnit

_LEAST_SPREAD = 1e-3


@torch.no_grad()
def standardise(
    branch: OFFBranch, levels: Mapping[int, Sequence[Float[Tensor, "B _ _ _"]]], *, snippets: int
) -> None:
    """Scale and shift every convolution after the OFF units by what it answers to some maps.

    Each channel of its answer then has mean 0 and variance 1 on them, layer after layer: the
    data-dependent initialisation of https://arxiv.org/abs/1511.06856. Differences of maps are
    small and differ in size from level to level, so that without normalisation, and drawn as
    released, the first layers hardly learn.

    Args:
        branch: A branch that has learnt nothing yet.
        levels: Maps of the snippets of some dozens of videos, video by video.
        snippets: Snippets of each video.
    """
    inside = {
        id(part)
        for unit in branch.modules()
        if isinstance(unit, OFFUnit)
        for part in unit.modules()
    }
    hooks = [
        module.register_forward_hook(_scale)
        for module in branch.modules()
        if isinstance(module, nn.Conv2d) and id(module) not in inside
    ]
    was_training = branch.training
    branch.eval()
    try:
        branch.every_head(levels, snippets=snippets)
    finally:
        for hook in hooks:
            hook.remove()
        branch.train(was_training)


def _scale(convolution: nn.Module, given: tuple[Any, ...], answer: Tensor) -> Tensor:
    """Change a convolution, and return what it answers now."""
    assert isinstance(convolution, nn.Conv2d)
    assert convolution.bias is not None
    linear = nn.Conv2d.forward(convolution, *given)
    mean = linear.mean(dim=(0, 2, 3))
    spread = linear.std(dim=(0, 2, 3)).clamp(min=_LEAST_SPREAD)
    convolution.weight.div_(spread.view(-1, 1, 1, 1))
    convolution.bias.sub_(mean).div_(spread)
    return convolution.forward(*given)
