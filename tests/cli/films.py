"""Films for the tests of the command line."""

from collections.abc import Callable
from pathlib import Path

import numpy as np

from marey.video import write_video

CLASSES = ("run", "sit", "walk")
Run = Callable[..., int]


def film(path: Path, *, frames: int = 4, height: int = 48, width: int = 64) -> Path:
    """Write a film of a drifting pattern."""
    rng = np.random.default_rng(frames * height + width)
    still = rng.integers(0, 256, (height // 8, width // 8, 3), dtype=np.uint8)
    still = still.repeat(8, 0).repeat(8, 1)
    write_video(path, np.stack([np.roll(still, 2 * t, 1) for t in range(frames)]))
    return path
