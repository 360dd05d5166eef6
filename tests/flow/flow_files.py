"""Files of flow that is noise."""

from pathlib import Path
from typing import Any

import numpy as np

from marey.flow import FlowWriter, Making

MAKING = Making(method="dis", parameters={"iterations": 12}, height=16, width=20)
PAIRS = 9


def noise(pairs: int = PAIRS, height: int = 16, width: int = 20) -> np.ndarray:
    return np.random.default_rng(pairs).integers(0, 256, (pairs, height, width, 2), np.uint8)


def write(path: Path, flow: np.ndarray, making: Making = MAKING, **changes: Any) -> Path:
    told: dict[str, Any] = {"pairs": range(len(flow)), "of": len(flow), "fps": 25.0}
    told |= {"source_bytes": 1234} | changes
    with FlowWriter(path, making, **told) as writer:
        for field in flow:
            writer.write(field[None])
    return path
