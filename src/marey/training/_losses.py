"""What a network gets wrong in a batch."""

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

from marey.data import Sample, floats_of
from marey.models import OFF, Network

from ._maps_cache import maps_of


def losses_of(
    model: Network, batch: Sample, *, label_smoothing: float = 0.0
) -> Float[Tensor, " N"]:
    """Return the loss of each video: cross-entropy of its mean logits, summed over heads.

    On a GPU the network computes with 16-bit floats where they are enough, and nothing here
    waits for it.

    Args:
        model: The network; of OFF, only the branch learns.
        batch: Clips, or the backbone's maps of them, in the memory of the computer.
        label_smoothing: Share of the target given to all classes alike.
    """
    device = model.device
    labels = torch.as_tensor(batch.label).to(device, non_blocking=True)
    with torch.autocast(device.type, torch.bfloat16, enabled=device.type == "cuda"):
        if isinstance(batch.clip, Tensor):
            clips = floats_of(batch, model.preprocessing, modality=model.modality, device=device)
            heads = model(clips)
        else:
            maps, snippets = maps_of(batch.clip, device)
            heads = model.heads(maps, snippets=snippets)
    if isinstance(model, OFF):
        del heads["tsn"]  # Frozen: there is nothing to learn from it.
    return torch.stack(
        [
            F.cross_entropy(
                logits.float().mean(dim=1),
                labels,
                reduction="none",
                label_smoothing=label_smoothing,
            )
            for logits in heads.values()
        ]
    ).sum(dim=0)
