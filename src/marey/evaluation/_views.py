"""The views of a video that a test looks at, and one answer from them.

Axes: V views, K snippets, Y classes.
"""

from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np
import torch
from jaxtyping import Float, Float32, UInt8
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
) -> UInt8[Tensor, "K C H W"]:
    """Return the snippets of a video in bytes, whole frames scaled to the test size."""
    span = SPANS[modality]
    places = segment_centres(len(video), segments=views.snippets, span=span)
    # A frame taken twice brings nothing new, and a pair of one frame has no motion; but a pair
    # there must be.
    distinct = np.unique(places)
    frames = read_snippets(video, distinct if len(distinct) > 1 else places[:2], span=span)
    return resize_short_side(frames, preprocessing.short_side)


def clips_of(
    snippets: UInt8[Tensor, "K C H W"],
    *,
    crops: Literal[1, 10],
    preprocessing: Preprocessing,
    modality: str,
) -> Float[Tensor, "V K C {preprocessing.size} {preprocessing.size}"]:
    """Return what the network is shown of a video: crops of its snippets, normalised.

    Args:
        snippets: What `snippets_of` gave, on the device where the network is.
        crops: The centre, or four corners and the centre, plain and mirrored.
        preprocessing: How the network wants them.
        modality: What they hold.
    """
    size = preprocessing.size
    if crops == 10:
        # Crops overlap, so they are cut from frames that are normalised once.
        floats = normalise(snippets, preprocessing, modality=modality)
        return ten_crops(floats, size=size, modality=modality)
    box = centre_box(snippets.shape[-2], snippets.shape[-1], size=size)
    centre = snippets[..., box.top : box.top + size, box.left : box.left + size]
    return normalise(centre, preprocessing, modality=modality)[None]


def phases(model: Runner, snippets: int) -> list[slice]:
    """Return which of a video's snippets the network sees together.

    OFF compares snippets 1/pace of the video apart. Where they lie closer, it sees every second
    or third, from each start in turn; each snippet is seen once in all. TSN sees all at once.
    """
    if not model.sees_motion:
        return [slice(None)]
    stride = min(max(round(snippets / model.preprocessing.pace), 1), snippets // 2)
    return [slice(start, None, stride) for start in range(stride)]


def usual_frames_at_once(device: torch.device) -> int:
    """Return how many crops a network sees at once: on a GPU those of a whole video."""
    return 250 if device.type == "cuda" else 50


@torch.inference_mode()
def score_snippets(
    model: Runner,
    snippets: UInt8[Tensor, "K C H W"],
    *,
    views: Views,
    frames_at_once: int | None = None,
) -> dict[str, Float32[np.ndarray, " Y"]]:
    """Return one row of logits per head: over crops, then the mean over snippets or pairs.

    The snippets go to the network's device as bytes, and are cropped and normalised there.

    Args:
        model: A network from `runner_of`, or one in eval mode.
        snippets: What `snippets_of` gave.
        views: Which crops, and how they become one.
        frames_at_once: The network sees as many crops at once as fit in this, and at least one;
            memory grows with it. `usual_frames_at_once` unless given.
    """
    together = phases(model, len(snippets))
    clips = clips_of(
        snippets.to(model.device, non_blocking=True),
        crops=views.crops,
        preprocessing=model.preprocessing,
        modality=model.modality,
    )
    frames_at_once = frames_at_once or usual_frames_at_once(model.device)
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
