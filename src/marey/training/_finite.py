"""Stops a run at what is not a number, before it reaches the weights."""

import json
from collections.abc import Callable
from pathlib import Path

from jaxtyping import Float, Int64
from torch import Tensor

from marey.durable import write_text
from marey.errors import MareyError


def require_finite(
    what: str,
    values: Float[Tensor, " N"],
    numbers: Int64[Tensor, " N"],
    *,
    name_of: Callable[[int], str],
    folder: Path,
) -> None:
    """Refuse values that are not finite, one for each video.

    Args:
        what: What the values are.
        values: On the CPU.
        numbers: Of the videos.
        name_of: Gives the name of a video.
        folder: Of the run; all their names are written there.

    Raises:
        MareyError: It names the videos.
    """
    finite = values.isfinite()
    if finite.all():
        return
    videos = [name_of(number) for number in numbers[~finite].tolist()]
    file = folder / "not_finite.json"
    write_text(file, json.dumps(videos, indent=2) + "\n")
    others = f" and {len(videos) - 5} others in {file}" if len(videos) > 5 else ""
    raise MareyError(
        f"the {what} of {', '.join(videos[:5])}{others} is not finite. The run stopped before it "
        f"learnt from that; the last save in {folder} is good. Look at these videos, or "
        "lower optim.lr or optim.clip_norm"
    )
