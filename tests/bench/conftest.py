"""Films of noise, of any length."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from marey.video import write_video


@pytest.fixture
def film(tmp_path: Path) -> Callable[[int], Path]:
    def make(length: int) -> Path:
        frames = np.random.default_rng(0).integers(0, 256, (length, 48, 64, 3), dtype=np.uint8)
        write_video(tmp_path / f"{length}.mp4", frames)
        return tmp_path / f"{length}.mp4"

    return make
