"""The views of a video that a test looks at, and one answer from them.

Axes: V views, K snippets, Y classes.
"""

from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np
import torch
from jaxtyping import Float, Float32
from torch import Tensor

from marey.backends import Runner
from marey.data import (
    SPANS,
    FrameSource,
    Preprocessing,
    centre_box,
    normalise,
    read_snippets,
    resize_short_side,
    segment_centres,
    ten_crops,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Views:
    """How a video is looked at, and how the answers become one."""

    snippets: int = 25
    """Snippets, evenly spread. A video with fewer frames is seen once, frame by frame."""

    crops: Literal[1, 10] = 10
    """The centre, or four corners and the centre, plain and mirrored."""

    over_crops: Literal["max", "mean"] = "max"
    """The original takes the highest logit over crops; the mean is the other custom."""

    def as_json(self) -> dict[str, Any]:
        """Return plain values for a file."""
        return asdict(self)


def snippets_of(
    video: FrameSource, *, views: Views, preprocessing: Preprocessing, modality: str
) -> Float[Tensor, "K C H W"]:
    """Return the normalised snippets of a video, whole frames scaled to the test size."""
    span = SPANS[modality]
    places = segment_centres(len(video), segments=views.snippets, span=span)
    # A frame taken twice brings nothing new, and a pair of one frame has no motion; but a pair
    # there must be.
    distinct = np.unique(places)
    frames = read_snippets(video, distinct if len(distinct) > 1 else places[:2], span=span)
    frames = resize_short_side(frames, preprocessing.short_side)
    return normalise(frames, preprocessing, modality=modality)


def phases(model: Runner, snippets: int) -> list[slice]:
    """Return which of a video's snippets the network sees together.

    OFF compares snippets 1/pace of the video apart. Where they lie closer, it sees every second
    or third, from each start in turn; each snippet is seen once in all. TSN sees all at once.
    """
    if not model.sees_motion:
        return [slice(None)]
    stride = min(max(round(snippets / model.preprocessing.pace), 1), snippets // 2)
    return [slice(start, None, stride) for start in range(stride)]


@torch.inference_mode()
def score_snippets(
    model: Runner,
    snippets: Float[Tensor, "K C H W"],
    *,
    views: Views,
    frames_at_once: int = 50,
) -> dict[str, Float32[np.ndarray, " Y"]]:
    """Return one row of logits per head: over crops, then the mean over snippets or pairs.

    Args:
        model: A network from `runner_of`, or one in eval mode.
        snippets: What `snippets_of` gave.
        views: Which crops, and how they become one.
        frames_at_once: The network sees as many crops at once as fit in this, and at least one;
            memory grows with it.
    """
    size, modality = model.preprocessing.size, model.modality
    together = phases(model, len(snippets))
    snippets = snippets.to(model.device, non_blocking=True)
    if views.crops == 10:
        clips = ten_crops(snippets, size=size, modality=modality)
    else:
        box = centre_box(snippets.shape[-2], snippets.shape[-1], size=size)
        clips = snippets[None, ..., box.top : box.top + size, box.left : box.left + size]
    views_at_once = max(frames_at_once // clips.shape[1], 1)
    parts = [
        [model(part[:, snippets]) for snippets in together] for part in clips.split(views_at_once)
    ]
    answers: dict[str, Float32[np.ndarray, " Y"]] = {}
    for head in parts[0][0]:
        logits = torch.cat(
            [torch.cat([heads[head] for heads in part], dim=1) for part in parts]
        ).float()  # V K Y
        seen = logits.amax(dim=0) if views.over_crops == "max" else logits.mean(dim=0)
        answers[head] = seen.mean(dim=0).cpu().numpy()
    return answers
