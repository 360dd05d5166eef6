"""Films whose pixels tell which frame they are of."""

import numpy as np
import pytest

from marey.index import Entry, Index
from marey.video import write_video

FRAMES = 20


@pytest.fixture(scope="session")
def clips(tmp_path_factory: pytest.TempPathFactory) -> Index:
    """Four videos of noise of their own, the last one also as a stretch of half a second."""
    root = tmp_path_factory.mktemp("clips")
    rng = np.random.default_rng(0)
    entries = []
    for number in range(4):
        noise = rng.integers(0, 256, (FRAMES, 6, 8, 3), np.uint8)
        write_video(root / f"{number}.avi", noise.repeat(8, 1).repeat(8, 2), fps=10.0)
        entries.append(Entry(f"{number}.avi", "ab"[number % 2]))
    entries.append(Entry("3.avi", "a", start=0.5, end=1.0))
    return Index(root, tuple(entries), ("a", "b"))
